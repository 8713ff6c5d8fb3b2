//! From a MUD file to rules.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::{LOCAL_NETWORKS, Note};
use crate::diagnostic::{Diagnostic, Diagnostics, Position, Severity};
use crate::document::{Action, Direction, Peer, Rule};
use crate::scalar::{IcmpKind, Many, PortRange, Prefix, Protocol};
use crate::types::Refusal;

/// What a MUD file says, as rules of this language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The MUD URL.
    pub url: String,
    /// What the maker says the device is.
    pub system_info: Option<String>,
    /// The rules.
    pub rules: Vec<Rule>,
    /// What could not be taken over, and what a person should know.
    pub notes: Vec<Note>,
}

/// Reads a MUD file. `file_name` only appears in errors.
///
/// # Errors
/// The text is not JSON, not a MUD file of version 1, or its lists do not fit together.
pub fn import(text: &str, file_name: &str) -> Result<Imported, Diagnostics> {
    let root: Value = serde_json::from_str(text).map_err(|e| {
        let position = Position {
            line: e.line() as u32,
            column: e.column() as u32,
        };
        refuse(
            file_name,
            Some(position),
            "",
            format!("this is not JSON: {e}"),
        )
    })?;
    let mut import = Import {
        notes: Vec::new(),
        aces: Vec::new(),
    };
    let (url, system_info) = import
        .read(&root)
        .map_err(|fault| refuse(file_name, None, &fault.path, fault.message))?;
    let rules = fold(&import.aces);
    Ok(Imported {
        url,
        system_info,
        rules,
        notes: import.notes,
    })
}

fn refuse(file: &str, position: Option<Position>, path: &str, message: String) -> Diagnostics {
    Diagnostics(vec![Diagnostic {
        severity: Severity::Error,
        file: file.to_owned(),
        position,
        path: path.to_owned(),
        message,
        fix: None,
    }])
}

/// One entry of an access list, read but not yet folded.
#[derive(Debug, Clone)]
struct Ace {
    name: String,
    /// Which access list it stands in.
    acl: usize,
    list: Direction,
    initiated: Option<Direction>,
    action: Action,
    refusal: Option<Refusal>,
    peer: Peer,
    senders: Option<Peer>,
    protocol: Protocol,
    source: Option<Many<PortRange>>,
    destination: Option<Many<PortRange>>,
    icmp: Option<IcmpKind>,
}

// Folding packets into conversations.

/// First the entries that speak of packets from who begins, then what is left of the others.
fn fold(aces: &[Ace]) -> Vec<Rule> {
    let mut folded = Folded::default();
    for list in aces.chunk_by(|a, b| (a.acl, a.list) == (b.acl, b.list)) {
        folded.merge(
            list.iter()
                .filter(|ace| !is_return(ace, aces))
                .map(|ace| ace.rule(ace.list)),
        );
    }
    let returns = |ace: &&Ace| ace.initiated.is_some_and(|direction| direction != ace.list);
    for ace in aces.iter().filter(returns) {
        folded.append(ace.rule(other(ace.list)));
    }
    folded
        .from_device
        .into_iter()
        .chain(folded.to_device)
        .collect()
}

/// Rules by who begins: only among those does the order matter.
#[derive(Default)]
struct Folded {
    from_device: Vec<Rule>,
    to_device: Vec<Rule>,
}

impl Folded {
    /// Merges the rules of one list, all of one direction. The lists of both IP versions often
    /// hold the same entry among others of their own: it becomes one rule, and everything stays
    /// before and behind it as it was.
    fn merge(&mut self, rules: impl Iterator<Item = Rule>) {
        let mut place = 0;
        for rule in rules {
            let known = self.position(&rule);
            if let Some(known) = known.filter(|known| *known >= place) {
                place = known + 1;
                continue;
            }
            let named = self.named(rule);
            let rules = self.of(named.direction);
            rules.insert(place, named);
            place += 1;
        }
    }

    fn append(&mut self, rule: Rule) {
        if self.position(&rule).is_none() {
            let named = self.named(rule);
            self.of(named.direction).push(named);
        }
    }

    fn of(&mut self, direction: Direction) -> &mut Vec<Rule> {
        match direction {
            Direction::FromDevice => &mut self.from_device,
            Direction::ToDevice => &mut self.to_device,
        }
    }

    /// Where a rule stands that says the same, whatever its name.
    fn position(&mut self, rule: &Rule) -> Option<usize> {
        let same = |known: &Rule| {
            Rule {
                name: rule.name.clone(),
                ..known.clone()
            } == *rule
        };
        self.of(rule.direction).iter().position(same)
    }

