//! What a pattern of the tables finds in a value.
//!
//! A pattern is text in lower case, found anywhere in a value where it stands as a word: at its
//! ends letters may not go on in letters, nor digits in digits. `#` is any digit. `*` at an end
//! lets the word go on there; `^` and `$` hold it to the beginning or the end of the value.

/// A value, ready to be searched.
#[derive(Debug)]
pub(super) struct Text {
    /// In lower case.
    whole: Vec<char>,
    /// The same with a space for a line below, and where a capital begins a word: `IpBridge` is
    /// `ip bridge`.
    parted: Vec<char>,
}

impl Text {
    pub(super) fn new(value: &str) -> Self {
        let characters: Vec<char> = value.chars().collect();
        let mut parted = Vec::with_capacity(characters.len() + 8);
        for (i, &c) in characters.iter().enumerate() {
            let before = i.checked_sub(1).map(|i| characters[i]);
            let after = characters.get(i + 1);
            let begins = c.is_uppercase()
                && before.is_some_and(|b| {
                    b.is_lowercase() || b.is_uppercase() && after.is_some_and(|a| a.is_lowercase())
                });
            if begins {
                parted.push(' ');
            }
            parted.push(if c == '_' {
                ' '
            } else {
                c.to_ascii_lowercase()
            });
        }
        let whole = characters.iter().map(char::to_ascii_lowercase).collect();
        Self { whole, parted }
    }

    /// Whether any of the patterns is found.
    pub(super) fn has(&self, patterns: &[&str]) -> bool {
        patterns.iter().any(|pattern| self.has_one(pattern))
    }

    fn has_one(&self, pattern: &str) -> bool {
        let pattern = Pattern::new(pattern);
        pattern.is_in(&self.whole) || pattern.is_in(&self.parted)
    }
}

#[derive(Debug)]
struct Pattern<'a> {
    text: &'a str,
    at_start: bool,
    at_end: bool,
    begins_inside: bool,
    ends_inside: bool,
}

impl<'a> Pattern<'a> {
    fn new(pattern: &'a str) -> Self {
        let (at_start, text) = strip_start(pattern, '^');
        let (begins_inside, text) = strip_start(text, '*');
        let (at_end, text) = strip_end(text, '$');
        let (ends_inside, text) = strip_end(text, '*');
        Self {
            text,
            at_start,
            at_end,
            begins_inside,
            ends_inside,
        }
    }

    fn is_in(&self, value: &[char]) -> bool {
        let starts = if self.at_start { 0 } else { value.len() };
        (0..=starts).any(|start| self.is_at(value, start))
    }

    fn is_at(&self, value: &[char], start: usize) -> bool {
        let mut end = start;
        for wanted in self.text.chars() {
            let matches = match (wanted, value.get(end)) {
                ('#', Some(c)) => c.is_ascii_digit(),
                (wanted, Some(&c)) => c == wanted,
                (_, None) => false,
            };
            if !matches {
                return false;
            }
            end += 1;
        }
        (!self.at_end || end == value.len())
            && (self.begins_inside || !goes_on(value, start))
            && (self.ends_inside || !goes_on(value, end))
    }
}

/// Whether the two characters that meet at `at` belong to one word.
fn goes_on(value: &[char], at: usize) -> bool {
    let (Some(before), Some(after)) = (at.checked_sub(1).and_then(|i| value.get(i)), value.get(at))
    else {
        return false;
    };
    before.is_alphabetic() && after.is_alphabetic()
        || before.is_ascii_digit() && after.is_ascii_digit()
}

fn strip_start(text: &str, mark: char) -> (bool, &str) {
    let stripped = text.strip_prefix(mark);
    (stripped.is_some(), stripped.unwrap_or(text))
}

fn strip_end(text: &str, mark: char) -> (bool, &str) {
    let stripped = text.strip_suffix(mark);
    (stripped.is_some(), stripped.unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, pattern: &str, found: bool) {
        assert_eq!(
            Text::new(value).has_one(pattern),
            found,
            "{pattern} in {value}"
        );
    }

    #[test]
    fn words_stand_alone() {
        check("IP Camera", "camera", true);
        check("camera01", "camera", true);
        check("cameras", "camera", false);
        check("cameras", "camera*", true);
        check("localcam", "cam", false);
        check("localcam.local", "*cam", true);
        check("camp", "*cam", false);
    }

    #[test]
    fn capitals_begin_words() {
        check("Linux/3.14.0 UPnP/1.0 IpBridge/1.9.0", "bridge", true);
        check("IoTHub", "hub", true);
        check("NetworkCamera", "network camera", true);
        check("GITHUB", "hub", false);
        check("CARESCAPE_R860", "carescape r860", true);
    }

    #[test]
    fn designations_have_digits_and_places() {
        check("HS100(EU)", "hs1##", true);
        check("HS1000", "hs1##", false);
        check("D-Link-DSP-W215-1.7.5", "dsp-w###", true);
        check("xdsp-w215", "dsp-w###", false);
        check("ci=2", "^ci=2$", true);
        check("ci=20", "^ci=2$", false);
        check("sci=2", "^ci=2$", false);
        check("", "^ci=2$", false);
    }
}
