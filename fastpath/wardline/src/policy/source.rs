//! A policy document as it lies on disk.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use wardline_control::bounds::POLICY_BYTES;
use wardline_control::{PolicyFormat, PolicyText};
use wardline_policy::{Document, Format, parse};

use crate::failure::Failure;
use crate::policy::findings::{self, Finding};

/// A document's text and what to call it.
#[derive(Debug)]
pub(crate) struct Source {
    pub name: String,
    pub format: Format,
    pub text: String,
}

impl Source {
    /// Reads a file (`-`: standard input), at most what the fast path would take.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let (name, text) = read_text(path)?;
        let format = match path.extension() {
            Some(ending) if ending.eq_ignore_ascii_case("json") => Format::Json,
            None if text.trim_start().starts_with('{') => Format::Json,
            _ => Format::Toml,
        };
        Ok(Self { name, format, text })
    }

    pub(crate) fn from_control(policy: PolicyText) -> Self {
        Self {
            name: policy.name,
            format: match policy.format {
                PolicyFormat::Toml => Format::Toml,
                PolicyFormat::Json => Format::Json,
            },
            text: policy.text,
        }
    }

    pub(crate) fn to_control(&self) -> PolicyText {
        PolicyText {
            name: self.name.clone(),
            format: match self.format {
                Format::Toml => PolicyFormat::Toml,
                Format::Json => PolicyFormat::Json,
            },
            text: self.text.clone(),
        }
    }

    /// The document; everything wrong with it is said on standard error.
    pub(crate) fn document(&self) -> Result<Document, Failure> {
        match parse(&self.text, self.format, &self.name) {
            Ok((document, _)) => Ok(document),
            Err(diagnostics) => {
                let all: Vec<Finding> = diagnostics.0.iter().map(Finding::from).collect();
                Err(findings::refuse(self, &all))
            }
        }
    }
}

/// The name and the content of a text file (`-`: standard input).
pub(crate) fn read_text(path: &Path) -> Result<(String, String), Failure> {
    let (name, text) = if path == Path::new("-") {
        ("standard input".to_owned(), bounded(io::stdin().lock()))
    } else {
        (
            path.display().to_string(),
            File::open(path).and_then(bounded),
        )
    };
    match text {
        Ok(text) => Ok((name, text)),
        Err(e) => Err(Failure::input(format!("cannot read {name}: {e}"))),
    }
}

fn bounded(input: impl Read) -> io::Result<String> {
    let mut text = String::new();
    let limit = POLICY_BYTES as u64;
    input.take(limit + 1).read_to_string(&mut text)?;
    if text.len() > POLICY_BYTES {
        let message = format!("more than {limit} bytes are no policy");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(text)
}
