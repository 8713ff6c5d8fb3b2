//! What a document means, told the slow way: every rule in its order, nothing prepared.
//!
//! The compiler is proved against this evaluator; it must stay so plain that it can be checked
//! by reading it next to `docs/policy.md`.

use std::net::IpAddr;

use crate::document::{Action, Device, Direction, Document, EtherRule, Island, Peer, Rule, Visit};
use crate::scalar::{EtherMatch, FIRST_ETHERTYPE, FrameTarget, Many, PortRange, Protocol};
use crate::snapshot::is_link_local;
use crate::types::{Care, Cast, DeviceKey, Initiator, MacAddr, Mode, Refusal, Side, VlanKey};
use crate::{Query, Reason};

/// What is known of a peer beyond its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Its address is bound to this device, listed or not.
    Device(DeviceKey),
    /// The device asked for this name and got this address.
    DnsName(String),
}

/// A decision, with names instead of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether policy allows it.
    pub allow: bool,
    /// Why.
    pub reason: Reason,
    /// The deciding rule, as [`crate::PolicySnapshot::rule_name`] tells it; empty if none.
    pub rule: String,
    /// What the conversation is for.
    pub care: Care,
    /// How it is refused.
    pub refusal: Refusal,
    /// Length of the answer window it opens, in seconds.
    pub answer_s: Option<u16>,
}

/// A document at an instant.
#[derive(Debug, Clone, Copy)]
pub struct Reference<'d> {
    /// The document; it must have been checked.
    pub document: &'d Document,
    /// Unix time in seconds.
    pub now_s: u64,
}

/// A question, with what is known of the peer.
#[derive(Debug, Clone, Copy)]
struct Asked<'q> {
    query: &'q Query<'q>,
    known: &'q [Known],
}

/// A rule with its name and where it stands.
struct Placed<'d> {
    rule: &'d Rule,
    name: String,
    reason: Reason,
}

