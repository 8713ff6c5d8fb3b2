//! What others know of devices, addresses and users, handed over for a time.

use serde::{Deserialize, Serialize};
use wardline_policy::DeviceKey;
use wardline_policy::scalar::Prefix;

/// Whom a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A device.
    Device(DeviceKey),
    /// An address, or all of a network.
    Network(Prefix),
    /// A person, by the name they log in with; at most `NAME_BYTES`.
    User(String),
}

/// What one source says of one subject. Attributes that are absent are not spoken of; each has at
/// most `CONTEXT_TEXT_BYTES`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextEntry {
    /// Whom it is about.
    pub subject: Subject,
    /// Who is logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// How well kept it is, such as `patched` or `infected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// How confidential the data is that it handles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_sensitivity: Option<String>,
    /// Who says so; at most `NAME_BYTES`. One entry for each subject and source.
    pub source: String,
    /// When it was so.
    pub observed_us: u64,
    /// From then on it does not count any more; at most `CONTEXT_LIFETIME_S` from now.
    pub expires_us: u64,
}

/// One page of context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextPage {
    /// The entries that count now, in the order they were given.
    pub entries: Vec<ContextEntry>,
    /// Cursor of the next page; absent on the last one.
    pub next: Option<u64>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_subject_is_named_by_its_sort() {
        let written = json!([
            { "device": { "mac": "00:09:fb:00:00:01", "vlan": { "outer": 7, "inner": 0 } } },
            { "network": "10.1.0.0/16" },
            { "network": "10.1.0.9" },
            { "user": "nurse-7" },
        ]);
        let subjects: Vec<Subject> = serde_json::from_value(written.clone()).expect("subjects");
        assert!(matches!(subjects[1], Subject::Network(network) if !network.is_host()));
        assert_eq!(serde_json::to_value(subjects).expect("JSON"), written);
        let crooked = serde_json::from_value::<Subject>(json!({ "network": "10.1.0.9/16" }));
        assert!(crooked.is_err(), "{crooked:?}");
    }
}
