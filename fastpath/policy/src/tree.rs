//! A document as a tree of values that know where they stand in the text. Built only when there
//! is something to say about the text; a faultless document never needs it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A place in the text, in bytes.
pub(crate) type Span = Range<usize>;

/// A value and its place.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

/// A value of TOML or JSON.
#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    String(String),
    Array(Vec<Node>),
    Table(Vec<(Key, Node)>),
    /// Taken out after it was complained about, so that what follows can be read.
    Pruned,
}

/// A key and its place.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// One step of a path of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// A path for people: `devices[2].rules[0].peer`.
pub(crate) fn path_text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Index(index) => text.push_str(&format!("[{index}]")),
            Step::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
        }
    }
    text
}

/// Text that is not TOML or not JSON at all.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) message: String,
    pub(crate) span: Option<Span>,
}

impl Value {
    /// What it is, for people.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "a number",
            Self::Float(_) => "a number with a fraction",
            Self::String(_) => "a text",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
            Self::Pruned => "nothing",
        }
    }

    const fn is_pruned(&self) -> bool {
        matches!(self, Self::Pruned)
    }
}

impl Node {
    /// Reads TOML; every error of syntax is reported.
    pub(crate) fn from_toml(text: &str) -> Result<Self, Vec<SyntaxError>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let errors = errors.into_iter().map(|e| SyntaxError {
                message: e.message().replace('\n', ", "),
                span: e.span(),
            });
            return Err(errors.collect());
        }
        let span = table.span();
        Ok(Self {
            value: toml_table(table.into_inner()),
            span,
        })
    }

    /// Reads JSON.
    pub(crate) fn from_json(text: &str) -> Result<Self, Vec<SyntaxError>> {
        let syntax = |e: &serde_json::Error, text: &str| {
            let offset = offset_of(text, e.line(), e.column());
            let message = e.to_string();
            let message = message
                .split(" at line ")
                .next()
                .unwrap_or_default()
                .to_owned();
            vec![SyntaxError {
                message,
                span: Some(offset..offset),
            }]
        };
        let raw: &RawValue = serde_json::from_str(text).map_err(|e| syntax(&e, text))?;
        json_node(text, raw, 0).map_err(|e| syntax(&e, text))
    }

    /// The place of a path and the path as it stands in the text; pruned items count there and
    /// not in `path`. Ends at the deepest place that exists.
    pub(crate) fn locate(&self, path: &[Step]) -> (Span, Vec<Step>) {
        let (mut node, mut span) = (self, self.span.clone());
        let mut real = Vec::with_capacity(path.len());
        for step in path {
            let next = match (&node.value, step) {
                (Value::Table(entries), Step::Key(wanted)) => entries
                    .iter()
                    .find(|(key, _)| key.text == *wanted)
                    .map(|(key, value)| {
                        let scalar = !matches!(value.value, Value::Array(_) | Value::Table(_));
                        let span = if scalar { &value.span } else { &key.span };
                        (value, span.clone(), step.clone())
                    }),
                (Value::Array(items), Step::Index(wanted)) => {
                    let live = items
                        .iter()
                        .enumerate()
                        .filter(|(_, n)| !n.value.is_pruned());
                    live.clone()
                        .nth(*wanted)
                        .map(|(index, item)| (item, item.span.clone(), Step::Index(index)))
                }
                _ => None,
            };
            match next {
                Some((found, place, step)) => {
                    (node, span) = (found, place);
                    real.push(step);
                }
                // One value where the language also takes a list: its index stays silent.
                None if *step == Step::Index(0) => {}
                None => {
                    real.push(step.clone());
                }
            }
        }
        (span, real)
    }

    /// The node at a path as the reader counts it, pruned items included.
    pub(crate) fn at_mut(&mut self, path: &[Step]) -> Option<&mut Self> {
        path.iter()
            .try_fold(self, |node, step| match (&mut node.value, step) {
                (Value::Table(entries), Step::Key(wanted)) => entries
                    .iter_mut()
                    .find(|(key, _)| key.text == *wanted)
                    .map(|(_, value)| value),
                (Value::Array(items), Step::Index(index)) => items.get_mut(*index),
                _ => None,
            })
    }
}

fn toml_table(table: DeTable<'_>) -> Value {
    let mut entries: Vec<(Key, Node)> = table
        .into_iter()
        .map(|(key, value)| {
            let key = Key {
                span: key.span(),
                text: key.into_inner().into_owned(),
            };
            (key, toml_node(value))
        })
        .collect();
    entries.sort_by_key(|(key, _)| key.span.start);
    Value::Table(entries)
}

fn toml_node(value: Spanned<DeValue<'_>>) -> Node {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Integer(integer) => {
            let parsed = i64::from_str_radix(integer.as_str(), integer.radix());
            parsed.map_or_else(|_| Value::String(integer.to_string()), Value::Integer)
        }
        DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Datetime(date) => Value::String(date.to_string()),
        DeValue::Array(items) => Value::Array(items.into_iter().map(toml_node).collect()),
        DeValue::Table(table) => toml_table(table),
    };
    Node { value, span }
}

/// Deeper than any document needs; keeps hostile nesting off the stack.
const MAX_DEPTH: u32 = 32;

fn json_node(text: &str, raw: &RawValue, depth: u32) -> Result<Node, serde_json::Error> {
    if depth > MAX_DEPTH {
        return Err(serde::de::Error::custom(
            "the document is nested too deeply",
        ));
    }
    let part = raw.get();
    let start = place_in(text, part);
    let value = match part.as_bytes().first() {
        Some(b'{') => {
            let RawTable(entries) = serde_json::from_str(part)?;
            let entry = |(key, value): (Cow<'_, str>, &RawValue)| {
                let node = json_node(text, value, depth + 1)?;
                let span = match &key {
                    Cow::Borrowed(key) => {
                        let start = place_in(text, key).saturating_sub(1);
                        start..start + key.len() + 2
                    }
                    Cow::Owned(_) => node.span.clone(),
                };
                Ok((
                    Key {
                        text: key.into_owned(),
                        span,
                    },
                    node,
                ))
            };
            Value::Table(
                entries
                    .into_iter()
                    .map(entry)
                    .collect::<Result<_, serde_json::Error>>()?,
            )
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(part)?;
            let items = items
                .into_iter()
                .map(|item| json_node(text, item, depth + 1));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        _ => match serde_json::from_str(part)? {
            serde_json::Value::Bool(value) => Value::Bool(value),
            serde_json::Value::String(value) => Value::String(value),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(integer) => Value::Integer(integer),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            _ => Value::Null,
        },
    };
    Ok(Node {
        value,
        span: start..start + part.len(),
    })
}

/// A JSON object in its own order, doubled keys included.
struct RawTable<'t>(Vec<(Cow<'t, str>, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for RawTable<'t> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = RawTable<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawTable<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some((BorrowedKey(key), value)) = map.next_entry()? {
                    entries.push((key, value));
                }
                Ok(RawTable(entries))
            }
        }

        let RawTable(entries) = d.deserialize_map(Entries)?;
        Ok(Self(entries))
    }
}

/// A key, borrowed from the text where it holds no escapes.
#[derive(serde::Deserialize)]
struct BorrowedKey<'t>(#[serde(borrow)] Cow<'t, str>);

/// Where a part of the text begins in it.
fn place_in(text: &str, part: &str) -> usize {
    (part.as_ptr() as usize)
        .wrapping_sub(text.as_ptr() as usize)
        .min(text.len())
}

fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    (before + column.saturating_sub(1)).min(text.len())
}
