//! What others say of devices, addresses and users: held in memory until it expires. Whoever hands
//! it over does so again after a restart.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wardline_control::{ContextEntry, ContextPage, Refused, RefusedKind, Subject, bounds};

const US_PER_S: u64 = 1_000_000;

/// All that is held.
#[derive(Debug, Default)]
pub struct Context(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    /// By number, which no other entry ever has.
    entries: Vec<(u64, ContextEntry)>,
    /// Entries taken in so far.
    taken: u64,
    /// When the first of them expires.
    due_us: u64,
}

impl Context {
    /// Puts these entries in place of all others, those that have expired left out. How many are
    /// held then.
    ///
    /// # Errors
    /// One of them is out of bounds; the others stay.
    pub fn set(&self, entries: Vec<ContextEntry>, now_us: u64) -> Result<u32, Refused> {
        check(&entries, now_us)?;
        let mut held = self.held();
        held.entries.clear();
        for entry in entries {
            held.taken += 1;
            let number = held.taken;
            held.entries.push((number, entry));
        }
        held.forget(now_us);
        Ok(u32::try_from(held.entries.len()).unwrap_or(u32::MAX))
    }

    /// The entries that count now, from `cursor` on.
    pub fn page(&self, cursor: u64, limit: usize, now_us: u64) -> ContextPage {
        let mut held = self.held();
        held.forget(now_us);
        let first = held.entries.partition_point(|(number, _)| *number < cursor);
        let (_, rest) = held.entries.split_at(first);
        let next = rest.get(limit).map(|(number, _)| *number);
        let page = rest.iter().take(limit).map(|(_, entry)| entry.clone());
        let entries = page.collect();
        ContextPage { entries, next }
    }

