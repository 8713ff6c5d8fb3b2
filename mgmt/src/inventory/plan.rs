//! What a list would change: each row beside what is known, and what does not fit.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::list::ListRow;
use super::{Column, Facts};
use crate::store::asset::AssetRow;

/// Devices that are named beside a row.
const CANDIDATES: usize = 20;

/// What is known of a device that tells which asset it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Traits {
    /// Its key.
    pub key: String,
    /// MAC address.
    pub mac: String,
    /// Serial number, as it states it.
    pub serial: Option<String>,
    /// Its name in DHCP.
    pub hostname: Option<String>,
    /// Names that may be asset tags.
    pub asset_tags: Vec<String>,
    /// The ward people say it belongs to.
    pub ward: Option<String>,
    /// The bed people say it belongs to.
    pub bed: Option<String>,
}

/// What a row would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// The line of the list it begins on.
    pub line: u32,
    /// Its asset tag.
    pub tag: String,
    /// In one word.
    pub status: Status,
    /// The asset it is about; absent: a new one.
    pub asset: Option<i64>,
    /// Every fact that would change.
    pub changes: Vec<FactChange>,
    /// Devices that the asset would have from then on.
    pub links: Vec<Match>,
    /// Devices that it may be: what speaks for them is not enough.
    pub candidates: Vec<Match>,
    /// What does not fit.
    pub conflicts: Vec<Conflict>,
}

/// What a row would do, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It makes an asset.
    New,
    /// It changes one.
    Changed,
    /// Everything is known.
    Same,
    /// It does not fit.
    Conflict,
}

impl Status {
    /// As in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Same => "same",
            Self::Conflict => "conflict",
        }
    }
}

/// A fact that would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FactChange {
    /// The fact.
    pub fact: Column,
    /// How it is; empty: not known.
    pub before: String,
    /// How it would be.
    pub after: String,
}

/// A device that an asset is, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Match {
    /// Key of the device.
    pub device: String,
    /// What the two have in common.
    pub by: Common,
}

/// What a device and a row have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Common {
    /// MAC address.
    Mac,
    /// Serial number.
    Serial,
    /// Name in DHCP.
    Hostname,
    /// Asset tag.
    AssetTag,
}

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Conflict {
    /// What it is.
    pub kind: ConflictKind,
    /// The column of the list, from 1, where it is one cell.
    pub column: Option<u32>,
    /// In a sentence.
    pub message: String,
}

/// Sorts of what does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictKind {
    /// A row without an asset tag.
    NoTag,
    /// A cell that cannot be so.
    BadValue,
    /// Two rows have the same tag.
    TagTwice,
    /// Another asset has the same MAC address.
    MacTwice,
    /// Another asset has the same number in the maintenance system.
    CmmsNumberTwice,
    /// Two rows are the same device.
    DeviceTwice,
    /// The device stands elsewhere, as people wrote it down.
    LocationDiffers,
}

impl Outcome {
    /// What the row would do if the location of the list were believed.
    pub fn with_location_believed(&self) -> Status {
        let only = |conflict: &Conflict| conflict.kind == ConflictKind::LocationDiffers;
        if self.status == Status::Conflict && self.conflicts.iter().all(only) {
            return self.peaceful();
        }
        self.status
    }

    fn peaceful(&self) -> Status {
        if self.asset.is_none() {
            Status::New
        } else if self.changes.is_empty() && self.links.is_empty() {
            Status::Same
        } else {
            Status::Changed
        }
    }

    fn complain(&mut self, kind: ConflictKind, message: String) {
        self.conflicts.push(Conflict {
            kind,
            column: None,
            message,
        });
    }
}

/// What the rows of a list would do, each beside what is known and beside the other rows.
pub fn plan(rows: &[ListRow], assets: &[AssetRow], devices: &[Traits]) -> Vec<Outcome> {
    let known: HashMap<_, _> = assets.iter().map(|a| (a.facts.tag.as_str(), a)).collect();
    let seen = Seen::new(devices);
    let mut outcomes: Vec<_> = rows.iter().map(|row| alone(row, &known, &seen)).collect();
    let after: Vec<_> = rows.iter().map(|row| facts_after(row, &known)).collect();
    twice(&mut outcomes, &after, assets);
    for (outcome, facts) in outcomes.iter_mut().zip(&after) {
        elsewhere(outcome, facts, &seen);
        outcome.status = if outcome.conflicts.is_empty() {
            outcome.peaceful()
        } else {
            Status::Conflict
        };
    }
    outcomes
}

