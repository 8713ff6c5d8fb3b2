//! What would change an answer, in sentences.

use super::Answer;
use crate::Role;
use crate::device::Evidence;
use crate::knowledge::{Family, proofs};

/// Sentences an answer carries at most.
const SENTENCES: usize = 3;

/// What would decide an undecided answer, prove an unproven one, or overturn a proven one.
pub(super) fn what_would_change(answer: &Answer, evidence: &Evidence) -> Vec<String> {
    let mut sentences = Vec::new();
    match answer.role {
        Some(role) if answer.may_enforce => {
            let rival = answer.chances.ranked().into_iter().map(|(rival, _)| rival);
            let rival = rival.filter(|&rival| rival != role).find_map(|rival| {
                unseen_proof(rival, evidence).map(|proof| format!("{}, {proof}", doubt(rival)))
            });
            sentences.extend(rival);
            sentences.push("A person corrects it".to_owned());
        }
        Some(role) => {
            let proof = unseen_proof(role, evidence);
            sentences.extend(proof.map(|proof| format!("It would be proven {proof}")));
            sentences.push("A person confirms or corrects it".to_owned());
        }
        None => {
            for &role in &answer.roles {
                let proof = unseen_proof(role, evidence);
                sentences.extend(proof.map(|proof| format!("It is a {} {proof}", role.words())));
            }
            if answer.roles.is_empty() {
                sentences.extend(silence(evidence));
            }
            sentences.push("A person says what it is".to_owned());
        }
    }
    sentences.truncate(SENTENCES);
    sentences
}

fn doubt(rival: Role) -> String {
    format!("It would be in doubt, in favour of {}", rival.words())
}

/// A statement that would prove the role and was not made: "if it serves live video".
fn unseen_proof(role: Role, evidence: &Evidence) -> Option<String> {
    let said = |sentence: &str| {
        let mut noted = evidence.noted().iter();
        noted.any(|noted| noted.meaning.sentence == sentence)
    };
    let sentence = proofs(role).find(|sentence| !said(sentence))?;
    let mut letters = sentence.chars();
    let first = letters.next()?.to_lowercase();
    Some(format!("if it {first}{}", letters.as_str()))
}

/// What a device that says little of itself has not said yet.
fn silence(evidence: &Evidence) -> Option<String> {
    let heard = |family: Family| {
        let mut noted = evidence.noted().iter();
        noted.any(|noted| noted.meaning.family == family)
    };
    let missing: Vec<&str> = [
        (Family::Name, "a host name (at its next DHCP request)"),
        (
            Family::Announcement,
            "an announcement (mDNS, SSDP, WS-Discovery)",
        ),
        (
            Family::Service,
            "an answer to a request (web, video, print)",
        ),
        (Family::Dicom, "a DICOM association or an HL7 message"),
    ]
    .into_iter()
    .filter_map(|(family, words)| (!heard(family)).then_some(words))
    .collect();
    (!missing.is_empty()).then(|| format!("It says more of itself: {}", missing.join(", ")))
}