    /// Lets go of what has expired.
    pub fn expire(&self, now_us: u64) {
        let mut held = self.held();
        if held.due_us <= now_us {
            held.forget(now_us);
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // After a panic half of a set may be missing; whoever handed it over does so again.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn forget(&mut self, now_us: u64) {
        self.entries.retain(|(_, entry)| entry.expires_us > now_us);
        let ends = self.entries.iter().map(|(_, entry)| entry.expires_us);
        self.due_us = ends.min().unwrap_or(u64::MAX);
    }
}

fn check(entries: &[ContextEntry], now_us: u64) -> Result<(), Refused> {
    if entries.len() > bounds::CONTEXT_ENTRIES {
        return Err(argument(format!(
            "{} entries of context are more than the {} that are held; leave some out",
            entries.len(),
            bounds::CONTEXT_ENTRIES
        )));
    }
    let mut seen = HashSet::new();
    for (number, entry) in (1..).zip(entries) {
        let refused = |fault: String| argument(format!("entry {number} of the context: {fault}"));
        check_texts(entry).map_err(refused)?;
        check_times(entry, now_us).map_err(refused)?;
        if !seen.insert((&entry.subject, &entry.source)) {
            return Err(refused(
                "its source spoke of its subject before; put both into one entry".to_owned(),
            ));
        }
    }
    Ok(())
}

fn check_texts(entry: &ContextEntry) -> Result<(), String> {
    let user = match &entry.subject {
        Subject::User(name) => Some(name),
        Subject::Device(_) | Subject::Network(_) => None,
    };
    let text = bounds::CONTEXT_TEXT_BYTES;
    let texts = [
        ("subject", user, bounds::NAME_BYTES),
        ("source", Some(&entry.source), bounds::NAME_BYTES),
        ("user", entry.user.as_ref(), text),
        ("health", entry.health.as_ref(), text),
        ("location", entry.location.as_ref(), text),
        ("data_sensitivity", entry.data_sensitivity.as_ref(), text),
    ];
    for (name, value, most) in texts {
        let Some(value) = value else { continue };
        if value.trim().is_empty() {
            return Err(format!("{name} is empty"));
        }
        if value.len() > most {
            return Err(format!(
                "{name} has {} bytes; at most {most} are held",
                value.len()
            ));
        }
        if value.chars().any(char::is_control) {
            return Err(format!("{name} has control characters"));
        }
    }
    Ok(())
}

fn check_times(entry: &ContextEntry, now_us: u64) -> Result<(), String> {
    if entry.expires_us < entry.observed_us {
        return Err("it expires before it was observed".to_owned());
    }
    if entry.expires_us > now_us.saturating_add(bounds::CONTEXT_LIFETIME_S * US_PER_S) {
        return Err(format!(
            "it lasts longer than {} s; renew it in time instead",
            bounds::CONTEXT_LIFETIME_S
        ));
    }
    Ok(())
}

fn argument(message: String) -> Refused {
    Refused::new(RefusedKind::Argument, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_US: u64 = 1_700_000_000_000_000;

    fn entry(user: &str, lasts_s: u64) -> ContextEntry {
        ContextEntry {
            subject: Subject::User(user.to_owned()),
            user: None,
            health: Some("patched".to_owned()),
            location: None,
            data_sensitivity: None,
            source: "directory".to_owned(),
            observed_us: NOW_US,
            expires_us: NOW_US + lasts_s * US_PER_S,
        }
    }

    fn users(page: &ContextPage) -> Vec<&str> {
        page.entries.iter().map(user).collect()
    }

    fn user(entry: &ContextEntry) -> &str {
        match &entry.subject {
            Subject::User(name) => name,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn entries_are_paged_and_replaced_as_a_whole() {
        let context = Context::default();
        let all = ["a", "b", "c"].map(|user| entry(user, 60)).to_vec();
        assert_eq!(context.set(all, NOW_US), Ok(3));
        let first = context.page(0, 2, NOW_US);
        assert_eq!(users(&first), ["a", "b"]);
        let next = first.next.expect("there is more");
        assert_eq!(users(&context.page(next, 2, NOW_US)), ["c"]);

        assert_eq!(context.set(vec![entry("d", 60)], NOW_US), Ok(1));
        let rest = context.page(next, 2, NOW_US);
        assert_eq!((users(&rest), rest.next), (vec!["d"], None));
    }

    #[test]
    fn what_has_expired_is_gone() {
        let context = Context::default();
        let all = vec![entry("short", 1), entry("long", 60), entry("past", 0)];
        assert_eq!(context.set(all, NOW_US), Ok(2));
        let later_us = NOW_US + US_PER_S;
        assert_eq!(users(&context.page(0, 9, later_us)), ["long"]);
        context.expire(NOW_US + 60 * US_PER_S);
        assert!(context.held().entries.is_empty());
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_and_changes_nothing() {
        let context = Context::default();
        context.set(vec![entry("kept", 60)], NOW_US).expect("good");
        let good = entry("b", 60);
        let of = |change: &dyn Fn(&mut ContextEntry)| {
            let mut changed = good.clone();
            change(&mut changed);
            vec![good.clone(), changed]
        };
        let c = || Subject::User("c".to_owned());
        let cases = [
            (of(&|_| ()), "entry 2 of the context: its source spoke"),
            (
                of(&|e| e.source.clear()),
                "entry 2 of the context: source is empty",
            ),
            (
                of(&|e| e.location = Some("x".repeat(bounds::CONTEXT_TEXT_BYTES + 1))),
                "location has 129 bytes",
            ),
            (
                of(&|e| e.health = Some("a\u{1b}b".to_owned())),
                "health has control",
            ),
            (
                of(&|e| (e.subject, e.observed_us) = (c(), e.expires_us + 1)),
                "expires before",
            ),
            (
                of(&|e| (e.subject, e.expires_us) = (c(), u64::MAX)),
                "lasts longer",
            ),
            (
                vec![good.clone(); bounds::CONTEXT_ENTRIES + 1],
                "leave some out",
            ),
        ];
        for (entries, part) in cases {
            let refused = context.set(entries, NOW_US).expect_err(part);
            assert_eq!(refused.kind, RefusedKind::Argument);
            assert!(refused.message.contains(part), "{refused}");
        }
        assert_eq!(users(&context.page(0, 9, NOW_US)), ["kept"]);
    }
}