/// The facts of an asset once a row is applied: what the row does not say stays.
pub fn merged(before: Option<&Facts>, row: &ListRow) -> Facts {
    let mut facts = before.cloned().unwrap_or_default();
    for (column, value) in &row.values {
        facts.set(*column, value);
    }
    facts
}

fn tag_of(row: &ListRow) -> &str {
    row.values.get(&Column::Tag).map_or("", String::as_str)
}

fn facts_after(row: &ListRow, known: &HashMap<&str, &AssetRow>) -> Facts {
    merged(known.get(tag_of(row)).map(|asset| &asset.facts), row)
}

/// A row by itself.
fn alone(row: &ListRow, known: &HashMap<&str, &AssetRow>, seen: &Seen<'_>) -> Outcome {
    let asset = known.get(tag_of(row)).copied();
    let before = asset.map(|asset| asset.facts.clone()).unwrap_or_default();
    let change = |(column, value): (&Column, &String)| FactChange {
        fact: *column,
        before: before.get(*column),
        after: value.clone(),
    };
    let changes = row.values.iter().map(change);
    let (links, candidates) = seen.matches(&merged(Some(&before), row));
    let has = |found: &Match| asset.is_some_and(|asset| asset.devices.contains(&found.device));
    let mut outcome = Outcome {
        line: row.line,
        tag: tag_of(row).to_owned(),
        status: Status::Same,
        asset: asset.map(|asset| asset.id),
        changes: changes.filter(|c| c.before != c.after).collect(),
        links: links.into_iter().filter(|found| !has(found)).collect(),
        candidates: candidates.into_iter().filter(|found| !has(found)).collect(),
        conflicts: row.bad.iter().map(bad).collect(),
    };
    if outcome.tag.is_empty() {
        outcome.complain(ConflictKind::NoTag, "the row has no asset tag".to_owned());
    }
    outcome
}

fn bad(cell: &super::list::BadCell) -> Conflict {
    Conflict {
        kind: ConflictKind::BadValue,
        column: Some(cell.column),
        message: format!("`{}`: {}", cell.fact.name(), cell.message),
    }
}

/// Finds what two have that only one can have: two rows, or a row and an asset that is not listed.
fn twice(outcomes: &mut [Outcome], after: &[Facts], assets: &[AssetRow]) {
    let listed: HashSet<_> = after.iter().map(|facts| facts.tag.as_str()).collect();
    let others = assets
        .iter()
        .filter(|a| !listed.contains(a.facts.tag.as_str()));
    let others: Vec<_> = others.map(|asset| &asset.facts).collect();
    let macs = |facts: &Facts| facts.macs.clone();
    let number = |facts: &Facts| facts.cmms_number.iter().cloned().collect();
    let mut found = Vec::new();
    let mut claims: BTreeMap<(Single, String), Vec<usize>> = BTreeMap::new();
    for (at, (outcome, facts)) in outcomes.iter().zip(after).enumerate() {
        let mut claim = |order, what: String| claims.entry((order, what)).or_default().push(at);
        if !facts.tag.is_empty() {
            claim(Single::Tag, facts.tag.clone());
        }
        macs(facts)
            .into_iter()
            .for_each(|mac| claim(Single::Mac, mac));
        let numbers: Vec<String> = number(facts);
        numbers
            .into_iter()
            .for_each(|number| claim(Single::Cmms, number));
        for link in &outcome.links {
            claim(Single::Device, link.device.clone());
        }
    }
    let mut held: HashMap<(Single, String), &str> = HashMap::new();
    for facts in others {
        for mac in macs(facts) {
            held.insert((Single::Mac, mac), &facts.tag);
        }
        for number in number(facts) {
            held.insert((Single::Cmms, number), &facts.tag);
        }
    }
    for (claimed, rows) in &claims {
        let rows: BTreeSet<_> = rows.iter().copied().collect();
        for at in &rows {
            let other = rows.iter().find(|other| *other != at);
            let whom = match (other, held.get(claimed)) {
                (Some(other), _) => format!("line {} has it too", outcomes[*other].line),
                (None, Some(tag)) => format!("asset `{tag}` has it too"),
                (None, None) => continue,
            };
            let (kind, what) = claimed.0.words();
            found.push((*at, kind, format!("{what} `{}`: {whom}", claimed.1)));
        }
    }
    for (at, kind, message) in found {
        outcomes[at].complain(kind, message);
    }
}

/// What only one can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Single {
    Tag,
    Mac,
    Cmms,
    Device,
}

impl Single {
    const fn words(self) -> (ConflictKind, &'static str) {
        match self {
            Self::Tag => (ConflictKind::TagTwice, "tag"),
            Self::Mac => (ConflictKind::MacTwice, "MAC address"),
            Self::Cmms => (ConflictKind::CmmsNumberTwice, "CMMS number"),
            Self::Device => (ConflictKind::DeviceTwice, "device"),
        }
    }
}

