//! What holds at the instant of compilation only: visits, releases, the island.

use std::collections::BTreeSet;

use super::Compiler;
use crate::document::{Device, Document, Island, Release, Visit};
use crate::stable::{Map, hash128_hex};
use crate::types::VlanKey;

impl<'d> Compiler<'d> {
    /// The visits that are under way, by device.
    pub(super) fn visits(&self) -> Map<&'d str, Vec<&'d Visit>> {
        let mut visits: Map<&str, Vec<&Visit>> = Map::default();
        for visit in &self.document.visits {
            if visit.from.unix_s <= self.now_s && self.now_s < visit.until.unix_s {
                visits.entry(&visit.device).or_default().push(visit);
            }
        }
        visits
    }

    pub(super) fn released(&self, covers: impl Fn(&Release) -> bool) -> bool {
        let now_s = self.now_s;
        self.document
            .releases
            .iter()
            .any(|r| now_s < r.until.unix_s && covers(r))
    }

    pub(super) fn island(&self) -> Option<&'d Island> {
        active_island(self.document, self.now_s)
    }

    pub(super) fn is_islander(&self, device: &Device) -> bool {
        self.island().is_some_and(|island| covers(island, device))
    }

    /// VLANs named by a release or the island: their unlisted devices share the fate.
    pub(super) fn special_vlans(&self) -> BTreeSet<VlanKey> {
        let releases = self
            .document
            .releases
            .iter()
            .filter(|r| self.now_s < r.until.unix_s);
        let island = self.island().and_then(|i| i.vlan);
        releases
            .filter_map(|r| r.vlan)
            .chain(island)
            .map(|vlan| vlan.0)
            .collect()
    }

    pub(super) fn id(&self) -> String {
        let now_s = self.now_s;
        let visits: Vec<bool> = self
            .document
            .visits
            .iter()
            .map(|v| v.from.unix_s <= now_s && now_s < v.until.unix_s)
            .collect();
        let releases: Vec<bool> = self
            .document
            .releases
            .iter()
            .map(|r| now_s < r.until.unix_s)
            .collect();
        hash128_hex(&(self.document, visits, releases, self.island().is_some()))
    }

    pub(super) fn valid_until_s(&self) -> Option<u64> {
        let document = self.document;
        let visits = document.visits.iter().flat_map(|v| [v.from, v.until]);
        let releases = document.releases.iter().map(|r| r.until);
        let island = document
            .island
            .iter()
            .filter(|i| i.active)
            .filter_map(|i| i.until);
        let times = visits.chain(releases).chain(island).map(|t| t.unix_s);
        times.filter(|t| *t > self.now_s).min()
    }
}

fn active_island(document: &Document, now_s: u64) -> Option<&Island> {
    let island = document.island.as_ref()?;
    (island.active && island.until.is_some_and(|t| now_s < t.unix_s)).then_some(island)
}

/// Whether a device is under an island.
pub(super) fn covers(island: &Island, device: &Device) -> bool {
    match (&island.vlan, &island.ward) {
        (Some(vlan), _) => vlan.0 == device.vlan.0,
        (None, Some(ward)) => device.ward.as_ref() == Some(ward),
        (None, None) => true,
    }
}
