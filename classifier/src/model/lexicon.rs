//! What devices of each type were heard to say in training, and how steadily they say it.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

use super::manifest::LEXICON;
use super::refusal::Refusal;

/// Chance that a device of none of the types says something new in any one field.
const NEW_OF_OTHERS: f64 = 0.5;
/// Stands between field and value.
const VALUE: char = '=';

/// What was learnt of tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lexicon {
    /// Log-odds of each type before anything is said.
    bias: Vec<f32>,
    types: Vec<Habits>,
    tokens: HashMap<String, Token>,
}

/// How devices of a type speak.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Habits {
    /// Captures of training.
    captures: u32,
    fields: BTreeMap<String, Habit>,
}

/// How they use a field.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Habit {
    /// Captures in which it was used.
    shown: u32,
    /// Of these, captures with a value that no other capture of the type has.
    new: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    /// Type and the log-odds the token adds to it.
    weights: Vec<(usize, f32)>,
    /// Types that were heard to say it in more than one capture.
    seen: HashSet<usize>,
}

impl Lexicon {
    /// Whether all numbers of types are below `types`.
    pub(super) fn check(&self, types: usize) -> Result<(), Refusal> {
        let fits = |token: &Token| {
            let weights = token.weights.iter().map(|(index, _)| index);
            weights.chain(&token.seen).all(|index| *index < types)
        };
        if self.bias.len() != types || self.types.len() != types || !self.tokens.values().all(fits)
        {
            return Err(Refusal::nonsense(
                LEXICON,
                "types that the manifest does not have",
            ));
        }
        Ok(())
    }

    /// Log-odds of each type after these tokens.
    pub(super) fn scores(&self, said: &HashSet<String>) -> Vec<f32> {
        let mut scores = self.bias.clone();
        for token in said.iter().filter_map(|token| self.tokens.get(token)) {
            for (index, weight) in &token.weights {
                scores[*index] += weight;
            }
        }
        scores
    }

    /// How what was said fits a type, each field counted once.
    pub(super) fn fit(&self, kind: usize, said: &HashSet<String>) -> Fit {
        let mut fields: BTreeMap<&str, (bool, f64)> = BTreeMap::new();
        for token in said {
            let field = token.split_once(VALUE).map_or("", |(field, _)| field);
            let (new, likeness) = fields.entry(field).or_default();
            match self
                .tokens
                .get(token)
                .filter(|token| token.seen.contains(&kind))
            {
                Some(token) => *likeness = likeness.max(self.likeness(token)),
                None => *new = true,
            }
        }
        let habits = &self.types[kind];
        let news = fields
            .iter()
            .map(|(field, (new, _))| habits.news(field, *new));
        Fit {
            news: news.sum(),
            likeness: fields.values().map(|(_, likeness)| likeness).sum(),
        }
    }

    /// Log of how seldom other types say this.
    fn likeness(&self, token: &Token) -> f64 {
        let others = token.seen.len() as f64 - 1.0;
        (self.types.len() as f64 / (others + 0.5)).ln()
    }
}

/// How well what was said fits a type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fit {
    /// Log of how much likelier the type says something new in these fields, or nothing new, than
    /// a device of none of the types.
    pub(super) news: f64,
    /// How much of it only this type says: for each field, the log of how seldom others do.
    pub(super) likeness: f64,
}

impl Habits {
    /// Log of the likelihood ratio of something new, or nothing new, in a field.
    fn news(&self, field: &str, new: bool) -> f64 {
        let chance = match self.fields.get(field) {
            Some(habit) => (f64::from(habit.new) + 0.5) / (f64::from(habit.shown) + 1.0),
            None => 0.5 / (f64::from(self.captures) + 1.0),
        };
        if new {
            (chance / NEW_OF_OTHERS).ln()
        } else {
            ((1.0 - chance) / (1.0 - NEW_OF_OTHERS)).ln()
        }
    }
}
