//! Facts as tokens a lexicon can learn: without what belongs to one unit and not to its kind.
//!
//! Serial numbers, MAC addresses and their ends, UUIDs and IP addresses are masked, so that what
//! is learnt from one unit holds for the next; and versions, so that it holds for the next firmware.

use wardline_policy::MacAddr;

use crate::{Fact, Field};

/// Stands for what was masked.
const MASK: char = '#';
/// The end of a MAC address has at least so many digits where makers write it in names.
const MAC_PART: usize = 4;
/// Longer runs of decimal or hexadecimal digits number a unit.
const DIGITS_MAX: usize = 5;

/// `field=value`, in lower case.
pub fn token(fact: &Fact, mac: MacAddr) -> String {
    let field = fact.field.name();
    if matches!(fact.field, Field::TlsJa3 | Field::TlsJa4) {
        // A digest is of the software, and none of its digits means anything alone.
        return format!("{field}={}", fact.value);
    }
    format!("{field}={}", mask(&fact.value, mac))
}

/// The value in lower case with all runs of digits and letters that name a unit masked.
fn mask(value: &str, mac: MacAddr) -> String {
    let own: String = mac.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let value = value.to_lowercase();
    let mut masked = String::with_capacity(value.len());
    for run in runs(&value) {
        if names_a_unit(run, &own) {
            if !masked.ends_with(MASK) {
                masked.push(MASK);
            }
        } else {
            masked.push_str(run);
        }
    }
    masked
}

/// Runs of letters and digits; addresses, UUIDs and versions, whose parts belong together, are one.
fn runs(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = value;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = if first.is_ascii_alphanumeric() {
            compound(rest).unwrap_or_else(|| run_len(rest, |c| c.is_ascii_alphanumeric()))
        } else {
            first.len_utf8()
        };
        let (run, after) = rest.split_at(end);
        rest = after;
        Some(run)
    })
}

fn run_len(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// Length of a UUID, a MAC address, an IPv4 address or a version at the beginning.
fn compound(text: &str) -> Option<usize> {
    let uuid = run_len(text, |c| c.is_ascii_hexdigit() || c == '-');
    let parts = |separator: char, len: usize| text[..len].split(separator);
    if parts('-', uuid).map(str::len).eq([8, 4, 4, 4, 12]) {
        return Some(uuid);
    }
    for separator in [':', '-'] {
        let len = run_len(text, |c| c.is_ascii_hexdigit() || c == separator);
        if parts(separator, len).map(str::len).eq([2; 6]) {
            return Some(len);
        }
    }
    let dotted = run_len(text, |c| c.is_ascii_digit() || c == '.');
    let dotted = text[..dotted].trim_end_matches('.');
    dotted.contains('.').then_some(dotted.len())
}

fn names_a_unit(run: &str, own: &str) -> bool {
    let hex = run.chars().all(|c| c.is_ascii_hexdigit());
    let digits = run.chars().filter(char::is_ascii_digit).count();
    let long = run.len() > DIGITS_MAX && digits > 0;
    let compound = run.len() > 1 && run.contains([':', '-', '.']);
    // A name run together with the end of the address, such as `plug4a7649`.
    let end = run.len().saturating_sub(MAC_PART);
    let glued = run.is_char_boundary(end) && own.ends_with(&run[end..]) && run.len() > MAC_PART;
    let part = hex && run.len() >= MAC_PART && own.contains(run);
    compound || part || glued || (hex && long) || digits > DIGITS_MAX
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Field;

    const MAC: MacAddr = MacAddr([0x74, 0xda, 0x38, 0x4a, 0x76, 0x49]);

    #[track_caller]
    fn check(value: &str, expect: &str) {
        assert_eq!(mask(value, MAC), expect);
    }

    #[test]
    fn units_are_masked_and_kinds_are_not() {
        check("DCS-930L", "dcs-930l");
        check("Edimax 74DA384A7649", "edimax #");
        check("smartplug-7649", "smartplug-#");
        check("plug4a7649", "#");
        check("uuid:Socket-1_0-221516K0101769", "uuid:socket-1_0-#");
        check("uuid:38323636-4558-4dda-9188-cda0e6164976", "uuid:#");
        check("12:34:56:78:9a:bc and 192.168.1.20", "# and #");
        check("UPnP/1.0 Linux 2.6.31.", "upnp/# linux #.");
        check("1,3,6,12", "1,3,6,12");
        check("sn 20158321", "sn #");
    }

    #[test]
    fn a_digest_stays_whole() {
        let fact = Fact::new(Field::TlsJa3, "146c6a6537ba4cc22d874bf8ff346144").unwrap();
        assert_eq!(
            token(&fact, MAC),
            "tls.ja3=146c6a6537ba4cc22d874bf8ff346144"
        );
    }

    proptest! {
        #[test]
        fn any_value_has_a_token(value in "\\PC{1,80}") {
            if let Some(fact) = Fact::new(Field::Banner, &value) {
                prop_assert!(token(&fact, MAC).starts_with("banner.text="));
            }
        }
    }
}
