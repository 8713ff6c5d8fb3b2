//! Remarks on a policy document, shown where they belong.

use std::io::{self, Write};

use wardline_policy::diagnostic::Severity;

use crate::failure::Failure;
use crate::policy::source::Source;
use crate::table::printable;

/// Characters of a source line that are shown.
const EXCERPT_CHARS: usize = 120;

/// One remark, from our own check or from the fast path's.
#[derive(Debug)]
pub(crate) struct Finding {
    severity: &'static str,
    /// From 1; 0 if it concerns no line.
    line: u32,
    column: u32,
    message: String,
}

impl From<&wardline_policy::Diagnostic> for Finding {
    fn from(d: &wardline_policy::Diagnostic) -> Self {
        Self {
            severity: match d.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            line: d.position.map_or(0, |p| p.line),
            column: d.position.map_or(0, |p| p.column),
            message: sentence(&d.path, &d.message, d.fix.as_deref()),
        }
    }
}

impl From<&wardline_control::Diagnostic> for Finding {
    fn from(d: &wardline_control::Diagnostic) -> Self {
        Self {
            severity: match d.severity {
                wardline_control::Severity::Error => "error",
                wardline_control::Severity::Warning => "warning",
            },
            line: d.line,
            column: d.column,
            message: sentence(&d.path, &d.message, d.fix.as_deref()),
        }
    }
}

/// Where in the document, what is wrong, what to do.
fn sentence(path: &str, message: &str, fix: Option<&str>) -> String {
    let mut sentence = String::new();
    if !path.is_empty() {
        sentence = format!("{path}: ");
    }
    sentence.push_str(message);
    if let Some(fix) = fix {
        sentence.push_str("; ");
        sentence.push_str(fix);
    }
    sentence
}

/// `file:line:column: error: message`, and the line with a caret under the place.
pub(crate) fn report(source: &Source, findings: &[Finding], out: &mut dyn Write) -> io::Result<()> {
    for finding in findings {
        let place = match (finding.line, finding.column) {
            (0, _) => String::new(),
            (line, 0) => format!("{line}:"),
            (line, column) => format!("{line}:{column}:"),
        };
        let (name, message) = (printable(&source.name), printable(&finding.message));
        writeln!(out, "{name}:{place} {}: {message}", finding.severity)?;
        excerpt(source, finding, out)?;
    }
    Ok(())
}

fn excerpt(source: &Source, finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    let index = (finding.line as usize).wrapping_sub(1);
    let Some(line) = source.text.lines().nth(index) else {
        return Ok(());
    };
    let column = finding.column as usize;
    if column == 0 || column > EXCERPT_CHARS {
        return Ok(());
    }
    let shown: String = line.chars().take(EXCERPT_CHARS).collect();
    let number = finding.line.to_string();
    let margin = " ".repeat(number.len());
    // One cell for one character: tabs become spaces.
    let shown = printable(&shown.replace('\t', " "));
    writeln!(out, "  {number} | {shown}")?;
    writeln!(out, "  {margin} | {}^", " ".repeat(column - 1))
}

/// Reports to standard error and says how many errors there are.
pub(crate) fn refuse(source: &Source, findings: &[Finding]) -> Failure {
    // Nothing to be done when standard error is closed.
    let _ = report(source, findings, &mut io::stderr().lock());
    let errors = findings.iter().filter(|f| f.severity == "error").count();
    let plural = if errors == 1 { "" } else { "s" };
    Failure::input(format!(
        "{} cannot be used: {errors} error{plural}",
        source.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardline_policy::Format;

    #[test]
    fn the_caret_stands_under_the_place() {
        let source = Source {
            name: "ward.toml".into(),
            format: Format::Toml,
            text: "version = 1\n\tnmae = \"x\"\n".into(),
        };
        let finding = Finding {
            severity: "error",
            line: 2,
            column: 2,
            message: "unknown key `nmae`; did you mean `name`?".into(),
        };
        let nowhere = Finding {
            severity: "warning",
            line: 0,
            column: 0,
            message: "no devices".into(),
        };
        let mut out = Vec::new();
        report(&source, &[finding, nowhere], &mut out).unwrap();
        let expected = "\
ward.toml:2:2: error: unknown key `nmae`; did you mean `name`?
  2 |  nmae = \"x\"
    |  ^
ward.toml: warning: no devices
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
