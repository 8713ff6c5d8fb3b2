//! Finds what was altered, removed or put elsewhere in an audit log.

use std::path::Path;

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};

use super::resume::{self, Gap};
use super::signer::{self, Head};
use super::{BEGINNING, Body, hash};

/// A record with its proof: a line of the export, a row of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The text that was hashed.
    pub body: String,
    /// Its SHA-256, hexadecimal.
    pub hash: String,
    /// Ed25519 over number and hash, hexadecimal.
    pub signature: String,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The record it was found at.
    pub seq: i64,
    /// What is wrong, in a sentence.
    pub what: String,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Records looked at.
    pub records: u64,
    /// Number of the last one.
    pub last: i64,
    /// What is wrong, in the order of the records; at most [`FINDINGS`].
    pub findings: Vec<Finding>,
    /// What is not wrong and yet should be known: restores that lost records. At most [`FINDINGS`].
    pub notes: Vec<Finding>,
}

/// Findings in one verdict: whoever needs more has lost the log.
pub const FINDINGS: usize = 100;

/// Takes records one after the other.
#[derive(Debug)]
pub struct Verifier {
    key: VerifyingKey,
    head: Option<Head>,
    expected: i64,
    previous: String,
    met_head: bool,
    /// Without a head the end cannot be judged.
    wants_head: bool,
    verdict: Verdict,
}

impl Verifier {
    /// With a public key (hexadecimal) and the head that was kept apart, if there is one.
    ///
    /// # Errors
    /// When the text is no public key.
    pub fn new(public: &str, head: Option<Head>) -> Result<Self, String> {
        let key = signer::read_public(public)
            .ok_or("the public key is not 64 hexadecimal digits of an Ed25519 key")?;
        let given = head.is_some();
        let head = head.filter(|head| head.is_signed(&key));
        Ok(Self {
            key,
            met_head: head.is_none(),
            wants_head: given && head.is_none(),
            head,
            expected: 1,
            previous: BEGINNING.to_owned(),
            verdict: Verdict {
                records: 0,
                last: 0,
                findings: Vec::new(),
                notes: Vec::new(),
            },
        })
    }

    /// With what lies in a state directory, in which there is a head since the first record.
    ///
    /// # Errors
    /// When there is no public key.
    pub fn beside(dir: &Path) -> Result<Self, String> {
        let mut verifier = Self::new(&public_key(dir)?, Head::beside(dir))?;
        verifier.wants_head = verifier.head.is_none();
        Ok(verifier)
    }

    /// With the public key in a state directory, for a copy that is older than its head.
    ///
    /// # Errors
    /// When there is no public key.
    pub fn alone(dir: &Path) -> Result<Self, String> {
        Self::new(&public_key(dir)?, None)
    }

    /// Looks at the next record, and gives back what it says, if it says anything.
    pub fn take(&mut self, line: &Line) -> Option<Body> {
        let Ok(body) = serde_json::from_str::<Body>(&line.body) else {
            self.take_unreadable();
            self.previous.clone_from(&line.hash);
            return None;
        };
        self.verdict.records += 1;
        if body.seq > self.expected {
            let missing = self.expected..body.seq;
            let what = if missing.end - missing.start == 1 {
                "is missing".to_owned()
            } else {
                format!("and those up to {} are missing", body.seq - 1)
            };
            self.find(self.expected, &what);
        } else if body.seq < self.expected {
            self.find(body.seq, "stands in the wrong place, or twice");
        } else if body.previous != self.previous {
            self.find(body.seq, "does not follow the record before it");
        }
        if hash(&line.body) != line.hash {
            self.find(body.seq, "was altered: its text does not have its hash");
        }
        if !signer::is_signed(&self.key, body.seq, &line.hash, &line.signature) {
            self.find(body.seq, "is not signed by this appliance");
        }
        if let Some(head) = self.head.as_ref().filter(|head| head.seq == body.seq) {
            let same = head.hash == line.hash;
            self.met_head = true;
            if !same {
                self.find(body.seq, "is not the record that the head kept apart names");
            }
        }
        match resume::gap(&body) {
            Some(Gap::Unexplained(what)) => self.find(body.seq, &what),
            Some(Gap::Restored(what)) => note(&mut self.verdict.notes, body.seq, &what),
            None => {}
        }
        self.previous.clone_from(&line.hash);
        self.expected = body.seq + 1;
        self.verdict.last = body.seq;
        Some(body)
    }

