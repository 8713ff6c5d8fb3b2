//! What facts mean: from a field and its value to weights for roles, a strength, and the sentence
//! a person reads.
//!
//! Weights are log-odds. They come from tables: rules about fields with a meaning of their own
//! (a DICOM worklist is asked for by modalities), words that mean the same wherever a device names
//! itself, and the designations of makers. [`weigh`] reads them for one fact; how facts add up is
//! said in [`decide`](crate::decide).

mod identity;
mod pattern;
mod tables;
mod telling;

use std::collections::HashMap;

pub use identity::{Identity, IdentityPart, Stated, identify};
pub use telling::Family;

use pattern::Text;
use tables::{AGAINST, Line, Maker, Rule, THINGS, Word};
use telling::{Telling, telling};

use crate::{Fact, Field, Role, Strength};

/// A designation keeps at least this much of its weight in any name: the device came with it.
const DESIGNATION_KEEPS: f32 = 0.85;
/// Characters of a value shown in a sentence.
const SHOWN: usize = 80;

/// What one fact means.
#[derive(Debug, Clone, PartialEq)]
pub struct Meaning {
    /// Statements of one family do not add up.
    pub family: Family,
    /// How much it proves about [`Self::role`].
    pub strength: Strength,
    /// What a person reads.
    pub sentence: String,
    /// Where the meaning is known from; empty for a fact without one.
    pub source: &'static str,
    /// For and against roles.
    pub weights: Vec<Weight>,
}

/// What speaks for a role, or against it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weight {
    /// The role.
    pub role: Role,
    /// For it if positive.
    pub log_odds: f32,
    /// The row of the tables that says so: the same row counts once, however often it is met.
    pub(crate) row: u16,
}

impl Meaning {
    /// What the fact weighs for a role.
    pub fn weight(&self, role: Role) -> f32 {
        let weights = self.weights.iter().filter(|weight| weight.role == role);
        let (best, worst) = weights.fold((0f32, 0f32), |(best, worst), weight| {
            (best.max(weight.log_odds), worst.min(weight.log_odds))
        });
        best + worst
    }

    /// The role the fact speaks for most.
    pub fn role(&self) -> Option<Role> {
        self.heaviest().map(|weight| weight.role)
    }

    /// The row of the tables that weighs most: facts with the same one say the same.
    pub(crate) fn leading_row(&self) -> Option<u16> {
        self.heaviest().map(|weight| weight.row)
    }

    fn heaviest(&self) -> Option<&Weight> {
        let positive = self.weights.iter().filter(|weight| weight.log_odds > 0.0);
        positive.max_by(|a, b| a.log_odds.total_cmp(&b.log_odds))
    }
}

/// What `fact` means. Every fact has a sentence; most speak for no role.
pub fn weigh(fact: &Fact) -> Meaning {
    let telling = telling(fact.field);
    let text = Text::new(&fact.value);
    let mut found = Found {
        fact,
        telling,
        named: Text::new(without_key(fact)),
        best: 0.0,
        meaning: Meaning {
            family: telling.family,
            strength: Strength::Weak,
            sentence: fill(telling.sentence, &fact.value),
            source: "",
            weights: Vec::new(),
        },
    };
    for (row, entry) in (0u16..).zip(rows()) {
        match entry {
            Row::Rule(rule) => found.rule(row, rule, &text),
            Row::Word(word) => found.word(row, word),
            Row::Line(line) => found.line(row, line),
            Row::Maker(maker) => found.maker(row, maker, &text),
        }
    }
    found.meaning
}

/// What facts mean, remembered: going through all tables takes a thousand times as long, and devices
/// of one kind say the same.
#[derive(Debug, Default)]
pub struct Meanings(HashMap<Fact, Meaning>);

/// Facts remembered at most: some ten megabytes.
const REMEMBERED: usize = 32_768;

impl Meanings {
    /// As [`weigh`].
    pub fn of(&mut self, fact: &Fact) -> Meaning {
        if let Some(known) = self.0.get(fact) {
            return known.clone();
        }
        if self.0.len() >= REMEMBERED {
            // What is said often is soon there again.
            self.0.clear();
        }
        let meaning = weigh(fact);
        self.0.insert(fact.clone(), meaning.clone());
        meaning
    }
}

