//! From a device's rules to a MUD file.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::{LOCAL_NETWORKS, Note};
use crate::document::{Action, Device, Direction, Document, Peer, Rule};
use crate::scalar::{Many, PortRange, Prefix, Protocol, Time};
use crate::types::{Care, Refusal};

/// A MUD file and what did not go into it.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// The file.
    pub mud: Value,
    /// What MUD cannot say.
    pub notes: Vec<Note>,
}

/// Writes the rules of a device, its own and then those of its role, as a MUD file. A device
/// without a MUD URL gets `https://localhost/NAME`, which names nobody.
pub fn export(document: &Document, device: &Device, last_update: Time) -> Exported {
    let role = device
        .role
        .as_ref()
        .and_then(|name| document.roles.get(name));
    let rules = device
        .rules
        .iter()
        .chain(role.map_or(&[][..], |role| &role.rules));
    let mut export = Export {
        document,
        lists: Default::default(),
        notes: Vec::new(),
    };
    rules.for_each(|rule| export.rule(rule));
    let url = device.mud.as_ref().map_or_else(
        || format!("https://localhost/{}", device.name),
        |mud| mud.url.clone(),
    );
    let system_info = role
        .and_then(|role| role.description.as_deref())
        .unwrap_or(&device.name);
    // RFC 8520 section 3.6: at most 60 characters.
    let system_info: String = system_info.chars().take(60).collect();
    Exported {
        mud: export.file(&url, &system_info, last_update),
        notes: export.notes,
    }
}

/// The lists of a file, by direction and IP version.
const LISTS: [(&str, Direction, Family); 4] = [
    ("from-ipv4", Direction::FromDevice, Family::V4),
    ("from-ipv6", Direction::FromDevice, Family::V6),
    ("to-ipv4", Direction::ToDevice, Family::V4),
    ("to-ipv6", Direction::ToDevice, Family::V6),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    const fn name(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }
}

/// One end of a conversation in words of MUD.
#[derive(Debug, Clone)]
enum End {
    Anybody,
    Network(Prefix),
    Name(String),
    Abstraction(&'static str, Value),
}

impl End {
    fn is_in(&self, family: Family) -> bool {
        match self {
            Self::Network(network) => network.address.is_ipv4() == (family == Family::V4),
            _ => true,
        }
    }
}

/// One conversation of a rule: single ends, single ports.
struct Talk<'r> {
    rule: &'r Rule,
    peer: End,
    /// The broadcast or multicast group it is sent to.
    group: Option<Prefix>,
    ports: Option<PortRange>,
    source_ports: Option<PortRange>,
    icmp: Option<(u8, Option<u8>)>,
}

struct Export<'d> {
    document: &'d Document,
    lists: [Vec<Value>; 4],
    notes: Vec<Note>,
}