    /// The next record is not even one.
    pub fn take_unreadable(&mut self) {
        self.verdict.records += 1;
        self.find(self.expected, "its text is no audit record");
        self.expected += 1;
    }

    /// All records were given.
    pub fn finish(mut self) -> Verdict {
        if let Some(head) = self.head.take().filter(|_| !self.met_head) {
            let what = format!(
                "the log ends before record {}, which the head kept apart names",
                head.seq
            );
            self.find(self.verdict.last, &what);
        }
        if self.wants_head && self.verdict.records > 0 {
            let what = "there is no head kept apart that this appliance signed: whether the end was \
                        cut off cannot be told";
            self.find(self.verdict.last, what);
        }
        self.verdict
    }

    pub(super) fn find(&mut self, seq: i64, what: &str) {
        note(&mut self.verdict.findings, seq, what);
    }
}

fn note(list: &mut Vec<Finding>, seq: i64, what: &str) {
    if list.len() < FINDINGS {
        list.push(Finding {
            seq,
            what: what.to_owned(),
        });
    }
}

fn public_key(dir: &Path) -> Result<String, String> {
    signer::public_beside(dir).ok_or_else(|| format!("no audit.pub in {}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Signer;
    use crate::time::Time;

    /// A chain of five, with what verifies it.
    fn chain() -> (tempfile::TempDir, Vec<Line>, Head) {
        let dir = tempfile::tempdir().expect("a folder");
        let signer = Signer::open(dir.path()).expect("a key");
        let (mut previous, mut lines) = (BEGINNING.to_owned(), Vec::new());
        let mut head = None;
        for seq in 1..=5 {
            let body = Body {
                seq,
                time: Time::from_us(seq),
                who: "user:anna".to_owned(),
                address: None,
                operation: "update_device".to_owned(),
                subject: format!("device/{seq}"),
                reason: None,
                before: None,
                after: None,
                previous: previous.clone(),
            };
            let body = serde_json::to_string(&body).expect("JSON");
            let signed = signer.sign(seq, hash(&body));
            previous.clone_from(&signed.hash);
            lines.push(Line {
                body,
                hash: signed.hash.clone(),
                signature: signed.signature.clone(),
            });
            head = Some(signed);
        }
        (dir, lines, head.expect("five"))
    }

    fn findings(dir: &Path, lines: &[Line], head: Option<Head>) -> Vec<(i64, String)> {
        let public = public_key(dir).expect("a key");
        let mut verifier = Verifier::new(&public, head).expect("a key");
        for line in lines {
            verifier.take(line);
        }
        let verdict = verifier.finish();
        verdict
            .findings
            .into_iter()
            .map(|f| (f.seq, f.what))
            .collect()
    }

    #[test]
    fn a_whole_chain_has_no_findings() {
        let (dir, lines, head) = chain();
        assert_eq!(findings(dir.path(), &lines, Some(head)), []);
    }

    #[test]
    fn whatever_is_done_to_it_is_found() {
        let (dir, lines, head) = chain();
        let altered = |at: usize, from: &str, to: &str| {
            let mut lines = lines.clone();
            lines[at].body = lines[at].body.replace(from, to);
            lines
        };
        let mut rehashed = altered(2, "anna", "otto");
        rehashed[2].hash = hash(&rehashed[2].body);
        let mut removed = lines.clone();
        removed.remove(1);
        let mut swapped = lines.clone();
        swapped.swap(1, 2);
        let cases = [
            (altered(2, "anna", "otto"), 3, "altered"),
            (rehashed, 3, "not signed"),
            (removed, 2, "missing"),
            (swapped, 2, "missing"),
            (lines[..4].to_vec(), 4, "the log ends before record 5"),
            (altered(0, "{", "["), 1, "no audit record"),
        ];
        for (lines, seq, what) in cases {
            let found = findings(dir.path(), &lines, Some(head.clone()));
            let first = found.first().expect("something is found");
            assert_eq!(first.0, seq, "{found:?}");
            assert!(first.1.contains(what), "{found:?}");
        }
    }

    #[test]
    fn another_appliances_log_is_not_ours() {
        let (_theirs, lines, _) = chain();
        let (ours, _, _) = chain();
        assert_eq!(findings(ours.path(), &lines, None).len(), 5);
    }
}