/// The row of any table.
#[derive(Debug, Clone, Copy)]
enum Row {
    Rule(&'static Rule),
    Word(&'static Word),
    Line(&'static Line),
    Maker(&'static Maker),
}

fn rows() -> impl Iterator<Item = Row> {
    let rules = [
        tables::clinical::RULES,
        tables::hospital::RULES,
        tables::building::RULES,
        tables::things::RULES,
    ];
    let rules = rules.into_iter().flatten().map(Row::Rule);
    let words = tables::words::WORDS.iter().map(Row::Word);
    let lines = tables::lines::LINES.iter().map(Row::Line);
    let makers = tables::makers::MAKERS.iter().map(Row::Maker);
    rules.chain(words).chain(lines).chain(makers)
}

/// Collects what the rows say of one fact; the heaviest row gives sentence, strength and source.
struct Found<'a> {
    fact: &'a Fact,
    telling: Telling,
    /// The value without the key that protocols put in front of it.
    named: Text,
    best: f32,
    meaning: Meaning,
}

impl Found<'_> {
    fn rule(&mut self, row: u16, rule: &Rule, text: &Text) {
        if !rule.fields.contains(&self.fact.field) || !text.has(rule.any) {
            return;
        }
        self.add(row, 1.0, rule.weights);
        let against = rule.against.iter().map(|&role| Weight {
            role,
            log_odds: AGAINST,
            row,
        });
        self.meaning.weights.extend(against);
        let sentence = if rule.sentence.is_empty() {
            self.telling.sentence
        } else {
            rule.sentence
        };
        self.lead(1.0, rule.weights, rule.strength, rule.source, || {
            fill(sentence, &self.fact.value)
        });
    }

    fn word(&mut self, row: u16, word: &Word) {
        let Some((keeps, strength)) = self.telling.words else {
            return;
        };
        // Whoever asks for `printer.example` is no printer; but the servers of things have things
        // for clients.
        let of_peer = self.telling.family == Family::Asks || self.fact.field == Field::HttpPath;
        let speaks_for = |(role, _): &&(Role, f32)| !of_peer || THINGS.contains(role);
        let weights: Vec<_> = word.weights.iter().filter(speaks_for).copied().collect();
        if weights.is_empty() || !self.named.has(word.any) {
            return;
        }
        self.add(row, keeps, &weights);
        self.lead(keeps, &weights, strength, "the word itself", || {
            fill(self.telling.sentence, &self.fact.value)
        });
    }

    fn line(&mut self, row: u16, line: &Line) {
        let Some((keeps, strength)) = self.telling.words else {
            return;
        };
        if !self.named.has(line.any) {
            return;
        }
        let keeps = if matches!(self.telling.family, Family::Asks | Family::WebClient) {
            keeps
        } else {
            keeps.max(DESIGNATION_KEEPS)
        };
        self.add(row, keeps, line.weights);
        let strength = strength.max(Strength::Medium);
        self.lead(
            keeps,
            line.weights,
            strength,
            "the maker's catalogue",
            || {
                let said = fill(self.telling.sentence, &self.fact.value);
                format!("{said}; {} names its {} so", line.maker, line.kind)
            },
        );
    }

    fn maker(&mut self, row: u16, maker: &Maker, text: &Text) {
        if self.fact.field == Field::Oui && text.has(maker.any) {
            self.add(row, 1.0, maker.weights);
            self.lead(1.0, maker.weights, Strength::Weak, "IEEE registry", || {
                fill(self.telling.sentence, &self.fact.value)
            });
        }
    }

    fn add(&mut self, row: u16, keeps: f32, weights: &[(Role, f32)]) {
        let weights = weights.iter().map(|&(role, log_odds)| Weight {
            role,
            log_odds: log_odds * keeps,
            row,
        });
        self.meaning.weights.extend(weights);
    }

    fn lead(
        &mut self,
        keeps: f32,
        weights: &[(Role, f32)],
        strength: Strength,
        source: &'static str,
        sentence: impl FnOnce() -> String,
    ) {
        let heaviest = weights.iter().map(|(_, weight)| weight * keeps);
        let heaviest = heaviest.fold(0.0, f32::max);
        if heaviest > self.best || self.meaning.source.is_empty() {
            let sentence = sentence();
            self.best = heaviest;
            self.meaning.sentence = sentence;
            self.meaning.strength = strength;
            self.meaning.source = source;
        }
    }
}

/// What follows `key=` in the fields of such pairs.
fn without_key(fact: &Fact) -> &str {
    let value = fact.value.as_str();
    match fact.field {
        Field::VendorDiscovery
        | Field::UpnpDescription
        | Field::MdnsText
        | Field::SdcDevice
        | Field::PoctHello
        | Field::ModbusIdentity
        | Field::BacnetObject => value.split_once('=').map_or(value, |(_, named)| named),
        _ => value,
    }
}

fn fill(sentence: &str, value: &str) -> String {
    let shown: String = value.chars().take(SHOWN).collect();
    let more = if shown.len() < value.len() { "…" } else { "" };
    sentence.replace("{}", &format!("{shown}{more}"))
}
