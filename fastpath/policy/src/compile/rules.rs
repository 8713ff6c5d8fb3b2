//! Lists of rules into programs: every key and port rectangle under which a rule stands.

use std::hash::Hasher;

use super::content::Name;
use super::{Chain, Compiled, Compiler, Filter, Listed, numbered};
use crate::document::{Direction, Peer, Rule};
use crate::program::{ANY_PROTOCOL, Key, Piece, ProgramId, Talk};
use crate::scalar::{PortRange, Prefix, Protocol};
use crate::stable::Content;
use crate::tags::{self, Tag};
use crate::types::{Cast, Initiator};

/// Lists that are filled for one rule after the other, kept so that a million rules do not
/// allocate a million times.
#[derive(Debug, Default)]
pub(super) struct Work {
    pieces: Vec<Piece>,
    senders: Vec<Tag>,
    stations: Vec<Tag>,
    groups: Vec<Tag>,
    ports: Vec<(u16, u16)>,
}

impl<'d> Compiler<'d> {
    pub(super) fn compile_chain(&mut self, chain: &Chain<'d>, filter: Filter) -> [Compiled; 4] {
        let baseline_filter = match filter {
            Filter::Rescue => Filter::Rescue,
            // Addresses, names and time are needed by what stays.
            Filter::All | Filter::LifeCritical => Filter::All,
        };
        [
            self.compile_lists(&chain.visits, filter),
            chain
                .own
                .map_or_else(Compiled::default, |l| self.compile_lists(&[l], filter)),
            chain
                .role
                .map_or_else(Compiled::default, |l| self.compile_shared(l, filter)),
            self.baseline.map_or_else(Compiled::default, |l| {
                self.compile_shared(l, baseline_filter)
            }),
        ]
    }

    pub(super) fn compile_shared(&mut self, list: Listed<'d>, filter: Filter) -> Compiled {
        let key = (list.first, list.rules.len(), filter);
        if let Some(compiled) = self.shared.get(&key) {
            return *compiled;
        }
        let compiled = self.compile_lists(&[list], filter);
        self.shared.insert(key, compiled);
        compiled
    }

