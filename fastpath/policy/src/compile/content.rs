//! What the names in a document stand for, as hashes: epochs change when one of them does.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::net::IpAddr;

use super::instant::covers;
use super::key_of;
use crate::document::{Device, Document, Group, Peer, Rule};
use crate::scalar::Prefix;
use crate::stable::{Content, Map, hash64};
use crate::types::DeviceKey;

/// A peer as the compiler numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Name<'d> {
    Group(&'d str),
    Role(&'d str),
    Device(&'d str),
    Dns(&'d str),
    Controller(&'d str),
    Manufacturer(&'d str),
    Model(&'d str),
}

impl<'d> Name<'d> {
    /// The name in a peer, if it is one.
    pub(super) fn of(peer: &'d Peer) -> Option<Self> {
        Some(match peer {
            Peer::Group(name) => Self::Group(name),
            Peer::Role(name) => Self::Role(name),
            Peer::Device(name) => Self::Device(name),
            Peer::Dns(name) => Self::Dns(name),
            Peer::Controller(class) => Self::Controller(class),
            Peer::Manufacturer(authority) => Self::Manufacturer(authority),
            Peer::Model(url) => Self::Model(url),
            _ => return None,
        })
    }

    /// Every name that stands for this device.
    pub(super) fn all_of(device: &'d Device) -> impl Iterator<Item = Self> {
        let mud = device.mud.as_ref();
        let names = [
            Some(Self::Device(&device.name)),
            device.role.as_deref().map(Self::Role),
            mud.and_then(|m| m.authority()).map(Self::Manufacturer),
            mud.map(|m| Self::Model(&m.url)),
        ];
        names.into_iter().flatten()
    }
}

/// Hashes of what names stand for, so that an epoch changes when a group or a role does.
pub(super) struct ContentHashes<'d> {
    document: &'d Document,
    /// The devices a name stands for; gathered when the first such name is asked for.
    members: Option<Map<Name<'d>, Vec<&'d Device>>>,
    known: Map<Name<'d>, u64>,
    island: Option<u64>,
}

impl<'d> ContentHashes<'d> {
    pub(super) fn new(document: &'d Document) -> Self {
        Self {
            document,
            members: None,
            known: Map::default(),
            island: None,
        }
    }

    /// Everything in a rule that can change a decision; its name and note cannot.
    pub(super) fn rule(&mut self, rule: &'d Rule, content: &mut Content) {
        (rule.action, rule.direction, rule.protocol).hash(content);
        (&rule.ports, &rule.source_ports, &rule.icmp).hash(content);
        (rule.care, rule.refusal, rule.answer.is_some()).hash(content);
        self.peers(&rule.peer, content);
        self.peers(&rule.senders, content);
        if let Some(answer) = &rule.answer {
            (&answer.ports, answer.seconds).hash(content);
            self.peers(&answer.from, content);
        }
    }

    fn peers(&mut self, peers: &'d [Peer], content: &mut Content) {
        peers.len().hash(content);
        for peer in peers {
            match Name::of(peer) {
                // What a DNS name stands for is not in the document.
                None | Some(Name::Dns(_)) => peer.hash(content),
                Some(name) => self.of(name).hash(content),
            }
        }
    }

    pub(super) fn of(&mut self, name: Name<'d>) -> u64 {
        if let Some(hash) = self.known.get(&name) {
            return *hash;
        }
        let hash = self.compute(name);
        self.known.insert(name, hash);
        hash
    }

    fn compute(&mut self, name: Name<'d>) -> u64 {
        let groups = self.document.groups.iter();
        match name {
            Name::Group(name) => {
                addresses(groups.filter(|(n, _)| *n == name).map(|(_, group)| group))
            }
            Name::Controller(class) => addresses(
                groups
                    .map(|(_, group)| group)
                    .filter(|g| g.controller.iter().any(|c| c == class)),
            ),
            Name::Dns(_) => hash64(&name),
            Name::Role(_) | Name::Device(_) | Name::Manufacturer(_) | Name::Model(_) => {
                let document = self.document;
                let members = self.members.get_or_insert_with(|| gather(document));
                let of_name = members.get(&name).map_or(&[][..], Vec::as_slice);
                hash_members(of_name.iter().copied())
            }
        }
    }

    /// Who is under the island.
    pub(super) fn island(&mut self) -> u64 {
        let document = self.document;
        *self.island.get_or_insert_with(|| {
            let island = document.island.as_ref();
            let devices = document.devices.iter();
            hash_members(devices.filter(|device| island.is_some_and(|i| covers(i, device))))
        })
    }
}

fn gather(document: &Document) -> Map<Name<'_>, Vec<&Device>> {
    let mut members: Map<Name<'_>, Vec<&Device>> = Map::default();
    for device in &document.devices {
        for name in Name::all_of(device) {
            members.entry(name).or_default().push(device);
        }
    }
    members
}

fn addresses<'d>(groups: impl Iterator<Item = &'d Group>) -> u64 {
    let set: BTreeSet<Prefix> = groups.flat_map(|g| g.addresses.iter().copied()).collect();
    hash64(&("addresses", set))
}

fn hash_members<'d>(devices: impl Iterator<Item = &'d Device>) -> u64 {
    let members: BTreeSet<(DeviceKey, &[IpAddr])> = devices
        .map(|device| (key_of(device), &*device.addresses))
        .collect();
    hash64(&("members", members))
}