    /// The rule with a name nobody has yet.
    fn named(&self, mut rule: Rule) -> Rule {
        let all = || self.from_device.iter().chain(&self.to_device);
        let name = std::mem::take(&mut rule.name);
        rule.name = (1..)
            .map(|n| {
                if n == 1 {
                    name.clone()
                } else {
                    format!("{name}-{n}")
                }
            })
            .find(|name| all().all(|known| known.name != *name))
            .unwrap_or(name);
        rule
    }
}

/// Whether an entry is the return half of a conversation. TCP says it; for the rest it is one
/// that names the far port only and has a counterpart in the other list.
fn is_return(ace: &Ace, aces: &[Ace]) -> bool {
    match ace.initiated {
        Some(direction) => direction != ace.list,
        None => {
            ace.source.is_some()
                && ace.destination.is_none()
                && aces.iter().any(|forward| {
                    forward.list != ace.list
                        && forward.initiated.is_none()
                        && forward.protocol == ace.protocol
                        && forward.peer == ace.peer
                        && forward.action == ace.action
                        && forward.destination == ace.source
                        && forward.source.is_none()
                })
        }
    }
}

impl Ace {
    /// The rule for conversations begun in this direction.
    fn rule(&self, direction: Direction) -> Rule {
        let forward = direction == self.list;
        let (ports, source_ports) = if forward {
            (&self.destination, &self.source)
        } else {
            (&self.source, &self.destination)
        };
        Rule {
            action: self.action,
            refusal: self.refusal,
            senders: self.senders.clone().into_iter().collect(),
            ports: ports.clone(),
            source_ports: source_ports.clone(),
            icmp: self.icmp.map(|kind| Many(vec![kind])),
            ..Rule::allow(
                &self.name,
                direction,
                vec![self.peer.clone()],
                self.protocol,
            )
        }
    }
}

const fn other(direction: Direction) -> Direction {
    match direction {
        Direction::FromDevice => Direction::ToDevice,
        Direction::ToDevice => Direction::FromDevice,
    }
}

// Reading.

/// Why a file or an entry cannot be taken over.
struct Fault {
    path: String,
    message: String,
}

fn fault<T>(path: impl Into<String>, message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault {
        path: path.into(),
        message: message.into(),
    })
}

struct Import {
    notes: Vec<Note>,
    aces: Vec<Ace>,
}

/// A key without its YANG module: `ietf-mud:mud` reads as `mud`.
fn plain(key: &str) -> &str {
    key.rsplit_once(':').map_or(key, |(_, name)| name)
}

fn get<'v>(object: &'v Map<String, Value>, wanted: &str) -> Option<&'v Value> {
    object
        .iter()
        .find(|(key, _)| plain(key) == wanted)
        .map(|(_, value)| value)
}

/// The objects of a YANG list, which JSON may also write as a single one.
fn items(value: Option<&Value>) -> &[Value] {
    match value {
        Some(Value::Array(items)) => items,
        Some(one) => std::slice::from_ref(one),
        None => &[],
    }
}

impl Import {
    fn note(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.notes.push(Note {
            path: path.into(),
            message: message.into(),
        });
    }

    fn read(&mut self, root: &Value) -> Result<(String, Option<String>), Fault> {
        let Some(root) = root.as_object() else {
            return fault("$", "a MUD file is a JSON object");
        };
        let Some(mud) = get(root, "mud").and_then(Value::as_object) else {
            return fault("$", "there is no `ietf-mud:mud`: this is not a MUD file");
        };
        let path = "$['ietf-mud:mud']";
        if get(mud, "mud-version").and_then(Value::as_u64) != Some(1) {
            return fault(
                format!("{path}['mud-version']"),
                "only version 1 is defined",
            );
        }
        let Some(url) = get(mud, "mud-url").and_then(Value::as_str) else {
            return fault(format!("{path}['mud-url']"), "the MUD URL is missing");
        };
        for extension in items(get(mud, "extensions")) {
            let message = format!("extension {extension} is not known here; it was ignored");
            self.note(format!("{path}.extensions"), message);
        }
        let acls = get(root, "acls").and_then(Value::as_object);
        let acls = items(acls.and_then(|acls| get(acls, "acl")));
        for (key, direction) in [
            ("from-device-policy", Direction::FromDevice),
            ("to-device-policy", Direction::ToDevice),
        ] {
            match get(mud, key) {
                Some(policy) => {
                    self.policy(policy, &format!("{path}['{key}']"), direction, acls)?
                }
                None => self.note(
                    path,
                    format!("there is no {key}; return traffic of the other direction is implied"),
                ),
            }
        }
        let system_info = get(mud, "systeminfo")
            .and_then(Value::as_str)
            .map(str::to_owned);
        Ok((url.to_owned(), system_info))
    }