/// Whether the devices of an asset stand elsewhere.
fn elsewhere(outcome: &mut Outcome, facts: &Facts, seen: &Seen<'_>) {
    let (links, _) = seen.matches(facts);
    for found in links {
        let Some(device) = seen.by_key.get(found.device.as_str()) else {
            continue;
        };
        for (what, there, here) in differences(facts, device) {
            let message = format!(
                "device `{}` is of {what} `{there}`, the list says `{here}`",
                device.key
            );
            outcome.complain(ConflictKind::LocationDiffers, message);
        }
    }
}

/// Where an asset and its device do not belong to the same place: what, the device's, the asset's.
pub fn differences<'a>(
    facts: &'a Facts,
    device: &'a Traits,
) -> impl Iterator<Item = (&'static str, &'a str, &'a str)> {
    let pairs = [
        ("ward", &device.ward, &facts.location.ward),
        ("bed", &device.bed, &facts.location.bed),
    ];
    pairs.into_iter().filter_map(|(what, there, here)| {
        let (there, here) = (there.as_deref()?.trim(), here.as_deref()?.trim());
        let differs = there.to_lowercase() != here.to_lowercase();
        (differs && !there.is_empty()).then_some((what, there, here))
    })
}

/// Devices, by what tells them apart.
#[derive(Debug)]
pub struct Seen<'a> {
    by_key: HashMap<&'a str, &'a Traits>,
    by_mac: HashMap<&'a str, Vec<&'a Traits>>,
    by_serial: HashMap<String, Vec<&'a Traits>>,
    by_hostname: HashMap<String, Vec<&'a Traits>>,
    by_tag: HashMap<String, Vec<&'a Traits>>,
}