impl Export<'_> {
    fn note(&mut self, rule: &Rule, message: impl Into<String>) {
        self.notes.push(Note {
            path: format!("rule {}", rule.name),
            message: message.into(),
        });
    }

    fn rule(&mut self, rule: &Rule) {
        self.name_losses(rule);
        let mut ends = Vec::new();
        for peer in rule.peer.iter() {
            match self.group(peer) {
                Some(groups) => {
                    let senders = self.senders(rule);
                    for group in groups {
                        ends.extend(senders.iter().map(|sender| (sender.clone(), Some(group))));
                    }
                }
                None => ends.extend(self.ends(rule, peer).into_iter().map(|end| (end, None))),
            }
        }
        for (peer, group) in ends {
            for ports in each(rule.ports.as_ref()) {
                for source_ports in each(rule.source_ports.as_ref()) {
                    for icmp in messages(rule) {
                        let peer = peer.clone();
                        self.talk(&Talk {
                            rule,
                            peer,
                            group,
                            ports,
                            source_ports,
                            icmp,
                        });
                    }
                }
            }
        }
    }

    /// What of a rule MUD has no words for.
    fn name_losses(&mut self, rule: &Rule) {
        if rule.answer.is_some() {
            self.note(
                rule,
                "MUD cannot say who answers a broadcast or multicast: `answer` is lost",
            );
        }
        if rule.care != Care::Facility {
            self.note(rule, "MUD knows no criticality: `care` is lost");
        }
        if rule.rescue {
            self.note(rule, "MUD knows no isolation: `rescue` is lost");
        }
        if rule.refusal == Some(Refusal::Reset) {
            self.note(rule, "MUD knows no reset: it became `reject`");
        }
        if rule.peer.contains(&Peer::Broadcast) {
            self.note(
                rule,
                "MUD cannot name the subnet's broadcast: only 255.255.255.255 is said",
            );
        }
    }

    fn senders(&mut self, rule: &Rule) -> Vec<End> {
        if rule.senders.is_empty() {
            return vec![End::Anybody];
        }
        rule.senders
            .iter()
            .flat_map(|sender| self.ends(rule, sender))
            .collect()
    }

    fn group(&self, peer: &Peer) -> Option<Vec<Prefix>> {
        match peer {
            Peer::Broadcast => Some(vec![Prefix::host(IpAddr::from([255, 255, 255, 255]))]),
            Peer::Multicast(groups) => Some(groups.0.clone()),
            _ => None,
        }
    }

    fn ends(&mut self, rule: &Rule, peer: &Peer) -> Vec<End> {
        let mark = || json!([null]);
        match peer {
            Peer::Any => vec![End::Anybody],
            Peer::Address(networks) => networks.iter().copied().map(End::Network).collect(),
            Peer::Group(name) if name == LOCAL_NETWORKS => {
                vec![End::Abstraction("local-networks", mark())]
            }
            Peer::Group(name) => {
                self.note(
                    rule,
                    format!("group `{name}` became its addresses of today"),
                );
                let group = self.document.groups.get(name);
                let networks = group.map_or(&[][..], |group| &group.addresses);
                networks.iter().copied().map(End::Network).collect()
            }
            Peer::Dns(name) => vec![End::Name(name.clone())],
            Peer::Controller(class) => vec![End::Abstraction("controller", json!(class))],
            Peer::MyController => vec![End::Abstraction("my-controller", mark())],
            Peer::SameManufacturer => vec![End::Abstraction("same-manufacturer", mark())],
            Peer::Manufacturer(name) => vec![End::Abstraction("manufacturer", json!(name))],
            Peer::Model(url) => vec![End::Abstraction("model", json!(url))],
            Peer::Role(name) => {
                self.note(rule, format!("MUD cannot name role `{name}`: left out"));
                Vec::new()
            }
            Peer::Device(name) => {
                self.note(rule, format!("MUD cannot name device `{name}`: left out"));
                Vec::new()
            }
            Peer::Broadcast | Peer::Multicast(_) => Vec::new(),
        }
    }

    /// Both halves of a conversation, in the lists of each IP version that can carry it.
    fn talk(&mut self, talk: &Talk<'_>) {
        let rule = talk.rule;
        for (at, (_, list, family)) in LISTS.into_iter().enumerate() {
            let group_fits = talk.group.is_none_or(|g| End::Network(g).is_in(family));
            let protocol_fits = match rule.protocol {
                Protocol::ICMP | Protocol::Number(2) => family == Family::V4,
                Protocol::ICMPV6 => family == Family::V6,
                _ => true,
            };
            if !talk.peer.is_in(family) || !group_fits || !protocol_fits {
                continue;
            }
            let forward = list == rule.direction;
            if forward || talk.has_return_half() {
                self.lists[at].push(ace(talk, list, family, forward));
            }
        }
    }

    fn file(&self, url: &str, system_info: &str, last_update: Time) -> Value {
        let lists = || {
            LISTS
                .iter()
                .zip(&self.lists)
                .filter(|(_, aces)| !aces.is_empty())
        };
        let acls: Vec<Value> = lists()
            .map(|((name, _, family), aces)| {
                json!({
                    "name": name,
                    "type": format!("{}-acl-type", family.name()),
                    "aces": { "ace": aces }
                })
            })
            .collect();
        let policy = |direction: Direction| {
            let names: Vec<Value> = lists()
                .filter(|((_, list, _), _)| *list == direction)
                .map(|((name, ..), _)| json!({ "name": name }))
                .collect();
            json!({ "access-lists": { "access-list": names } })
        };
        json!({
            "ietf-mud:mud": {
                "mud-version": 1,
                "mud-url": url,
                "last-update": last_update.to_string(),
                "cache-validity": 48,
                "is-supported": true,
                "systeminfo": system_info,
                "from-device-policy": policy(Direction::FromDevice),
                "to-device-policy": policy(Direction::ToDevice)
            },
            "ietf-access-control-list:acls": { "acl": acls }
        })
    }
}

