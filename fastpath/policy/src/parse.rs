//! From text to a checked document.

use crate::diagnostic::{Diagnostic, Diagnostics, Position, Severity, Warnings};
use crate::document::Document;

/// The format of a document's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// TOML 1.0.
    Toml,
    /// JSON (RFC 8259).
    Json,
}

/// Reads and checks a document. `file_name` only appears in diagnostics.
///
/// # Errors
/// Everything that is wrong with the document, each with its place.
pub fn parse(
    text: &str,
    format: Format,
    file_name: &str,
) -> Result<(Document, Warnings), Diagnostics> {
    let parsed = match format {
        Format::Toml => toml::from_str(text).map_err(|e| {
            let position = e.span().map(|span| position(text, span.start));
            (position, e.message().to_owned())
        }),
        Format::Json => serde_json::from_str(text).map_err(|e| {
            let position = Position {
                line: e.line() as u32,
                column: e.column() as u32,
            };
            (Some(position), e.to_string())
        }),
    };
    parsed
        .map(|document| (document, Vec::new()))
        .map_err(|(position, message)| {
            Diagnostics(vec![Diagnostic {
                severity: Severity::Error,
                file: file_name.to_owned(),
                position,
                path: String::new(),
                message,
                fix: None,
            }])
        })
}

fn position(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    Position {
        line: before.matches('\n').count() as u32 + 1,
        column: before[line_start..].chars().count() as u32 + 1,
    }
}
