//! A journal that is altered, cut, put together differently, or half written.

use std::fs;
use std::path::Path;

use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use wardline_policy::{DeviceKey, MacAddr, VlanKey};

use super::*;
use crate::Role;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn device(n: u8) -> DeviceKey {
    DeviceKey {
        mac: MacAddr([2, 0, 0, 0, 0, n]),
        vlan: VlanKey::default(),
    }
}

fn said(action: Action) -> Statement {
    Statement {
        time_ns: 1_800_000_000_000_000_000,
        who: "B. Medtech".into(),
        action,
        reason: "label on the \"bed\"".into(),
        evidence: Some(Digest([3; 32])),
    }
}

fn confirm(n: u8, role: Role) -> Statement {
    let device = device(n);
    said(Action::Confirm { device, role })
}

fn open(dir: &Path) -> Journal {
    Journal::open(dir, key()).unwrap().0
}

/// A journal of five records.
fn written(dir: &Path) -> Journal {
    let mut journal = open(dir);
    journal.append(confirm(1, Role::InfusionPump)).unwrap();
    journal.append(confirm(2, Role::PatientMonitor)).unwrap();
    let (device, from, to) = (device(2), Some(Role::PatientMonitor), Role::Ventilator);
    journal
        .append(said(Action::Correct { device, from, to }))
        .unwrap();
    journal.append(said(Action::Undo { sequence: 1 })).unwrap();
    let (adaptation, accepted) = (Digest([9; 32]), true);
    let learn = Action::Learn {
        adaptation,
        accepted,
    };
    journal.append(said(learn)).unwrap();
    journal
}