impl<'d> Reference<'d> {
    /// The listed device behind a key.
    pub fn device(&self, key: &DeviceKey) -> Option<&'d Device> {
        self.document
            .devices
            .iter()
            .find(|d| d.mac == key.mac && d.vlan.0 == key.vlan)
    }

    /// The mode of a device.
    pub fn mode(&self, key: &DeviceKey) -> Mode {
        let device = self.device(key);
        let released = self.document.releases.iter().any(|release| {
            self.now_s < release.until.unix_s
                && (release.vlan.is_some_and(|vlan| vlan.0 == key.vlan)
                    || device.is_some_and(|d| {
                        release.device.as_ref() == Some(&d.name)
                            || (release.ward.is_some() && release.ward == d.ward)
                    }))
        });
        let defaults = &self.document.defaults;
        match device {
            _ if released => Mode::BreakGlass,
            Some(device) => device.mode.unwrap_or(defaults.mode),
            None => defaults.unlisted_mode,
        }
    }

    /// May this conversation of a device begin?
    pub fn decide(&self, key: &DeviceKey, query: &Query<'_>, known: &[Known]) -> Verdict {
        let asked = Asked { query, known };
        let device = self.device(key);
        let refusal = self.refusal(device);
        let islander = self.is_islander(key);
        let inside = islander
            && query.cast == Cast::Unicast
            && (self
                .listed_peers(asked)
                .any(|d| self.is_islander(&key_of(d)))
                || known
                    .iter()
                    .any(|k| matches!(k, Known::Device(k) if self.is_islander(k))));
        for placed in self.rules_of(device) {
            let baseline = placed.reason == Reason::Baseline;
            let survives = placed.rule.action == Action::Deny
                || match self.mode(key) {
                    Mode::Isolate => placed.rule.rescue,
                    _ if islander && !inside && !baseline => placed.rule.care.is_life_critical(),
                    _ => true,
                };
            if survives && self.matches(placed.rule, device, asked) {
                return verdict(&placed, query.cast, refusal);
            }
        }
        let (open, care) = match device {
            Some(device) => (self.is_open(device), self.care(device)),
            None => (false, Care::Facility),
        };
        let reason = match self.mode(key) {
            Mode::Isolate => Reason::Isolated,
            _ if open => Reason::LifeCriticalOpen,
            _ if islander => Reason::Island,
            _ => Reason::NoRule,
        };
        nothing_matched(reason, care, refusal)
    }

    /// May this broadcast or multicast frame enter the VLAN? Every verdict that would be right:
    /// one for each rule that lets it in, else the one that keeps it out.
    pub fn decide_group(&self, vlan: VlanKey, query: &Query<'_>, known: &[Known]) -> Vec<Verdict> {
        let asked = Asked { query, known };
        let document = self.document;
        let mut verdicts = Vec::new();
        let unlisted = DeviceKey {
            mac: MacAddr::default(),
            vlan: VlanKey {
                outer: 4095,
                inner: 0,
            },
        };
        let here = document.devices.iter().filter(|d| d.vlan.0 == vlan);
        let listeners = here
            .clone()
            .map(|d| (key_of(d), Some(d)))
            .chain([(unlisted, None)]);
        for (key, device) in listeners {
            for placed in self
                .rules_of(device)
                .filter(|p| p.reason != Reason::Baseline)
            {
                let survives = match self.mode(&key) {
                    Mode::Isolate => placed.rule.rescue,
                    _ => !self.is_islander(&key) || placed.rule.care.is_life_critical(),
                };
                if survives
                    && placed.rule.action == Action::Allow
                    && self.matches(placed.rule, None, asked)
                {
                    verdicts.push(verdict(&placed, query.cast, document.defaults.refusal));
                }
            }
        }
        if !verdicts.is_empty() {
            return verdicts;
        }
        if let Some(placed) = self.baseline().find(|p| self.matches(p.rule, None, asked)) {
            return vec![verdict(&placed, query.cast, document.defaults.refusal)];
        }
        let open = |d: &Device| self.is_open(d) && self.mode(&key_of(d)) != Mode::Isolate;
        let reason = match here.clone().any(open) {
            true => Reason::LifeCriticalOpen,
            false => Reason::NoRule,
        };
        vec![nothing_matched(
            reason,
            Care::Surveillance,
            document.defaults.refusal,
        )]
    }

    /// May this answer come inside the window a rule opened?
    pub fn answer_allowed(&self, rule: &Rule, query: &Query<'_>, known: &[Known]) -> bool {
        let Some(answer) = &rule.answer else {
            return false;
        };
        let from_peer = rule.direction == Direction::FromDevice;
        let ports = answer.ports.as_ref().or(rule.ports.as_ref());
        let asked = Asked { query, known };
        query.cast == Cast::Unicast
            && from_peer == (query.initiator == Initiator::Peer)
            && rule.protocol == Protocol::Number(query.protocol)
            && contains(ports, query.source_port)
            && (answer.from.is_empty() || answer.from.iter().any(|p| self.is_peer(p, None, asked)))
    }

    /// What the baseline says of a frame that is not IP: the rule, if any.
    pub fn frame_rule(
        &self,
        from: Side,
        ethertype: u16,
        destination: MacAddr,
    ) -> Option<&'d EtherRule> {
        self.document.baseline.ethertypes.iter().find(|rule| {
            let kind = match rule.ethertype {
                EtherMatch::Any => true,
                EtherMatch::Llc => ethertype < FIRST_ETHERTYPE,
                EtherMatch::Number(number) => number == ethertype,
            };
            let target = match rule.destination {
                FrameTarget::Any => true,
                FrameTarget::LinkLocal => is_link_local(destination),
                FrameTarget::Mac(mac) => mac == destination,
            };
            kind && target && rule.from.contains(&from)
        })
    }

    // Which rules there are.

    fn rules_of(&self, device: Option<&'d Device>) -> impl Iterator<Item = Placed<'d>> {
        let document = self.document;
        let name = device.map(|d| d.name.as_str());
        let now_s = self.now_s;
        let active = move |v: &&Visit| {
            Some(v.device.as_str()) == name && v.from.unix_s <= now_s && now_s < v.until.unix_s
        };
        let visits = document.visits.iter().filter(active).flat_map(|visit| {
            place(
                &visit.rules,
                format!("visit {}", visit.work_order),
                Reason::VendorVisit,
            )
        });
        let own = device.into_iter().flat_map(|device| {
            place(
                &device.rules,
                format!("device {}", device.name),
                Reason::Allowed,
            )
        });
        let role = match device {
            Some(device) => device.role.as_ref(),
            None => document.defaults.unlisted_role.as_ref(),
        };
        let role = role.into_iter().flat_map(|name| {
            let rules = document.roles.get(name).map_or(&[][..], |role| &role.rules);
            place(rules, format!("role {name}"), Reason::Allowed)
        });
        visits.chain(own).chain(role).chain(self.baseline())
    }

    fn baseline(&self) -> impl Iterator<Item = Placed<'d>> + use<'d> {
        place(
            &self.document.baseline.rules,
            "baseline".to_owned(),
            Reason::Baseline,
        )
    }

    fn refusal(&self, device: Option<&Device>) -> Refusal {
        let defaults = &self.document.defaults;
        let role = match device {
            Some(device) => device.role.as_ref(),
            None => defaults.unlisted_role.as_ref(),
        };
        let role = role.and_then(|name| self.document.roles.get(name));
        let own = device.and_then(|d| d.refusal);
        own.or(role.and_then(|r| r.refusal))
            .unwrap_or(defaults.refusal)
    }

    // What a device is.

    fn island(&self) -> Option<&'d Island> {
        let island = self.document.island.as_ref()?;
        let lasts = island.until.is_some_and(|until| self.now_s < until.unix_s);
        (island.active && lasts).then_some(island)
    }

    fn is_islander(&self, key: &DeviceKey) -> bool {
        self.island()
            .is_some_and(|island| match (&island.vlan, &island.ward) {
                (Some(vlan), _) => vlan.0 == key.vlan,
                (None, None) => true,
                (None, Some(ward)) => self
                    .device(key)
                    .is_some_and(|device| device.ward.as_ref() == Some(ward)),
            })
    }

    fn role_rules(&self, device: &Device) -> &'d [Rule] {
        let role = device
            .role
            .as_ref()
            .and_then(|name| self.document.roles.get(name));
        role.map_or(&[], |role| &role.rules)
    }

    fn is_open(&self, device: &Device) -> bool {
        device.care.is_some_and(Care::is_life_critical)
            && device.rules.is_empty()
            && self.role_rules(device).is_empty()
    }

    fn care(&self, device: &Device) -> Care {
        let rules = device.rules.iter().chain(self.role_rules(device));
        rules
            .map(|rule| rule.care)
            .chain(device.care)
            .max()
            .unwrap_or_default()
    }

    // Whether a rule matches.

    fn matches(&self, rule: &Rule, device: Option<&Device>, asked: Asked<'_>) -> bool {
        let query = asked.query;
        let begins = match rule.direction {
            Direction::FromDevice => Initiator::Device,
            Direction::ToDevice => Initiator::Peer,
        };
        begins == query.initiator
            && (rule.protocol == Protocol::Any || rule.protocol == Protocol::Number(query.protocol))
            && contains(rule.ports.as_ref(), query.destination_port)
            && contains(rule.source_ports.as_ref(), query.source_port)
            && is_message(rule, query.destination_port)
            && self.is_addressed(rule, device, asked)
    }

    fn is_addressed(&self, rule: &Rule, device: Option<&Device>, asked: Asked<'_>) -> bool {
        let query = asked.query;
        let group_peer = |peer: &Peer| match (peer, query.cast) {
            (Peer::Broadcast, Cast::Broadcast) => true,
            (Peer::Multicast(groups), Cast::Multicast) => {
                groups.iter().any(|group| group.contains(query.destination))
            }
            _ => false,
        };
        match query.cast {
            Cast::Unicast => rule
                .peer
                .iter()
                .any(|peer| self.is_peer(peer, device, asked)),
            Cast::Broadcast | Cast::Multicast => {
                rule.peer.iter().any(group_peer)
                    && (rule.senders.is_empty()
                        || rule.senders.iter().any(|s| self.is_peer(s, device, asked)))
            }
        }
    }

    /// Whether a station is the peer; group frames have none.
    fn is_peer(&self, peer: &Peer, device: Option<&Device>, asked: Asked<'_>) -> bool {
        let address = asked.query.peer;
        match peer {
            Peer::Any => true,
            Peer::Broadcast | Peer::Multicast(_) => false,
            Peer::Address(networks) => networks.iter().any(|n| n.contains(address)),
            Peer::Group(name) => self.is_in_group(name, address),
            Peer::MyController => device
                .and_then(|d| d.controller.as_ref())
                .is_some_and(|group| self.is_in_group(group, address)),
            Peer::Controller(class) => self.document.groups.values().any(|group| {
                group.controller.contains(class)
                    && group.addresses.iter().any(|n| n.contains(address))
            }),
            Peer::Dns(name) => asked.known.contains(&Known::DnsName(name.clone())),
            Peer::Device(name) => self.listed_peers(asked).any(|d| d.name == *name),
            Peer::Role(name) => self
                .listed_peers(asked)
                .any(|d| d.role.as_ref() == Some(name)),
            Peer::Model(url) => self
                .listed_peers(asked)
                .any(|d| d.mud.as_ref().is_some_and(|m| m.url == *url)),
            Peer::Manufacturer(authority) => self
                .listed_peers(asked)
                .any(|d| authority_of(d) == Some(authority)),
            Peer::SameManufacturer => {
                let own = device.and_then(authority_of);
                own.is_some() && self.listed_peers(asked).any(|d| authority_of(d) == own)
            }
        }
    }

    fn is_in_group(&self, name: &str, address: IpAddr) -> bool {
        let group = self.document.groups.get(name);
        group.is_some_and(|g| g.addresses.iter().any(|n| n.contains(address)))
    }

    /// The listed devices the peer is: by an address of the document, or as the engine knows.
    fn listed_peers<'q>(&self, asked: Asked<'q>) -> impl Iterator<Item = &'d Device> + use<'q, 'd> {
        self.document.devices.iter().filter(move |device| {
            device.addresses.contains(&asked.query.peer)
                || asked.known.contains(&Known::Device(key_of(device)))
        })
    }
}