impl Talk<'_> {
    /// TCP says who begins; UDP is recognised by the responder's port. Anything else would
    /// let the other end begin, and a group does not answer.
    fn has_return_half(&self) -> bool {
        match self.rule.protocol {
            _ if self.group.is_some() => false,
            Protocol::TCP => true,
            Protocol::UDP => self.ports.is_some() && self.source_ports.is_none(),
            _ => false,
        }
    }
}

fn each(ports: Option<&Many<PortRange>>) -> Vec<Option<PortRange>> {
    ports.map_or_else(
        || vec![None],
        |ports| ports.iter().copied().map(Some).collect(),
    )
}

fn messages(rule: &Rule) -> Vec<Option<(u8, Option<u8>)>> {
    rule.icmp.as_ref().map_or_else(
        || vec![None],
        |kinds| {
            kinds
                .iter()
                .map(|kind| kind.resolve(rule.protocol))
                .collect()
        },
    )
}

fn ace(talk: &Talk<'_>, list: Direction, family: Family, forward: bool) -> Value {
    let rule = talk.rule;
    let name = if forward {
        rule.name.clone()
    } else {
        format!("{}-return", rule.name)
    };
    let forwarding = match (rule.action, rule.refusal) {
        (Action::Allow, _) => "accept",
        (Action::Deny, Some(Refusal::Reset | Refusal::Unreachable)) => "reject",
        (Action::Deny, _) => "drop",
    };
    json!({
        "name": name,
        "matches": matches(talk, list, family, forward),
        "actions": { "forwarding": forwarding }
    })
}

fn matches(talk: &Talk<'_>, list: Direction, family: Family, forward: bool) -> Value {
    let mut ip = Map::new();
    let mut matches = Map::new();
    let (far, far_dns) = match list {
        Direction::FromDevice => ("destination", "ietf-acldns:dst-dnsname"),
        Direction::ToDevice => ("source", "ietf-acldns:src-dnsname"),
    };
    let network_key = |end: &str| format!("{end}-{}-network", family.name());
    match &talk.peer {
        End::Anybody => {}
        End::Network(network) => {
            ip.insert(network_key(far), json!(network_text(*network)));
        }
        End::Name(name) => {
            ip.insert(far_dns.to_owned(), json!(name));
        }
        End::Abstraction(kind, value) => {
            matches.insert("ietf-mud:mud".to_owned(), json!({ *kind: value }));
        }
    }
    if let Some(group) = talk.group {
        ip.insert(network_key("destination"), json!(network_text(group)));
    }
    if let Protocol::Number(number) = talk.rule.protocol {
        ip.insert("protocol".to_owned(), json!(number));
    }
    if !ip.is_empty() {
        matches.insert(family.name().to_owned(), Value::Object(ip));
    }
    if let Some((name, transport)) = transport(talk, forward) {
        matches.insert(name.to_owned(), Value::Object(transport));
    }
    Value::Object(matches)
}

fn transport(talk: &Talk<'_>, forward: bool) -> Option<(&'static str, Map<String, Value>)> {
    let mut fields = Map::new();
    let (source, destination) = if forward {
        (talk.source_ports, talk.ports)
    } else {
        (talk.ports, talk.source_ports)
    };
    for (key, ports) in [("source-port", source), ("destination-port", destination)] {
        if let Some(ports) = ports {
            fields.insert(key.to_owned(), ports_value(ports));
        }
    }
    let name = match talk.rule.protocol {
        Protocol::TCP => {
            let begins = match talk.rule.direction {
                Direction::FromDevice => "from-device",
                Direction::ToDevice => "to-device",
            };
            fields.insert("ietf-mud:direction-initiated".to_owned(), json!(begins));
            "tcp"
        }
        Protocol::UDP => "udp",
        Protocol::ICMP | Protocol::ICMPV6 => {
            let (kind, code) = talk.icmp?;
            fields.insert("type".to_owned(), json!(kind));
            if let Some(code) = code {
                fields.insert("code".to_owned(), json!(code));
            }
            "icmp"
        }
        _ => return None,
    };
    (!fields.is_empty()).then_some((name, fields))
}

fn ports_value(ports: PortRange) -> Value {
    if ports.first == ports.last {
        json!({ "operator": "eq", "port": ports.first })
    } else {
        json!({ "lower-port": ports.first, "upper-port": ports.last })
    }
}

/// MUD always writes the length of a network.
fn network_text(network: Prefix) -> String {
    format!("{}/{}", network.address, network.length)
}
