//! Configuration files: TOML, read with positions, along the JSON Schema of the type they become.
//!
//! The schema is the one list of known keys. Every complaint names file, line, key and what to do.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong with a configuration; one line for each complaint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    path: PathBuf,
    /// Line (0: the file as a whole), column and sentence.
    complaints: Vec<(usize, usize, String)>,
}

impl ConfigError {
    fn read(path: &Path, error: &std::io::Error) -> Self {
        Self {
            path: path.to_owned(),
            complaints: vec![(0, 0, format!("cannot read the configuration: {error}"))],
        }
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, (line, column, sentence)) in self.complaints.iter().enumerate() {
            let newline = if i == 0 { "" } else { "\n" };
            let path = self.path.display();
            if *line == 0 {
                write!(f, "{newline}{path}: {sentence}")?;
            } else {
                write!(f, "{newline}{path}:{line}:{column}: {sentence}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Takes what is wrong with a value: its dotted key and the sentence.
pub type Complain<'a> = &'a mut dyn FnMut(&str, String);

/// Reads and checks a file. `values` looks at values that are of the right type and still cannot
/// work.
///
/// # Errors
/// The file cannot be read, is not TOML, has an unknown key or a value that cannot work; each
/// with line and what to do.
pub fn load<T: DeserializeOwned + JsonSchema>(
    path: &Path,
    values: impl FnOnce(&T, Complain<'_>),
) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|e| ConfigError::read(path, &e))?;
    parse(path, &text, values)
}

/// As [`load`], for the text of a file.
///
/// # Errors
/// As [`load`].
pub fn parse<T: DeserializeOwned + JsonSchema>(
    path: &Path,
    text: &str,
    values: impl FnOnce(&T, Complain<'_>),
) -> Result<T, ConfigError> {
    let mut report = Report {
        path,
        text,
        complaints: Vec::new(),
    };
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(e) => return Err(report.syntax(&e)),
    };
    unknown_keys(
        &table,
        schema::<T>().as_value(),
        &mut Vec::new(),
        &mut report,
    );
    report.settle()?;
    let config: T = match toml::from_str(text) {
        Ok(config) => config,
        Err(e) => return Err(report.syntax(&e)),
    };
    values(&config, &mut |key, sentence| {
        report.complain(span_of(&table, key), format!("{key}: {sentence}"));
    });
    report.settle()?;
    Ok(config)
}

/// The JSON Schema of a configuration, with every definition in its place.
pub fn schema<T: JsonSchema>() -> schemars::Schema {
    let settings =
        schemars::generate::SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>()
}

struct Report<'a> {
    path: &'a Path,
    text: &'a str,
    complaints: Vec<(usize, usize, String)>,
}

impl Report<'_> {
    fn complain(&mut self, span: Option<Range<usize>>, sentence: String) {
        let (line, column) = span.map_or((0, 0), |s| position(self.text, s.start));
        self.complaints.push((line, column, sentence));
    }

    fn syntax(mut self, error: &toml::de::Error) -> ConfigError {
        // The parser's message may take several lines; ours takes one.
        let message = error.message().replace('\n', ", ");
        self.complain(error.span(), message);
        self.into_error()
    }

    fn settle(&mut self) -> Result<(), ConfigError> {
        if self.complaints.is_empty() {
            return Ok(());
        }
        self.complaints.sort();
        Err(ConfigError {
            path: self.path.to_owned(),
            complaints: std::mem::take(&mut self.complaints),
        })
    }

    fn into_error(self) -> ConfigError {
        ConfigError {
            path: self.path.to_owned(),
            complaints: self.complaints,
        }
    }
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line_start = before
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    let line = 1 + before.iter().filter(|b| **b == b'\n').count();
    (line, 1 + before.len() - line_start)
}

/// Walks the file along the schema.
fn unknown_keys<'a>(
    table: &'a DeTable<'_>,
    schema: &Json,
    parents: &mut Vec<&'a str>,
    report: &mut Report<'_>,
) {
    let Some(known) = schema.get("properties").and_then(Json::as_object) else {
        return;
    };
    for (key, value) in table {
        let name: &str = key.get_ref();
        match (known.get(name), value.get_ref()) {
            (None, _) => {
                let sentence = unknown_key(name, parents, known.keys().map(String::as_str));
                report.complain(Some(key.span()), sentence);
            }
            (Some(schema), DeValue::Table(inner)) => {
                parents.push(name);
                unknown_keys(inner, schema, parents, report);
                parents.pop();
            }
            (Some(_), _) => {}
        }
    }
}

fn unknown_key<'a>(
    name: &str,
    parents: &[&str],
    known: impl Iterator<Item = &'a str> + Clone,
) -> String {
    let place = if parents.is_empty() {
        "at the top level".to_owned()
    } else {
        format!("in [{}]", parents.join("."))
    };
    let mut sentence = format!("unknown key `{name}` {place}");
    let nearest = known
        .clone()
        .map(|k| (strsim::jaro_winkler(name, k), k))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(similarity, _)| *similarity > 0.7);
    // Writing to a String cannot fail.
    let _ = match nearest {
        Some((_, key)) => write!(sentence, "; did you mean `{key}`?"),
        None => write!(
            sentence,
            "; known keys: {}",
            known.collect::<Vec<_>>().join(", ")
        ),
    };
    sentence
}

/// Position of a dotted key; of its nearest parent that is written down, if it is a default.
fn span_of(table: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    let mut span = None;
    let mut table = Some(table);
    for part in key.split('.') {
        let Some((found, value)) = table.and_then(|t| entry(t, part)) else {
            break;
        };
        span = Some(found);
        table = match value {
            DeValue::Table(inner) => Some(inner),
            _ => None,
        };
    }
    span
}

fn entry<'a, 'i>(table: &'a DeTable<'i>, name: &str) -> Option<(Range<usize>, &'a DeValue<'i>)> {
    table
        .iter()
        .find(|(key, _)| key.get_ref() == name)
        .map(|(key, value)| (key.span(), Spanned::get_ref(value)))
}
