//! What was said about one device: the statements with their times, and who it says it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::knowledge::{Family, Identity, IdentityPart, Meaning, Weight, identify, weigh};
use crate::observer::Said;
use crate::{Fact, Field, Role, Strength};

/// Statements kept of one device.
pub const FACTS_MAX: usize = 256;
/// Different values kept of one field: a workstation asks for thousands of names.
const VALUES_MAX: usize = 24;
/// Addresses beyond its own that a device carries frames for before it is taken for a router: a
/// hub with a few radio devices, or a host that changes its address, has fewer.
pub const FORWARDS_MIN: usize = 8;
/// Row of what the device as a whole shows, which no table has.
const OWN_ROW: u16 = u16::MAX;

/// A statement about a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Noted {
    /// What was said.
    pub fact: Fact,
    /// What it means.
    pub meaning: Meaning,
    /// When it was said first, in nanoseconds since 1970.
    pub first_ns: u64,
    /// When it was said last.
    pub last_ns: u64,
}

/// All that was said about one device. Bounded: what means nothing makes room for what does.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    noted: Vec<Noted>,
    identity: Identity,
    /// Counted statements that no longer fitted.
    left_out: u64,
}

impl Evidence {
    /// All that was said of a device, each fact with its times, and how many addresses beyond its
    /// own it carried frames for until `last_ns`.
    pub fn of<'a>(
        facts: impl IntoIterator<Item = Said<'a>>,
        forwards_for: usize,
        last_ns: u64,
    ) -> Self {
        Self::with_meanings(facts, forwards_for, last_ns, weigh)
    }

    /// As [`Self::of`], for whoever remembers what facts mean.
    pub fn with_meanings<'a>(
        facts: impl IntoIterator<Item = Said<'a>>,
        forwards_for: usize,
        last_ns: u64,
        mut meaning: impl FnMut(&Fact) -> Meaning,
    ) -> Self {
        let mut evidence = Self::default();
        for said in facts {
            evidence.note(said, &mut meaning);
        }
        if let Some(fact) = forwards(forwards_for) {
            evidence.note(Said::once(&fact, last_ns), &mut meaning);
        }
        evidence
    }

    /// Takes up a fact; whether it is new. A repeated one only gets other times.
    fn note(&mut self, said: Said<'_>, meaning: &mut impl FnMut(&Fact) -> Meaning) -> bool {
        let fact = said.fact;
        if let Some(known) = self.noted.iter_mut().find(|noted| noted.fact == *fact) {
            known.first_ns = known.first_ns.min(said.first_ns);
            known.last_ns = known.last_ns.max(said.last_ns);
            self.identity.learn(said);
            return false;
        }
        let meaning = meaning(fact);
        if !self.make_room(fact.field, meaning.weights.is_empty()) {
            self.left_out += 1;
            return false;
        }
        self.identity.learn(said);
        self.noted.push(Noted {
            fact: fact.clone(),
            meaning,
            first_ns: said.first_ns,
            last_ns: said.last_ns,
        });
        true
    }

    /// What was said, in the order it was said first.
    pub fn noted(&self) -> &[Noted] {
        &self.noted
    }

    /// Who made it, what it is called, which one it is, what runs on it.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Statements that were new and found no room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Names that may be its asset tag: what it calls itself in DHCP, word for word.
    pub fn asset_tags(&self) -> impl Iterator<Item = &str> {
        let names = self
            .noted
            .iter()
            .filter(|n| n.fact.field == Field::DhcpHostname);
        names.map(|noted| noted.fact.value.as_str())
    }

    /// The devices it speaks for, by what tells them apart; fewer than two if only for itself.
    pub fn speaks_for(&self) -> Vec<String> {
        let mut kinds: BTreeMap<Field, BTreeSet<&str>> = BTreeMap::new();
        for Noted { fact, .. } in &self.noted {
            let tells = match fact.field {
                Field::Hl7Application => self.reports_observations(),
                Field::PoctHello | Field::SdcDevice | Field::PhilipsModel | Field::BacnetObject => {
                    identify(fact)
                        .iter()
                        .any(|(part, ..)| *part == IdentityPart::Serial)
                }
                _ => false,
            };
            if tells {
                kinds.entry(fact.field).or_default().insert(&fact.value);
            }
        }
        let most = kinds.into_values().max_by_key(BTreeSet::len);
        most.unwrap_or_default()
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    /// What the device as a whole shows, beyond its single statements.
    pub fn as_a_whole(&self) -> Option<Noted> {
        let assets = self.speaks_for();
        let relays = self.says(Field::Hl7Receives, "ORU") || self.says(Field::Hl7Sends, "ADT");
        // An interface engine passes on what others say; that makes it no dock.
        if assets.len() < 2 || relays {
            return None;
        }
        let times = self
            .noted
            .iter()
            .filter(|noted| assets.contains(&noted.fact.value));
        let first_ns = times.clone().map(|n| n.first_ns).max()?;
        let last_ns = times.map(|n| n.last_ns).max()?;
        let sentence = format!("Speaks for {} devices: {}", assets.len(), assets.join(", "));
        let bedside = [
            Role::InfusionPump,
            Role::PatientMonitor,
            Role::Ventilator,
            Role::AnaesthesiaMachine,
            Role::Dialysis,
            Role::LabAnalyser,
        ];
        // A dock speaks for the devices of one bed, which are of several kinds; a central station for
        // many beds, whose patients it is told of. Several of one kind, and no word of beds, may be
        // behind a rack, a central station or a receiver of telemetry.
        let of_beds = assets
            .iter()
            .any(|asset| asset.to_lowercase().contains("bed"));
        let (gateway, central, telemetry) = if of_beds || self.says(Field::Hl7Receives, "ADT") {
            (3.5, 5.0, 3.0)
        } else if of_one_kind(&assets) && self.reports_observations() {
            (5.0, 4.5, 4.5)
        } else {
            (6.0, 2.0, 3.0)
        };
        let mut weights = vec![
            Weight::own(Role::DeviceGateway, gateway),
            Weight::own(Role::CentralStation, central),
            Weight::own(Role::Telemetry, telemetry),
        ];
        weights.extend(bedside.map(|role| Weight::own(role, -4.0)));
        Some(Noted {
            fact: self
                .noted
                .iter()
                .find(|n| n.fact.value == assets[0])?
                .fact
                .clone(),
            meaning: Meaning {
                family: Family::Assets,
                strength: Strength::Strong,
                sentence,
                source: "several identities on one network address",
                weights,
            },
            first_ns,
            last_ns,
        })
    }

    fn reports_observations(&self) -> bool {
        self.says(Field::Hl7Sends, "ORU")
    }

    fn says(&self, field: Field, beginning: &str) -> bool {
        let mut of_field = self.noted.iter().filter(|noted| noted.fact.field == field);
        of_field.any(|noted| noted.fact.value.starts_with(beginning))
    }

    /// Whether there is room, made at the cost of a statement that means nothing.
    fn make_room(&mut self, field: Field, meaningless: bool) -> bool {
        let of_field = self.noted.iter().filter(|noted| noted.fact.field == field);
        let full = of_field.count() >= VALUES_MAX || self.noted.len() >= FACTS_MAX;
        if !full || meaningless {
            return !full;
        }
        let everywhere = self.noted.len() >= FACTS_MAX;
        let spare = self.noted.iter().position(|noted| {
            noted.meaning.weights.is_empty() && (everywhere || noted.fact.field == field)
        });
        spare.map(|at| self.noted.remove(at)).is_some()
    }
}

/// Whether names differ in nothing but their numbers.
fn of_one_kind(names: &[String]) -> bool {
    let letters = |name: &String| name.replace(|c: char| c.is_ascii_digit(), "");
    let mut kinds = names.iter().map(letters);
    let first = kinds.next();
    kinds.all(|kind| Some(kind) == first)
}

impl Weight {
    fn own(role: Role, log_odds: f32) -> Self {
        Self {
            role,
            log_odds,
            row: OWN_ROW,
        }
    }
}

/// That a device carries frames for addresses beyond its own; `None` while they are few.
fn forwards(addresses: usize) -> Option<Fact> {
    (addresses >= FORWARDS_MIN)
        .then(|| Fact::new(Field::Forwards, &addresses.to_string()))
        .flatten()
}
