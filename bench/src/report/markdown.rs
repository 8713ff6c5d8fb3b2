//! The table people read.

use std::fmt::Write;

use super::stats::{Figure, Spread};
use super::target::{Row, Target};
use super::{Report, is_ours};
use crate::{Better, Suite};

/// The whole report in Markdown.
pub fn table(report: &Report) -> String {
    let mut text = String::from("# Wardline next to its alternatives\n\n");
    text.push_str(&report.facts.markdown(&report.command, report.rounds));
    targets(&mut text, &report.targets);
    let mut suites: Vec<Suite> = report.figures.iter().map(|f| f.suite).collect();
    suites.dedup();
    for suite in suites {
        figures(&mut text, report, suite);
    }
    absent(&mut text, report);
    text
}

fn targets(text: &mut String, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    text.push_str(
        "## Figures to reach\n\n| figure | target | measured | reached |\n|---|---|---|---|\n",
    );
    for row in rows {
        let (measured, reached) = match &row.spread {
            Some(spread) => (range(spread), if row.reached { "yes" } else { "no" }),
            None => ("not measured".to_owned(), "-"),
        };
        let Target { figure, .. } = row.target;
        put(
            text,
            format_args!("| {figure} | {} | {measured} | {reached} |\n", row.wanted()),
        );
    }
    text.push('\n');
}

fn figures(text: &mut String, report: &Report, suite: Suite) {
    let of_suite = || report.figures.iter().filter(move |f| f.suite == suite);
    let ours: Vec<&str> = distinct(of_suite().map(|f| f.system.as_str()).filter(|s| is_ours(s)));
    put(text, format_args!("## Suite `{}`\n\n", name(suite)));
    let metrics = distinct(of_suite().map(|f| {
        (
            f.metric.as_str(),
            f.unit.as_str(),
            f.better == Better::Higher,
        )
    }));
    for (metric, unit, higher) in metrics {
        let better = if higher { "higher" } else { "lower" };
        put(
            text,
            format_args!("### {metric} in {unit} ({better} is better)\n\n"),
        );
        let ratios: String = ours.iter().map(|o| format!(" {o} ÷ it |")).collect();
        put(
            text,
            format_args!("| corner | system | median | min | max |{ratios}\n"),
        );
        put(
            text,
            format_args!("|---|---|--:|--:|--:|{}\n", "--:|".repeat(ours.len())),
        );
        let mut corner = "";
        for figure in of_suite().filter(|f| f.metric == metric && f.unit == unit) {
            let shown = if figure.corner == corner {
                ""
            } else {
                &figure.corner
            };
            corner = &figure.corner;
            let Spread {
                median, min, max, ..
            } = figure.spread;
            put(
                text,
                format_args!(
                    "| {shown} | {} | {} | {} | {} |{}\n",
                    figure.system,
                    digits(median),
                    digits(min),
                    digits(max),
                    ratio_cells(report, figure, &ours),
                ),
            );
        }
        text.push('\n');
    }
}

fn ratio_cells(report: &Report, figure: &Figure, ours: &[&str]) -> String {
    let cell = |ours: &&str| {
        let found = report.ratios.iter().find(|r| {
            r.ours == **ours
                && (r.suite, &r.corner, &r.metric, &r.peer)
                    == (figure.suite, &figure.corner, &figure.metric, &figure.system)
        });
        let text = found.map(|ratio| range(&ratio.spread)).unwrap_or_default();
        format!(" {text} |")
    };
    ours.iter().map(cell).collect()
}

fn absent(text: &mut String, report: &Report) {
    if report.absent.is_empty() {
        return;
    }
    text.push_str("## Absent\n\n| suite | corner | system | why |\n|---|---|---|---|\n");
    for absent in &report.absent {
        let corner = if absent.corner.is_empty() {
            "all"
        } else {
            &absent.corner
        };
        let reason = absent.reason.replace('|', "\\|").replace('\n', " ");
        put(
            text,
            format_args!(
                "| {} | {corner} | {} | {reason} |\n",
                name(absent.suite),
                absent.system
            ),
        );
    }
    text.push('\n');
}

/// As on the command line.
pub fn name(suite: Suite) -> &'static str {
    match suite {
        Suite::Raw => "raw",
        Suite::Wire => "wire",
        Suite::Application => "application",
        Suite::Policy => "policy",
    }
}

/// Median with minimum and maximum.
fn range(spread: &Spread) -> String {
    let Spread {
        median, min, max, ..
    } = *spread;
    format!("{} ({}–{})", digits(median), digits(min), digits(max))
}

/// Three significant digits, more only where they stand before the point.
pub fn digits(value: f64) -> String {
    let whole = value.abs().log10().floor() as i32 + 1;
    let decimals = if value == 0.0 {
        0
    } else {
        (3 - whole).clamp(0, 6)
    };
    format!("{value:.*}", decimals as usize)
}

fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut list = Vec::new();
    for item in items {
        if !list.contains(&item) {
            list.push(item);
        }
    }
    list
}

/// Writing to a `String` cannot fail.
fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::super::stats::tests::sample;
    use super::*;
    use crate::machine::Facts;
    use crate::{Absent, Findings};

    #[test]
    fn numbers_have_three_significant_digits() {
        let shown = [0.0, 0.01234, 0.5, 1.0, 12.345, 123.45, 12_345.6].map(digits);
        assert_eq!(
            shown,
            ["0", "0.0123", "0.500", "1.00", "12.3", "123", "12346"]
        );
    }

    #[test]
    fn a_peer_has_its_ratio_and_an_absent_one_its_reason() {
        let found = Findings {
            samples: vec![
                sample("64 B", "wardline", 0, 12.0),
                sample("64 B", "switch", 0, 2.0),
            ],
            absent: vec![Absent {
                suite: Suite::Raw,
                corner: String::new(),
                system: "other".into(),
                reason: "no such program".into(),
            }],
        };
        let report = Report::new("bench".into(), true, 1, Facts::default(), found);
        let text = table(&report);
        assert!(
            text.contains("| 64 B | wardline | 12.0 | 12.0 | 12.0 |  |\n"),
            "{text}"
        );
        assert!(
            text.contains("|  | switch | 2.00 | 2.00 | 2.00 | 6.00 (6.00–6.00) |\n"),
            "{text}"
        );
        assert!(
            text.contains("| raw | all | other | no such program |\n"),
            "{text}"
        );
    }
}