    fn policy(
        &mut self,
        policy: &Value,
        path: &str,
        direction: Direction,
        acls: &[Value],
    ) -> Result<(), Fault> {
        let lists = policy.as_object().and_then(|p| get(p, "access-lists"));
        let lists = lists
            .and_then(Value::as_object)
            .and_then(|l| get(l, "access-list"));
        for (index, list) in items(lists).iter().enumerate() {
            let path = format!("{path}['access-lists']['access-list'][{index}]");
            let name = list.get("name").and_then(Value::as_str);
            let found = acls
                .iter()
                .position(|acl| acl.get("name").and_then(Value::as_str) == name);
            match (name, found) {
                (Some(_), Some(at)) => self.acl(&acls[at], at, direction),
                (Some(name), None) => return fault(path, format!("there is no list `{name}`")),
                (None, _) => return fault(path, "the list has no name"),
            }
        }
        Ok(())
    }

    fn acl(&mut self, acl: &Value, at: usize, direction: Direction) {
        let path = format!("$['ietf-access-control-list:acls'].acl[{at}]");
        let kind = acl.get("type").and_then(Value::as_str).map(plain);
        let family = match kind {
            Some("ipv4-acl-type") => Some("ipv4"),
            Some("ipv6-acl-type") => Some("ipv6"),
            None => None,
            Some(other) => {
                let message = format!("lists of type {other} are not supported; it was left out");
                return self.note(format!("{path}.type"), message);
            }
        };
        let aces = acl.get("aces").and_then(|aces| aces.get("ace"));
        for (index, ace) in items(aces).iter().enumerate() {
            let path = format!("{path}.aces.ace[{index}]");
            match read_ace(ace, &path, direction, family) {
                Ok(read) => {
                    self.notes.extend(read.notes);
                    self.aces.push(Ace {
                        acl: at,
                        ..read.ace
                    });
                }
                Err(fault) => {
                    let message = format!("{}; the entry was left out", fault.message);
                    self.note(fault.path, message);
                }
            }
        }
    }
}

struct ReadAce {
    ace: Ace,
    notes: Vec<Note>,
}

/// The ends of a packet as an entry describes them, seen from the device.
#[derive(Default)]
struct Ends {
    /// What is said of the other end.
    peers: Vec<Peer>,
    /// Broadcast or multicast group a packet is sent to.
    group: Option<Peer>,
}

fn read_ace(
    ace: &Value,
    path: &str,
    list: Direction,
    family: Option<&str>,
) -> Result<ReadAce, Fault> {
    let name = ace
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or("unnamed")
        .to_owned();
    let mut notes = Vec::new();
    let (action, refusal) = read_actions(ace.get("actions"), path, &mut notes)?;
    let empty = Map::new();
    let matches = ace
        .get("matches")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let mut ends = Ends::default();
    let mut protocol = Protocol::Any;
    let mut transport = Transport::default();
    for (key, value) in matches {
        let path = format!("{path}.matches['{key}']");
        let Some(fields) = value.as_object() else {
            return fault(path, "an object was expected");
        };
        match plain(key) {
            "mud" => read_mud(fields, &path, &mut ends)?,
            version @ ("ipv4" | "ipv6") => {
                if family.is_some_and(|family| family != version) {
                    return fault(path, "the list is of the other IP version");
                }
                let named = read_ip(fields, &path, list, &mut ends)?;
                protocol = agree(protocol, named, &path)?;
            }
            layer @ ("tcp" | "udp" | "icmp") => {
                let number = match layer {
                    "tcp" => Protocol::TCP,
                    "udp" => Protocol::UDP,
                    _ if protocol == Protocol::ICMPV6 || family == Some("ipv6") => Protocol::ICMPV6,
                    _ => Protocol::ICMP,
                };
                protocol = agree(protocol, Some(number), &path)?;
                transport = read_transport(fields, &path)?;
            }
            other => return fault(path, format!("matching on `{other}` is not supported")),
        }
    }
    let (peer, senders) = ends.settle(list, path)?;
    let Transport {
        source,
        destination,
        initiated,
        icmp,
    } = transport;
    let protocol = if icmp.is_some() && !protocol.is_icmp() {
        Protocol::ICMP
    } else {
        protocol
    };
    let ace = Ace {
        name,
        acl: 0,
        list,
        initiated,
        action,
        refusal,
        peer,
        senders,
        protocol,
        source,
        destination,
        icmp,
    };
    Ok(ReadAce { ace, notes })
}