    fn compile_lists(&mut self, lists: &[Listed<'d>], filter: Filter) -> Compiled {
        self.compile_rules(
            numbered(lists).filter(|(_, rule)| filter.keeps(rule)),
            |_| true,
        )
    }

    /// Compiles rules into a new program, of them only the talks that are wanted.
    pub(super) fn compile_rules(
        &mut self,
        rules: impl Iterator<Item = (u32, &'d Rule)>,
        wanted: impl Fn(Talk) -> bool,
    ) -> Compiled {
        let program = self.table.next_program();
        let mut work = std::mem::take(&mut self.work);
        work.pieces.clear();
        let mut content = Content::new();
        for (number, rule) in rules {
            self.expand(number, rule, &mut work);
            self.note_dns_uses(program, rule);
            self.content.rule(rule, &mut content);
        }
        work.pieces.retain(|piece| wanted(piece.key.talk));
        let compiled = if work.pieces.is_empty() {
            Compiled::default()
        } else {
            self.table.add_program(&mut work.pieces);
            Compiled {
                program,
                content: content.finish(),
            }
        };
        self.work = work;
        compiled
    }

    /// Adds the pieces of one rule.
    fn expand(&mut self, number: u32, rule: &'d Rule, work: &mut Work) {
        let Work {
            pieces,
            senders,
            stations,
            groups,
            ports,
        } = work;
        senders.clear();
        stations.clear();
        if rule.direction == Direction::ToDevice && !rule.senders.is_empty() {
            self.add_peer_tags(&rule.senders, senders);
        } else {
            senders.push(tags::ANY);
        }
        responder_ports(rule, ports);
        let initiator = match rule.direction {
            Direction::FromDevice => Initiator::Device,
            Direction::ToDevice => Initiator::Peer,
        };
        let mut add = |cast, peers: &[Tag], groups: &[Tag]| {
            let talk = Talk::new(initiator, cast);
            add_pieces(number, rule, talk, [peers, groups], ports, pieces);
        };
        for peer in rule.peer.iter() {
            match peer {
                Peer::Broadcast => add(Cast::Broadcast, senders, &[tags::ANY]),
                Peer::Multicast(networks) => {
                    groups.clear();
                    groups.extend(networks.iter().map(|g| self.network_tag(*g)));
                    add(Cast::Multicast, senders, groups);
                }
                station => self.add_station_tags(station, stations),
            }
        }
        if !stations.is_empty() {
            add(Cast::Unicast, stations, &[tags::ANY]);
        }
    }

    fn note_dns_uses(&mut self, program: ProgramId, rule: &'d Rule) {
        let answer = rule.answer.iter().flat_map(|a| a.from.iter());
        for peer in rule.peer.iter().chain(rule.senders.iter()).chain(answer) {
            if let Peer::Dns(name) = peer {
                let tag = self.tag(Name::Dns(name));
                self.dns_uses.insert((program, tag));
            }
        }
    }

    // Tags.

    pub(super) fn tag(&mut self, name: Name<'d>) -> Tag {
        let tag = *self.names.entry(name).or_insert(self.next_tag);
        self.next_tag = self.next_tag.max(tag + 1);
        tag
    }

    fn network_tag(&mut self, network: Prefix) -> Tag {
        let tag = self.classes.literal(network, self.next_tag);
        self.next_tag = self.next_tag.max(tag + 1);
        tag
    }

    pub(super) fn add_peer_tags(&mut self, peers: &'d [Peer], found: &mut Vec<Tag>) {
        for peer in peers {
            self.add_station_tags(peer, found);
        }
    }

    fn add_station_tags(&mut self, peer: &'d Peer, found: &mut Vec<Tag>) {
        match peer {
            Peer::Any => found.push(tags::ANY),
            Peer::MyController => found.push(tags::MY_CONTROLLER),
            Peer::SameManufacturer => found.push(tags::SAME_MANUFACTURER),
            Peer::Address(networks) => {
                found.extend(networks.iter().map(|n| self.network_tag(*n)));
            }
            // The checker refuses group frames where a station is asked for.
            Peer::Broadcast | Peer::Multicast(_) => {}
            named => found.extend(Name::of(named).map(|name| self.tag(name))),
        }
    }
}

/// One piece for each combination of peer, group and port ranges.
fn add_pieces(
    number: u32,
    rule: &Rule,
    talk: Talk,
    [peers, groups]: [&[Tag]; 2],
    ports: &[(u16, u16)],
    pieces: &mut Vec<Piece>,
) {
    let protocol = match rule.protocol {
        Protocol::Any => ANY_PROTOCOL,
        Protocol::Number(number) => number.into(),
    };
    let all = [PortRange::ALL];
    let sources = rule.source_ports.as_ref().map_or(&all[..], |p| &p.0);
    for (peer, group) in peers
        .iter()
        .flat_map(|p| groups.iter().map(move |g| (*p, *g)))
    {
        let key = Key {
            peer,
            group,
            protocol,
            talk,
        };
        for ports in ports {
            pieces.extend(sources.iter().map(|source| Piece {
                key,
                rule: number,
                ports: *ports,
                sources: (source.first, source.last),
            }));
        }
    }
}

/// The responder's ports of a rule; for ICMP `type << 8 | code`.
fn responder_ports(rule: &Rule, found: &mut Vec<(u16, u16)>) {
    found.clear();
    if let Some(kinds) = &rule.icmp {
        let kinds = kinds.iter().filter_map(|kind| kind.resolve(rule.protocol));
        found.extend(kinds.map(|(kind, code)| {
            let first = u16::from(kind) << 8;
            match code {
                Some(code) => (first | u16::from(code), first | u16::from(code)),
                None => (first, first | 0xff),
            }
        }));
        return;
    }
    let all = [PortRange::ALL];
    let ports = rule.ports.as_ref().map_or(&all[..], |ports| &ports.0);
    found.extend(ports.iter().map(|range| (range.first, range.last)));
}