impl<'a> Seen<'a> {
    /// Of these.
    pub fn new(devices: &'a [Traits]) -> Self {
        let mut seen = Self {
            by_key: devices.iter().map(|d| (d.key.as_str(), d)).collect(),
            by_mac: HashMap::new(),
            by_serial: HashMap::new(),
            by_hostname: HashMap::new(),
            by_tag: HashMap::new(),
        };
        let put = |map: &mut HashMap<String, Vec<&'a Traits>>, text: &str, device| {
            let text = text.trim().to_lowercase();
            if !text.is_empty() {
                map.entry(text).or_default().push(device);
            }
        };
        for device in devices {
            seen.by_mac.entry(&device.mac).or_default().push(device);
            let serial = device.serial.as_deref().unwrap_or_default();
            put(&mut seen.by_serial, serial, device);
            let hostname = device.hostname.as_deref().unwrap_or_default();
            put(&mut seen.by_hostname, hostname, device);
            for tag in &device.asset_tags {
                put(&mut seen.by_tag, tag, device);
            }
        }
        seen
    }

    /// The devices that an asset surely is, and those that it may be.
    pub fn matches(&self, facts: &Facts) -> (Vec<Match>, Vec<Match>) {
        let (mut sure, mut maybe) = (Vec::new(), Vec::new());
        let mut taken = HashSet::new();
        let mut add = |to: &mut Vec<Match>, devices: Option<&Vec<&Traits>>, by| {
            for device in devices.into_iter().flatten() {
                if to.len() < CANDIDATES && taken.insert(device.key.clone()) {
                    let device = device.key.clone();
                    to.push(Match { device, by });
                }
            }
        };
        for mac in &facts.macs {
            add(&mut sure, self.by_mac.get(mac.as_str()), Common::Mac);
        }
        let find = |map: &'_ HashMap<String, Vec<&'a Traits>>, text: &str| {
            map.get(&text.trim().to_lowercase()).cloned()
        };
        if let Some(found) = facts
            .serial
            .as_deref()
            .and_then(|s| find(&self.by_serial, s))
        {
            let macs: HashSet<_> = found.iter().map(|device| &device.mac).collect();
            // A serial number that several devices state, such as that of a rack, tells no one.
            let to = if macs.len() == 1 {
                &mut sure
            } else {
                &mut maybe
            };
            add(to, Some(&found), Common::Serial);
        }
        if let Some(found) = facts
            .hostname
            .as_deref()
            .and_then(|h| find(&self.by_hostname, h))
        {
            add(&mut maybe, Some(&found), Common::Hostname);
        }
        for found in [
            find(&self.by_hostname, &facts.tag),
            find(&self.by_tag, &facts.tag),
        ] {
            add(&mut maybe, found.as_ref(), Common::AssetTag);
        }
        (sure, maybe)
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::read;
    use super::*;
    use crate::time::Time;

    fn device(number: u8) -> Traits {
        Traits {
            key: format!("00-09-fb-00-00-{number:02x}.10"),
            mac: format!("00:09:fb:00:00:{number:02x}"),
            serial: Some(format!("SN-{number}")),
            hostname: Some(format!("pump-{number}")),
            ..Traits::default()
        }
    }

    fn asset(id: i64, tag: &str) -> AssetRow {
        let facts = Facts {
            tag: tag.to_owned(),
            maker: Some("Example".to_owned()),
            macs: vec![format!("00:09:fb:00:00:{id:02x}")],
            ..Facts::default()
        };
        AssetRow {
            id,
            facts,
            devices: Vec::new(),
            created: Time::default(),
            revision: 1,
        }
    }

    fn of(text: &str, assets: &[AssetRow], devices: &[Traits]) -> Vec<Outcome> {
        let list = read(text, &BTreeMap::new()).expect("a list");
        plan(&list.rows, assets, devices)
    }

    fn kinds(outcome: &Outcome) -> Vec<ConflictKind> {
        outcome
            .conflicts
            .iter()
            .map(|conflict| conflict.kind)
            .collect()
    }

    #[test]
    fn each_row_is_new_changed_or_the_same() {
        let known = [asset(1, "A-1"), asset(2, "A-2")];
        let found = of(
            "tag,maker\nA-1,Example\nA-2,Other\nA-3,Third\n",
            &known,
            &[],
        );
        let statuses: Vec<_> = found.iter().map(|outcome| outcome.status).collect();
        assert_eq!(statuses, [Status::Same, Status::Changed, Status::New]);
        assert_eq!(found[1].changes.len(), 1);
        assert_eq!(
            (
                found[1].changes[0].before.as_str(),
                found[1].changes[0].after.as_str()
            ),
            ("Example", "Other")
        );
    }

    #[test]
    fn a_device_is_found_by_address_or_serial_number_and_may_be_by_name() {
        let devices = [device(1), device(2), device(3)];
        let found = of(
            "tag,mac,serial,hostname\nA-1,00:09:fb:00:00:01,,\nA-2,,sn-2,\nA-3,,,PUMP-3\npump-1,,,\n",
            &[],
            &devices,
        );
        assert_eq!(
            (found[0].links[0].by, found[1].links[0].by),
            (Common::Mac, Common::Serial)
        );
        assert_eq!(
            (found[2].links.len(), found[2].candidates[0].by),
            (0, Common::Hostname)
        );
        assert_eq!(found[3].candidates[0].by, Common::AssetTag);
    }

    #[test]
    fn a_serial_number_of_several_devices_is_no_proof() {
        let mut second = device(2);
        second.serial = device(1).serial;
        let found = of("tag,serial\nA-1,SN-1\n", &[], &[device(1), second]);
        assert_eq!((found[0].links.len(), found[0].candidates.len()), (0, 2));
    }

    #[test]
    fn what_only_one_can_have_is_not_had_twice() {
        let found = of(
            "tag,mac,serial\nA-1,00:09:fb:00:00:01,\nA-1,,\nA-2,,SN-1\nA-3,00:09:fb:00:00:09,\n,,\n,,SN-7\n",
            &[asset(9, "B-9")],
            &[device(1)],
        );
        assert_eq!(
            kinds(&found[0]),
            [ConflictKind::TagTwice, ConflictKind::DeviceTwice]
        );
        assert_eq!(kinds(&found[1]), [ConflictKind::TagTwice]);
        assert_eq!(kinds(&found[2]), [ConflictKind::DeviceTwice]);
        assert_eq!(kinds(&found[3]), [ConflictKind::MacTwice]);
        assert_eq!(kinds(&found[4]), [ConflictKind::NoTag]);
    }

    #[test]
    fn a_listed_asset_may_give_its_address_away() {
        let found = of(
            "tag,mac\nA-1,00:09:fb:00:00:07\nA-2,00:09:fb:00:00:01\n",
            &[asset(1, "A-1"), asset(2, "A-2")],
            &[],
        );
        assert_eq!(found[0].conflicts, []);
        assert_eq!(found[1].status, Status::Changed);
    }

    #[test]
    fn a_device_that_stands_elsewhere_is_told() {
        let mut there = device(1);
        there.ward = Some("ICU 3".to_owned());
        let found = of("tag,mac,ward\nA-1,0009fb000001,ICU 2\n", &[], &[there]);
        assert_eq!(kinds(&found[0]), [ConflictKind::LocationDiffers]);
        assert_eq!(found[0].with_location_believed(), Status::New);
    }
}