fn agree(known: Protocol, said: Option<Protocol>, path: &str) -> Result<Protocol, Fault> {
    match (known, said) {
        (known, None) => Ok(known),
        (Protocol::Any, Some(said)) => Ok(said),
        (known, Some(said)) if known == said => Ok(known),
        (known, Some(said)) => fault(path, format!("it is {known} and {said} at once")),
    }
}

fn read_actions(
    actions: Option<&Value>,
    path: &str,
    notes: &mut Vec<Note>,
) -> Result<(Action, Option<Refusal>), Fault> {
    let Some(actions) = actions.and_then(Value::as_object) else {
        return fault(format!("{path}.actions"), "there are no actions");
    };
    let mut found = None;
    for (key, value) in actions {
        let path = format!("{path}.actions['{key}']");
        match (plain(key), value.as_str().map(plain)) {
            ("forwarding", Some("accept")) => found = Some((Action::Allow, None)),
            ("forwarding", Some("drop")) => found = Some((Action::Deny, None)),
            ("forwarding", Some("reject")) => {
                found = Some((Action::Deny, Some(Refusal::Unreachable)));
            }
            ("forwarding", _) => return fault(path, format!("{value} is no forwarding action")),
            (other, _) => {
                let message = format!("action `{other}` is not supported; it was ignored");
                notes.push(Note { path, message });
            }
        }
    }
    match found {
        Some(action) => Ok(action),
        None => fault(format!("{path}.actions"), "there is no forwarding action"),
    }
}

/// The abstractions of RFC 8520 section 3.
fn read_mud(fields: &Map<String, Value>, path: &str, ends: &mut Ends) -> Result<(), Fault> {
    for (key, value) in fields {
        let path = format!("{path}['{key}']");
        let text = || match value.as_str() {
            Some(text) => Ok(text.to_owned()),
            None => fault(path.clone(), "a text was expected"),
        };
        ends.peers.push(match plain(key) {
            "controller" => Peer::Controller(text()?),
            "manufacturer" => Peer::Manufacturer(text()?),
            "model" => Peer::Model(text()?),
            "my-controller" => Peer::MyController,
            "same-manufacturer" => Peer::SameManufacturer,
            "local-networks" => Peer::Group(LOCAL_NETWORKS.to_owned()),
            other => return fault(path, format!("matching on `{other}` is not supported")),
        });
    }
    Ok(())
}

fn read_ip(
    fields: &Map<String, Value>,
    path: &str,
    list: Direction,
    ends: &mut Ends,
) -> Result<Option<Protocol>, Fault> {
    let mut protocol = None;
    for (key, value) in fields {
        let path = format!("{path}['{key}']");
        let far_is_source = list == Direction::ToDevice;
        match plain(key) {
            "protocol" => {
                let number = value.as_u64().and_then(|n| u8::try_from(n).ok());
                let Some(number) = number else {
                    return fault(path, "a protocol number was expected");
                };
                protocol = Some(Protocol::Number(number));
            }
            "source-ipv4-network" | "source-ipv6-network" => {
                let network = read_network(value, &path)?;
                if !far_is_source {
                    return fault(path, "the device's own address cannot be a condition");
                }
                ends.peers.push(Peer::Address(Many(vec![network])));
            }
            "destination-ipv4-network" | "destination-ipv6-network" => {
                let network = read_network(value, &path)?;
                match group_of(network) {
                    Some(group) => ends.group = Some(group),
                    None if far_is_source => {
                        return fault(path, "the device's own address cannot be a condition");
                    }
                    None => ends.peers.push(Peer::Address(Many(vec![network]))),
                }
            }
            "src-dnsname" if far_is_source => ends.peers.push(read_name(value, &path)?),
            "dst-dnsname" if !far_is_source => ends.peers.push(read_name(value, &path)?),
            "src-dnsname" | "dst-dnsname" => {
                return fault(path, "the device's own name cannot be a condition");
            }
            other => return fault(path, format!("matching on `{other}` is not supported")),
        }
    }
    Ok(protocol)
}