fn key_of(device: &Device) -> DeviceKey {
    DeviceKey {
        mac: device.mac,
        vlan: device.vlan.0,
    }
}

fn authority_of(device: &Device) -> Option<&str> {
    device.mud.as_ref().and_then(|mud| mud.authority())
}

fn place(rules: &[Rule], list: String, reason: Reason) -> impl Iterator<Item = Placed<'_>> {
    rules.iter().map(move |rule| Placed {
        rule,
        name: format!("{list} / {}", rule.name),
        reason,
    })
}

fn contains(ports: Option<&Many<PortRange>>, port: u16) -> bool {
    ports.is_none_or(|ports| ports.iter().any(|range| range.contains(port)))
}

/// Whether `type << 8 | code` is one of the rule's ICMP messages.
fn is_message(rule: &Rule, port: u16) -> bool {
    let [kind, code] = port.to_be_bytes();
    rule.icmp.as_ref().is_none_or(|kinds| {
        kinds.iter().any(|k| match k.resolve(rule.protocol) {
            Some((wanted, None)) => wanted == kind,
            Some((wanted, Some(wanted_code))) => (wanted, wanted_code) == (kind, code),
            None => false,
        })
    })
}

fn verdict(placed: &Placed<'_>, cast: Cast, refusal: Refusal) -> Verdict {
    let rule = placed.rule;
    let allow = rule.action == Action::Allow;
    let reason = match (allow, placed.reason) {
        (true, reason) => reason,
        (false, Reason::Baseline) => Reason::BaselineDenied,
        (false, _) => Reason::DeniedByRule,
    };
    let answer = rule
        .answer
        .as_ref()
        .filter(|_| cast != Cast::Unicast && allow);
    Verdict {
        allow,
        reason,
        rule: placed.name.clone(),
        care: rule.care,
        refusal: if allow {
            Refusal::Silent
        } else {
            rule.refusal.unwrap_or(refusal)
        },
        answer_s: answer.map(|a| a.seconds),
    }
}

fn nothing_matched(reason: Reason, care: Care, refusal: Refusal) -> Verdict {
    let allow = reason.forwards();
    Verdict {
        allow,
        reason,
        rule: String::new(),
        care: if allow { care } else { Care::Facility },
        refusal: if allow { Refusal::Silent } else { refusal },
        answer_s: None,
    }
}
