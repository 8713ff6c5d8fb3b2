//! From text to a checked document.

use crate::check::{Finding, check};
use crate::diagnostic::{Diagnostic, Diagnostics, Position, Severity, Warnings};
use crate::document::Document;
use crate::read::{Fault, read};
use crate::sections;
use crate::tree::{Node, Span, SyntaxError, path_text};

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
    let direct: Option<Document> = match format {
        Format::Toml => sections::read(text).or_else(|| toml::from_str(text).ok()),
        Format::Json => serde_json::from_str(text).ok(),
    };
    if let Some(document) = direct {
        let findings = check(&document);
        if findings.is_empty() {
            return Ok((document, Warnings::new()));
        }
        return explain(text, format, file_name, Some((document, findings)));
    }
    explain(text, format, file_name, None)
}

/// Reads the text once more, slowly, to say where each finding stands.
fn explain(
    text: &str,
    format: Format,
    file_name: &str,
    read_before: Option<(Document, Vec<Finding>)>,
) -> Result<(Document, Warnings), Diagnostics> {
    let places = Places::new(text, file_name);
    let tree = match format {
        Format::Toml => Node::from_toml(text),
        Format::Json => Node::from_json(text),
    };
    let mut tree = match tree {
        Ok(tree) => tree,
        Err(errors) => {
            let errors = errors.into_iter().map(|e| places.syntax(e));
            let mut errors: Vec<Diagnostic> = errors.collect();
            errors.sort_by_key(|e| e.position);
            return Err(Diagnostics(errors));
        }
    };
    let (document, findings, mut diagnostics) = match read_before {
        Some((document, findings)) => (Some(document), findings, Vec::new()),
        None => {
            let reading = read(&mut tree);
            let faults = reading
                .faults
                .into_iter()
                .map(|f| places.fault(f))
                .collect();
            let mut findings = reading.document.as_ref().map_or_else(Vec::new, check);
            // A name may seem unknown only because its definition was at fault.
            findings.retain(|f| !(reading.names_lost && f.about_a_name));
            (reading.document, findings, faults)
        }
    };
    diagnostics.extend(findings.into_iter().map(|f| places.finding(&tree, f)));
    diagnostics.sort_by_key(|d: &Diagnostic| d.position);
    let refused = diagnostics.iter().any(|d| d.severity == Severity::Error);
    match document {
        Some(document) if !refused => Ok((document, diagnostics)),
        _ => Err(Diagnostics(diagnostics)),
    }
}

/// Checks a document that was made in memory.
pub(crate) fn check_in_memory(document: &Document) -> Result<Warnings, Diagnostics> {
    let diagnostics: Vec<Diagnostic> = check(document)
        .into_iter()
        .map(|finding| Diagnostic {
            severity: finding.severity,
            file: String::new(),
            position: None,
            path: path_text(&finding.path),
            message: finding.message,
            fix: finding.fix,
        })
        .collect();
    if diagnostics.iter().any(|d| d.severity == Severity::Error) {
        Err(Diagnostics(diagnostics))
    } else {
        Ok(diagnostics)
    }
}

/// Lines of a text, to turn offsets into positions.
struct Places<'t> {
    text: &'t str,
    file_name: &'t str,
    line_starts: Vec<usize>,
}

impl<'t> Places<'t> {
    fn new(text: &'t str, file_name: &'t str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0)
            .chain(breaks.map(|(i, _)| i + 1))
            .collect();
        Self {
            text,
            file_name,
            line_starts,
        }
    }

    fn position(&self, span: &Span) -> Position {
        let line = self
            .line_starts
            .partition_point(|start| *start <= span.start);
        let start = self
            .line_starts
            .get(line.wrapping_sub(1))
            .copied()
            .unwrap_or(0);
        let before = self.text.get(start..span.start).unwrap_or("");
        Position {
            line: line.max(1) as u32,
            column: before.chars().count() as u32 + 1,
        }
    }

    fn syntax(&self, error: SyntaxError) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            file: self.file_name.to_owned(),
            position: Some(self.position(&error.span.unwrap_or_default())),
            path: String::new(),
            message: error.message,
            fix: None,
        }
    }

    fn fault(&self, fault: Fault) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            file: self.file_name.to_owned(),
            position: Some(self.position(&fault.span)),
            path: path_text(&fault.path),
            message: fault.message,
            fix: fault.fix,
        }
    }

    fn finding(&self, tree: &Node, finding: Finding) -> Diagnostic {
        let (span, path) = tree.locate(&finding.path);
        Diagnostic {
            severity: finding.severity,
            file: self.file_name.to_owned(),
            position: Some(self.position(&span)),
            path: path_text(&path),
            message: finding.message,
            fix: finding.fix,
        }
    }
}