fn read_network(value: &Value, path: &str) -> Result<Prefix, Fault> {
    let parsed = value.as_str().unwrap_or_default().parse();
    parsed.or_else(|message: String| fault(path, message))
}

fn read_name(value: &Value, path: &str) -> Result<Peer, Fault> {
    match value.as_str() {
        Some(name) => Ok(Peer::Dns(name.trim_end_matches('.').to_ascii_lowercase())),
        None => fault(path, "a name was expected"),
    }
}

fn group_of(network: Prefix) -> Option<Peer> {
    if network == Prefix::host(IpAddr::from([255, 255, 255, 255])) {
        Some(Peer::Broadcast)
    } else {
        network
            .is_multicast()
            .then(|| Peer::Multicast(Many(vec![network])))
    }
}

impl Ends {
    /// The peer of the rule, and who may send to a group.
    fn settle(self, list: Direction, path: &str) -> Result<(Peer, Option<Peer>), Fault> {
        let mut peers = self.peers.into_iter();
        let peer = peers.next();
        if peers.next().is_some() {
            return fault(
                format!("{path}.matches"),
                "several conditions on the other end at once are not supported",
            );
        }
        match (self.group, peer, list) {
            (None, peer, _) => Ok((peer.unwrap_or(Peer::Any), None)),
            (Some(group), senders, Direction::ToDevice) => Ok((group, senders)),
            (Some(group), None, Direction::FromDevice) => Ok((group, None)),
            (Some(_), Some(_), Direction::FromDevice) => {
                fault(format!("{path}.matches"), "a group is no single station")
            }
        }
    }
}

/// What an entry says of the transport layer.
#[derive(Default)]
struct Transport {
    source: Option<Many<PortRange>>,
    destination: Option<Many<PortRange>>,
    initiated: Option<Direction>,
    icmp: Option<IcmpKind>,
}

fn read_transport(fields: &Map<String, Value>, path: &str) -> Result<Transport, Fault> {
    let mut transport = Transport::default();
    let (mut kind, mut code) = (None, None);
    for (key, value) in fields {
        let path = format!("{path}['{key}']");
        let byte = || match value.as_u64().and_then(|n| u8::try_from(n).ok()) {
            Some(byte) => Ok(Some(byte)),
            None => fault(path.clone(), "a number up to 255 was expected"),
        };
        match plain(key) {
            "source-port" => transport.source = Some(read_ports(value, &path)?),
            "destination-port" => transport.destination = Some(read_ports(value, &path)?),
            "direction-initiated" => {
                transport.initiated = Some(match value.as_str() {
                    Some("from-device") => Direction::FromDevice,
                    Some("to-device") => Direction::ToDevice,
                    _ => return fault(path, format!("{value} is no direction")),
                });
            }
            "type" => kind = byte()?,
            "code" => code = byte()?,
            other => return fault(path, format!("matching on `{other}` is not supported")),
        }
    }
    transport.icmp = match (kind, code) {
        (Some(kind), code) => Some(IcmpKind::Number { kind, code }),
        (None, None) => None,
        (None, Some(_)) => return fault(path, "a code without a type is not supported"),
    };
    Ok(transport)
}

/// A range or an operator with a port (RFC 8519, `port-range-or-operator`).
fn read_ports(value: &Value, path: &str) -> Result<Many<PortRange>, Fault> {
    let port = |key: &str| {
        value
            .get(key)
            .and_then(Value::as_u64)
            .and_then(|p| u16::try_from(p).ok())
    };
    let range = |first, last| Many(vec![PortRange { first, last }]);
    if let Some(first) = port("lower-port") {
        return match port("upper-port") {
            Some(last) if first <= last => Ok(range(first, last)),
            Some(_) => fault(path, "the range ends before it begins"),
            None => Ok(range(first, first)),
        };
    }
    let Some(port) = port("port") else {
        return fault(path, "neither a port nor a range of ports");
    };
    match value.get("operator").and_then(Value::as_str) {
        None | Some("eq") => Ok(range(port, port)),
        Some("lte") => Ok(range(0, port)),
        Some("gte") => Ok(range(port, u16::MAX)),
        Some("neq") => {
            let below = port.checked_sub(1).map(|last| PortRange { first: 0, last });
            let above = port.checked_add(1).map(|first| PortRange {
                first,
                last: u16::MAX,
            });
            Ok(below.into_iter().chain(above).collect())
        }
        Some(other) => fault(path, format!("operator `{other}` is not supported")),
    }
}
