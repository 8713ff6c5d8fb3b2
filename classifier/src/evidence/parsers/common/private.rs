//! What is left out of texts that otherwise tell of devices: addresses of people, and the parts of
//! a path that could name a person, a patient or a key.

/// Longest part of a path that is a word and not a key.
const WORD_MAX: usize = 32;
/// Digits in a row that a version or a model has, and a number of a person more.
const DIGITS_MAX: usize = 3;
/// The same for digits in all, which keys are full of.
const ALL_DIGITS_MAX: usize = 6;
/// Parts of a path behind which the name or number of somebody follows.
const SOMEBODY: [&str; 18] = [
    "account",
    "accounts",
    "doctor",
    "encounter",
    "home",
    "id",
    "login",
    "mrn",
    "name",
    "nurse",
    "patient",
    "patients",
    "people",
    "person",
    "physician",
    "subject",
    "user",
    "users",
];

/// A text without the words that hold an e-mail address.
pub(super) fn without_addresses(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let words = text.split_whitespace().filter(|word| !is_address(word));
    words.collect::<Vec<_>>().join(" ")
}

/// Whether a word holds an e-mail address.
fn is_address(word: &str) -> bool {
    word.char_indices().any(|(at, character)| {
        let edge = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        character == '@'
            && edge(word[..at].chars().next_back())
            && edge(word[at + 1..].chars().next())
    })
}

/// A path with `*` in place of what could be the name or number of a person, or a key. What
/// follows the word patient (or the like) is left out altogether.
pub(super) fn path(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    let mut parts = Vec::new();
    for part in path.split('/') {
        parts.push(if is_word(part) { part } else { "*" });
        if SOMEBODY.iter().any(|word| part.eq_ignore_ascii_case(word)) {
            break;
        }
    }
    parts.join("/")
}

fn is_word(part: &str) -> bool {
    let digits = part
        .split(|c: char| !c.is_ascii_digit())
        .map(str::len)
        .max();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    part.len() <= WORD_MAX
        && part.chars().all(plain)
        && digits.is_none_or(|digits| digits <= DIGITS_MAX)
        && part.bytes().filter(u8::is_ascii_digit).count() <= ALL_DIGITS_MAX
        && (part.is_empty() || part.contains(|c: char| c.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_people_are_left_out() {
        assert_eq!(
            without_addresses(b"FTP ready,  contact <jo.doe@ward.example> @ 3pm"),
            "FTP ready, contact @ 3pm"
        );
    }

    #[test]
    fn a_path_keeps_words_versions_and_models() {
        for kept in [
            "/",
            "/HNAP1/",
            "/cgi-bin/once",
            "/firmware/agent/DCH-S150/D-Link-DCH-S150-1.7.5-AX",
            "/onvif/device_service",
        ] {
            assert_eq!(path(kept.as_bytes()), kept);
        }
    }

    #[test]
    fn a_path_loses_keys_numbers_and_people() {
        for (whole, left) in [
            (
                "/api/65abd4db77a7f9dfbbb33e77afd6da6/lights",
                "/api/*/lights",
            ),
            ("/fhir/Patient/Doe-John/x", "/fhir/Patient"),
            ("/studies/1.2.840.113619.2.55", "/studies/*"),
            ("/ward/7/MRN0012345", "/ward/*/*"),
            ("/a%20b/c@d", "/*/*"),
            ("/~anna/x", "/*/x"),
            ("/login/jane.doe", "/login"),
        ] {
            assert_eq!(path(whole.as_bytes()), left);
        }
    }
}