/// What is wrong with the journal after its lines were changed.
fn faults(change: impl FnOnce(&mut Vec<String>)) -> Vec<String> {
    let temp = tempfile::tempdir().unwrap();
    drop(written(temp.path()));
    let path = temp.path().join("journal.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(&path, text).unwrap();
    let error = Journal::open(temp.path(), key()).unwrap_err();
    let VerifyError::Faults(faults) = error else {
        panic!("{error}");
    };
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn what_was_written_is_read_again_in_order() {
    let temp = tempfile::tempdir().unwrap();
    let journal = written(temp.path());
    let (records, head) = (journal.records().to_vec(), journal.head());
    drop(journal);
    let journal = open(temp.path());
    assert_eq!(journal.records(), records);
    assert_eq!(journal.head(), head);
    assert_eq!(head.sequence, 5);
    let verified = verify_directory(temp.path(), &key().verifying_key()).unwrap();
    assert_eq!(verified.records, records);
}

#[test]
fn two_cannot_write_at_a_time() {
    let temp = tempfile::tempdir().unwrap();
    let journal = written(temp.path());
    assert!(Journal::open(temp.path(), key()).is_err());
    drop(journal);
    assert!(Journal::open(temp.path(), key()).is_ok());
}

#[test]
fn what_is_wrong_is_said_with_its_record() {
    assert_eq!(
        faults(|lines| lines[2] = lines[2].replace("ventilator", "workstation")),
        ["record 3 was altered"]
    );
    assert_eq!(
        faults(|lines| drop(lines.remove(1))),
        ["record 2 is missing"]
    );
    assert_eq!(
        faults(|lines| lines.truncate(3)),
        ["records 4 to 5 are missing"]
    );
    assert_eq!(faults(Vec::clear), ["records 1 to 5 are missing"]);
    assert_eq!(
        faults(|lines| lines.swap(1, 2)),
        [
            "record 3 was moved to line 2",
            "record 2 was moved to line 3"
        ]
    );
    assert_eq!(
        faults(|lines| lines.push(lines[4].clone())),
        ["record 5 stands again on line 6"]
    );
    assert_eq!(
        faults(|lines| lines[2] = lines[2].replacen(':', ": ", 1)),
        ["record 3 was altered"]
    );
    assert_eq!(
        faults(|lines| lines[3] = "x".repeat(100_000)),
        ["record 4 was altered"]
    );
}

#[test]
fn a_record_of_another_box_and_one_of_another_history_are_told_apart() {
    let other = tempfile::tempdir().unwrap();
    let forger = SigningKey::from_bytes(&[8; 32]);
    let (mut foreign, _) = Journal::open(other.path(), forger).unwrap();
    foreign.append(confirm(1, Role::Workstation)).unwrap();
    let foreign = fs::read_to_string(other.path().join("journal.jsonl")).unwrap();
    assert_eq!(
        faults(|lines| lines[0] = foreign.trim().to_owned()),
        ["record 1 was not signed by this box"]
    );

    let own = tempfile::tempdir().unwrap();
    let mut branch = open(own.path());
    branch.append(confirm(1, Role::InfusionPump)).unwrap();
    branch.append(confirm(9, Role::Workstation)).unwrap();
    let branch = fs::read_to_string(own.path().join("journal.jsonl")).unwrap();
    let second = branch.lines().nth(1).unwrap().to_owned();
    assert_eq!(
        faults(|lines| lines[1] = second),
        ["record 3 does not follow the one before it"]
    );
}

#[test]
fn a_journal_without_its_head_is_refused() {
    for name in ["journal.head", "journal.jsonl"] {
        let temp = tempfile::tempdir().unwrap();
        drop(written(temp.path()));
        fs::remove_file(temp.path().join(name)).unwrap();
        let error = Journal::open(temp.path(), key()).unwrap_err().to_string();
        assert!(error.ends_with("missing or altered") || error.ends_with("are missing"));
    }
}

#[test]
fn a_record_torn_by_a_crash_is_cut_off_at_every_length() {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = written(temp.path());
    let path = temp.path().join("journal.jsonl");
    let whole = fs::read(&path).unwrap().len();
    let head = fs::read(temp.path().join("journal.head")).unwrap();
    journal.append(confirm(3, Role::Pacs)).unwrap();
    drop(journal);
    let longer = fs::read(&path).unwrap();
    for length in whole..=longer.len() {
        fs::write(&path, &longer[..length]).unwrap();
        fs::write(temp.path().join("journal.head"), &head).unwrap();
        let (mut journal, torn) = Journal::open(temp.path(), key()).unwrap();
        let arrived = length == longer.len();
        assert_eq!(torn as usize, if arrived { 0 } else { length - whole });
        assert_eq!(journal.records().len(), 5 + usize::from(arrived));
        journal.append(confirm(4, Role::Pacs)).unwrap();
        drop(journal);
        assert_eq!(open(temp.path()).records().len(), 6 + usize::from(arrived));
    }
    // The end of the line arrived, its beginning did not.
    let mut holed = longer.clone();
    holed[whole..whole + 40].fill(0);
    fs::write(&path, &holed).unwrap();
    fs::write(temp.path().join("journal.head"), &head).unwrap();
    let (journal, torn) = Journal::open(temp.path(), key()).unwrap();
    assert_eq!(torn as usize, longer.len() - whole);
    assert_eq!(journal.records().len(), 5);
}

#[test]
fn an_undo_restores_what_counted_before() {
    let temp = tempfile::tempdir().unwrap();
    let journal = written(temp.path());
    let now = standing(journal.records());
    // The correction of 2 stands, the confirmation of 1 was undone.
    assert_eq!(now.get(&device(1)), None);
    assert_eq!(now[&device(2)].role, Role::Ventilator);
    assert_eq!(now[&device(2)].from, Some(Role::PatientMonitor));
}

#[test]
fn only_what_counts_can_be_undone_and_nobody_says_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = written(temp.path());
    for sequence in [0, 1, 4, 5, 6] {
        let error = journal.append(said(Action::Undo { sequence })).unwrap_err();
        assert!(matches!(error, AppendError::NothingToUndo(n) if n == sequence));
    }
    let nobody = Statement {
        who: " ".into(),
        ..confirm(1, Role::Pacs)
    };
    assert!(matches!(journal.append(nobody), Err(AppendError::Nobody)));
    assert_eq!(journal.records().len(), 5);
}

#[test]
fn names_and_reasons_are_one_line_and_bounded() {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = open(temp.path());
    let long = Statement {
        who: "ä".repeat(1_000),
        reason: "a\nb\0".repeat(5_000),
        ..confirm(1, Role::Pacs)
    };
    let record = journal.append(long).unwrap();
    assert_eq!(record.who.len(), 128);
    assert!(record.reason.len() <= 1_024 && !record.reason.contains(['\n', '\0']));
    drop(journal);
    assert_eq!(open(temp.path()).records().len(), 1);
}

fn any_role() -> impl Strategy<Value = Role> {
    prop::sample::select(Role::ALL)
}

proptest! {
    #[test]
    fn any_changed_byte_is_found(place in any::<prop::sample::Index>(), other in 1..=255u8) {
        let temp = tempfile::tempdir().unwrap();
        drop(written(temp.path()));
        for name in ["journal.jsonl", "journal.head"] {
            let path = temp.path().join(name);
            let whole = fs::read(&path).unwrap();
            let mut altered = whole.clone();
            altered[place.index(whole.len())] ^= other;
            fs::write(&path, &altered).unwrap();
            prop_assert!(verify_directory(temp.path(), &key().verifying_key()).is_err());
            prop_assert!(Journal::open(temp.path(), key()).is_err());
            fs::write(&path, &whole).unwrap();
            prop_assert!(verify_directory(temp.path(), &key().verifying_key()).is_ok());
        }
    }

    #[test]
    fn an_undo_of_the_last_word_is_as_if_it_was_never_said(
        words in prop::collection::vec((0..4u8, any_role()), 0..12),
        last in (0..4u8, any_role()),
    ) {
        let temp = tempfile::tempdir().unwrap();
        let mut journal = open(temp.path());
        for (n, role) in words {
            journal.append(confirm(n, role)).unwrap();
        }
        let before = standing(journal.records());
        let sequence = journal.append(confirm(last.0, last.1)).unwrap().sequence;
        prop_assert_eq!(standing(journal.records())[&device(last.0)].role, last.1);
        journal.append(said(Action::Undo { sequence })).unwrap();
        prop_assert_eq!(standing(journal.records()), before);
    }
}
