//! What was measured, as a table in Markdown.

use std::fmt::Write as _;

use super::{Measured, Outcome};

/// The table: a line for each question, smallest and largest size beside each other.
pub fn table(measured: &Measured) -> String {
    let mut text = String::new();
    let (Some(small), Some(large)) = (measured.outcomes.first(), measured.outcomes.last()) else {
        return text;
    };
    let title = |outcome: &Outcome| {
        let size = outcome.size;
        format!("{} devices, {} records", size.devices, size.records)
    };
    let _ = writeln!(
        text,
        "{} requests at a time, {} listeners, seed {}\n",
        measured.connections, measured.listeners, measured.seed
    );
    let _ = writeln!(
        text,
        "| question | {}: p50, p99 in ms | {}: p50, p99, most in ms | p99 ÷ p99 |\n|---|---|---|---|",
        title(small),
        title(large)
    );
    for (a, b) in small.figures.iter().zip(&large.figures) {
        let _ = writeln!(
            text,
            "| {} | {:.1}, {:.1} | {:.1}, {:.1}, {:.1} | {:.1} |",
            a.name,
            a.p50_ms,
            a.p99_ms,
            b.p50_ms,
            b.p99_ms,
            b.max_ms,
            b.p99_ms / a.p99_ms
        );
    }
    for outcome in [small, large] {
        let _ = writeln!(
            text,
            "\n{}: {:.0} answers a second, {:.0} MiB resident at most, {} notes written, {} events heard",
            title(outcome),
            outcome.answers_per_s,
            outcome.resident_mib,
            outcome.notes,
            outcome.heard
        );
    }
    text
}
