//! The last lines of a log, without anything that names a person, a device or a secret.
//!
//! A line of ours is `TIME LEVEL TARGET: SENTENCE field=value …`. Time, level, target and sentence
//! stay, since sentences are fixed; of the fields, numbers stay, and of `error` what it says
//! outside quotation marks. Whatever looks like an address, a key or a token goes wherever it
//! stands. A line of any other form goes as a whole.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Bytes that are looked at, from the end.
const BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of a line that are kept.
const LINE_BYTES: usize = 1_024;
/// The longest run of letters, digits and signs that may be a word of a sentence.
const WORD_BYTES: usize = 24;
/// What stands in the place of what was taken out.
const GONE: &str = "…";

/// The last `count` lines that `wanted` takes, scrubbed.
pub(super) fn tail(path: &Path, count: usize, wanted: impl Fn(&str) -> bool) -> io::Result<String> {
    let mut file = File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = text
        .lines()
        .rev()
        .filter(|line| wanted(line))
        .take(count)
        .map(scrub)
        .collect();
    Ok(lines.into_iter().rev().map(|line| line + "\n").collect())
}

/// Whether a line tells of something that failed or that a person should look at.
pub(super) fn is_trouble(line: &str) -> bool {
    let level = line.split_whitespace().nth(1);
    level.is_some_and(|level| level == "ERROR" || level == "WARN")
}

fn scrub(line: &str) -> String {
    let end = line.char_indices().map(|(at, _)| at);
    let end = end.take_while(|at| *at <= LINE_BYTES).last().unwrap_or(0);
    let line = if line.len() > LINE_BYTES {
        &line[..end]
    } else {
        line
    };
    let Some((head, rest)) = head(line) else {
        return GONE.to_owned();
    };
    let (sentence, fields) = split_fields(rest);
    let mut scrubbed = format!("{head} {}", words(&unquoted(sentence)));
    for (name, value) in fields {
        let value = value.trim();
        let kept = if name == "error" {
            words(&unquoted(value))
        } else if value.parse::<f64>().is_ok() || value == "true" || value == "false" {
            value.to_owned()
        } else {
            GONE.to_owned()
        };
        scrubbed.push_str(&format!(" {name}={kept}"));
    }
    scrubbed
}

/// Time, level and target, and what follows.
fn head(line: &str) -> Option<(String, &str)> {
    let (time, rest) = line.split_once(' ')?;
    time.parse::<crate::time::Time>().ok()?;
    let (level, rest) = rest.trim_start().split_once(' ')?;
    let known = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
    let level = known.into_iter().find(|known| *known == level)?;
    let (target, rest) = rest.split_once(": ")?;
    let ours = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == ':';
    target
        .chars()
        .all(ours)
        .then(|| (format!("{time} {level} {target}:"), rest))
}

/// The sentence, and the fields behind it; a value goes on up to the next ` name=`.
fn split_fields(text: &str) -> (&str, Vec<(&str, &str)>) {
    let mut starts = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find('=').map(|at| at + from) {
        let name_at = text[..at].rfind(' ').map_or(0, |space| space + 1);
        let name = &text[name_at..at];
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
        if !name.is_empty() && name.chars().all(is_name) && name_at >= from {
            starts.push((name_at, at));
        }
        from = at + 1;
    }
    let sentence = starts
        .first()
        .map_or(text, |(name_at, _)| &text[..*name_at]);
    let ends = starts.iter().skip(1).map(|(name_at, _)| *name_at);
    let ends = ends.chain([text.len()]);
    let fields = starts.iter().zip(ends);
    let fields = fields.map(|((name_at, at), end)| (&text[*name_at..*at], &text[at + 1..end]));
    (sentence.trim_end(), fields.collect())
}

/// Without what stands between quotation marks; from an unpaired one on, everything goes.
fn unquoted(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(['`', '"', '\'']) {
        let mark = &rest[at..=at];
        out.push_str(&rest[..at]);
        out.push_str(GONE);
        let Some(end) = rest[at + 1..].find(mark) else {
            return out;
        };
        rest = &rest[at + 1 + end + 1..];
    }
    out + rest
}

/// Without words that look like addresses, keys, tokens or paths.
fn words(text: &str) -> String {
    let words = text.split_whitespace();
    let words = words.map(|word| if is_telling(word) { GONE } else { word });
    words.collect::<Vec<_>>().join(" ")
}

fn is_telling(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    let digits = bare.chars().filter(char::is_ascii_digit).count();
    bare.len() > WORD_BYTES
        || word.contains(['@', '/', '\\', '_'])
        || digits > 5
        || (digits > 0 && bare.contains(['.', ':', '-']))
        || bare.matches(':').count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-11-24T22:00:00.000000Z";

    #[test]
    fn what_helps_stays_and_what_names_somebody_goes() {
        let said = |text: &str| scrub(&format!("{TIME}  WARN wardline_mgmt::store: {text}"));
        let kept = |text: &str| format!("{TIME} WARN wardline_mgmt::store: {text}");
        for (text, left) in [
            ("the history is damaged", "the history is damaged"),
            (
                "a login failed user=anna attempts=3",
                "a login failed user=… attempts=3",
            ),
            (
                "it failed error=the name `anna` is taken by otto@ward.example",
                "it failed error=the name … is taken by …",
            ),
            (
                "peer 10.20.0.7 and 00:09:fb:12:34:56 left",
                "peer … and … left",
            ),
            ("token wardline_abcdefghijkl came", "token … came"),
            ("reason=\"Mrs Smith's pump\" count=2", " reason=… count=2"),
        ] {
            assert_eq!(said(text), kept(left), "{text}");
        }
    }

    #[test]
    fn a_line_that_is_not_ours_goes_as_a_whole() {
        for line in ["MSH|^~\\&|PUMP|Doe^John", "thread 'x' panicked at y", ""] {
            assert_eq!(scrub(line), GONE);
        }
    }

    #[test]
    fn the_tail_is_the_end_and_trouble_is_told_apart() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let line = |level: &str, number: u32| format!("{TIME} {level} a: line number={number}\n");
        let text: String = (0..9)
            .map(|n| line(if n % 2 == 0 { "INFO" } else { "ERROR" }, n))
            .collect();
        std::fs::write(file.path(), text).expect("written");
        let last = tail(file.path(), 2, |_| true).expect("read");
        assert_eq!(last, line("ERROR", 7) + &line("INFO", 8));
        let trouble = tail(file.path(), 2, is_trouble).expect("read");
        assert_eq!(trouble, line("ERROR", 5) + &line("ERROR", 7));
    }
}
