//! Whether a document makes sense: what names refer to, what can be enforced, what a person
//! should look at. Everything is reported, not just the first.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::diagnostic::{Severity, nearest};
use crate::document::{
    Action, Answer, Baseline, Device, Direction, Document, Island, Peer, Release, Rule, VERSION,
    Visit,
};
use crate::scalar::{EtherMatch, Many, PortRange, Prefix, Protocol};
use crate::stable::{Map, Set};
use crate::tree::Step;
use crate::types::Mode;

/// One finding, with the path of keys to its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    pub(crate) path: Vec<Step>,
    pub(crate) message: String,
    pub(crate) fix: Option<String>,
    /// It says that a name is unknown, which may follow from an error elsewhere.
    pub(crate) about_a_name: bool,
}

/// Longest answer window: discovery answers come within seconds, and a window is a hole.
pub const MAX_ANSWER_S: u16 = 300;
/// Most (peer, group, ports, source ports) combinations of one rule.
pub const MAX_COMBINATIONS: usize = 65_536;
/// Most groups that may hold the same network, so that a look-up stays bounded.
pub const MAX_GROUPS_OF_A_NETWORK: usize = 64;
/// Most rules of one document.
pub const MAX_RULES: usize = 4_000_000;

/// Everything there is to say about a document.
pub(crate) fn check(document: &Document) -> Vec<Finding> {
    let mut checker = Checker {
        document,
        names: Names::new(document),
        findings: Vec::new(),
    };
    checker.document();
    checker.findings
}

/// A step of a path on the stack; nothing is allocated until there is a finding.
#[derive(Clone, Copy)]
struct At<'a> {
    parent: Option<&'a At<'a>>,
    step: Part<'a>,
}

#[derive(Clone, Copy)]
enum Part<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> At<'a> {
    const fn top(key: &'a str) -> Self {
        Self {
            parent: None,
            step: Part::Key(key),
        }
    }

    const fn key(&'a self, key: &'a str) -> Self {
        Self {
            parent: Some(self),
            step: Part::Key(key),
        }
    }

    const fn item(&'a self, index: usize) -> Self {
        Self {
            parent: Some(self),
            step: Part::Index(index),
        }
    }

    fn path(&self) -> Vec<Step> {
        let mut path = self.parent.map_or_else(Vec::new, Self::path);
        path.push(match self.step {
            Part::Key(key) => Step::Key(key.to_owned()),
            Part::Index(index) => Step::Index(index),
        });
        path
    }
}

/// What a document's names refer to.
struct Names<'d> {
    devices: Set<&'d str>,
    wards: BTreeSet<&'d str>,
    controllers: BTreeSet<&'d str>,
    manufacturers: Set<&'d str>,
    models: Set<&'d str>,
}

impl<'d> Names<'d> {
    fn new(document: &'d Document) -> Self {
        let devices = &document.devices;
        let mud = || devices.iter().filter_map(|d| d.mud.as_ref());
        let groups = document.groups.values();
        Self {
            devices: devices.iter().map(|d| d.name.as_str()).collect(),
            wards: devices.iter().filter_map(|d| d.ward.as_deref()).collect(),
            controllers: groups
                .flat_map(|g| g.controller.iter())
                .map(String::as_str)
                .collect(),
            manufacturers: mud().filter_map(|m| m.authority()).collect(),
            models: mud().map(|m| m.url.as_str()).collect(),
        }
    }
}

/// Where a list of rules stands.
#[derive(Clone, Copy)]
enum Scope<'d> {
    Device(&'d Device),
    Role,
    Visit,
    Baseline,
}

struct Checker<'d> {
    document: &'d Document,
    names: Names<'d>,
    findings: Vec<Finding>,
}

impl<'d> Checker<'d> {
    fn error(&mut self, at: At<'_>, message: impl Into<String>, fix: impl Into<String>) {
        self.push(Severity::Error, at, message.into(), fix.into(), false);
    }

    fn warn(&mut self, at: At<'_>, message: impl Into<String>, fix: impl Into<String>) {
        self.push(Severity::Warning, at, message.into(), fix.into(), false);
    }

    fn push(&mut self, severity: Severity, at: At<'_>, message: String, fix: String, name: bool) {
        let fix = (!fix.is_empty()).then_some(fix);
        let path = at.path();
        self.findings.push(Finding {
            severity,
            path,
            message,
            fix,
            about_a_name: name,
        });
    }

    fn unknown<'c>(
        &mut self,
        at: At<'_>,
        kind: &str,
        name: &str,
        known: impl Iterator<Item = &'c str>,
    ) {
        let fix = nearest(name, known).map_or_else(
            || format!("define {kind} `{name}`"),
            |n| format!("did you mean `{n}`?"),
        );
        let message = format!("there is no {kind} `{name}`");
        self.push(Severity::Error, at, message, fix, true);
    }

    fn named(&mut self, at: At<'_>, name: &str) {
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            self.error(
                at,
                "a name must not be empty",
                "give it a name a person understands",
            );
        }
    }

    fn document(&mut self) {
        let document = self.document;
        if document.version != VERSION {
            let message = format!("this program reads version {VERSION} of the language");
            self.error(
                At::top("version"),
                message,
                format!("write version = {VERSION}"),
            );
        }
        self.named(At::top("name"), &document.name);
        self.defaults();
        self.groups();
        for (name, role) in &document.roles {
            let roles = At::top("roles");
            let at = roles.key(name);
            self.named(at, name);
            self.rules(at.key("rules"), &role.rules, Scope::Role);
        }
        self.devices();
        self.baseline(&document.baseline);
        for (index, visit) in document.visits.iter().enumerate() {
            self.visit(At::top("visits").item(index), visit);
        }
        for (index, release) in document.releases.iter().enumerate() {
            self.release(At::top("releases").item(index), release);
        }
        if let Some(island) = &document.island {
            self.island(At::top("island"), island);
        }
        self.size();
    }

    fn size(&mut self) {
        let document = self.document;
        let rules = document
            .devices
            .iter()
            .map(|d| d.rules.len())
            .sum::<usize>()
            + document
                .roles
                .values()
                .map(|r| r.rules.len())
                .sum::<usize>()
            + document.visits.iter().map(|v| v.rules.len()).sum::<usize>()
            + document.baseline.rules.len();
        if rules > MAX_RULES {
            let message = format!("{rules} rules are more than the {MAX_RULES} a policy may have");
            self.error(At::top("devices"), message, "put common rules into roles");
        }
    }

    fn defaults(&mut self) {
        let defaults = &self.document.defaults;
        let at = At::top("defaults");
        self.lasting_mode(at.key("mode"), defaults.mode);
        self.lasting_mode(at.key("unlisted_mode"), defaults.unlisted_mode);
        if let Some(role) = &defaults.unlisted_role {
            self.role(at.key("unlisted_role"), role);
        }
    }

    fn lasting_mode(&mut self, at: At<'_>, mode: Mode) {
        if mode == Mode::BreakGlass {
            self.error(
                at,
                "break-glass has an end and is no lasting mode",
                "write a [[releases]] entry with until, reason and by",
            );
        }
    }

    fn role(&mut self, at: At<'_>, name: &str) {
        if !self.document.roles.contains_key(name) {
            self.unknown(
                at,
                "role",
                name,
                self.document.roles.keys().map(String::as_str),
            );
        }
    }

    fn group(&mut self, at: At<'_>, name: &str) {
        if !self.document.groups.contains_key(name) {
            self.unknown(
                at,
                "group",
                name,
                self.document.groups.keys().map(String::as_str),
            );
        }
    }

    fn ward(&mut self, at: At<'_>, name: &str) {
        if !self.names.wards.contains(name) {
            let wards: Vec<&str> = self.names.wards.iter().copied().collect();
            self.unknown(at, "device of ward", name, wards.into_iter());
        }
    }

    fn device_name(&mut self, at: At<'_>, name: &str) {
        if !self.names.devices.contains(name) {
            let document = self.document;
            self.unknown(
                at,
                "device",
                name,
                document.devices.iter().map(|d| d.name.as_str()),
            );
        }
    }

    fn groups(&mut self) {
        let mut holders: BTreeMap<Prefix, usize> = BTreeMap::new();
        let groups = At::top("groups");
        for (name, group) in &self.document.groups {
            let at = groups.key(name);
            let addresses = at.key("addresses");
            self.named(at, name);
            if group.addresses.is_empty() {
                self.warn(
                    addresses,
                    "a group without addresses matches nothing",
                    "add some",
                );
            }
            for (index, prefix) in group.addresses.iter().enumerate() {
                self.station(addresses.item(index), *prefix);
                let count = holders.entry(*prefix).or_default();
                *count += 1;
                if *count == MAX_GROUPS_OF_A_NETWORK + 1 {
                    let message =
                        format!("more than {MAX_GROUPS_OF_A_NETWORK} groups hold {prefix}");
                    self.error(addresses.item(index), message, "merge some of them");
                }
            }
        }
    }

    /// A network of stations, not of multicast groups.
    fn station(&mut self, at: At<'_>, prefix: Prefix) {
        if prefix.is_multicast() || prefix == Prefix::host(IpAddr::from([255, 255, 255, 255])) {
            self.error(
                at,
                format!("{prefix} is no station but a group of receivers"),
                "write peer = \"broadcast\" or peer = { multicast = \"…\" }",
            );
        }
    }

    // Devices.

    fn devices(&mut self) {
        let document = self.document;
        let mut names: Map<&str, usize> = Map::default();
        let mut keys = Map::default();
        let mut addresses = Map::default();
        let mut tags: Map<&str, usize> = Map::default();
        let devices = At::top("devices");
        for (index, device) in document.devices.iter().enumerate() {
            let at = devices.item(index);
            if let Some(first) = names.insert(&device.name, index) {
                let message = format!("`{}` is the name of devices[{first}] as well", device.name);
                self.error(
                    at.key("name"),
                    message,
                    "give each device a name of its own",
                );
            }
            if let Some(first) = keys.insert((device.mac, device.vlan), index) {
                let other = &document.devices[first].name;
                let (mac, vlan) = (device.mac, device.vlan);
                let message = format!("{mac} in VLAN {vlan} is device `{other}` as well");
                self.error(
                    at.key("mac"),
                    message,
                    "list a device once, with several assets",
                );
            }
            for (nth, address) in device.addresses.iter().enumerate() {
                if let Some(first) = addresses.insert((*address, device.vlan), index) {
                    let other = &document.devices[first].name;
                    let message = format!("{address} is an address of device `{other}` as well");
                    self.error(
                        at.key("addresses").item(nth),
                        message,
                        "an address has one owner",
                    );
                }
            }
            for (nth, asset) in device.assets.iter().enumerate() {
                if let Some(first) = tags.insert(&asset.tag, index) {
                    let other = &document.devices[first].name;
                    let message = format!("asset {} is at device `{other}` as well", asset.tag);
                    self.warn(
                        at.key("assets").item(nth).key("tag"),
                        message,
                        "check the record",
                    );
                }
            }
            self.device(at, device);
        }
    }

    fn device(&mut self, at: At<'_>, device: &'d Device) {
        self.named(at.key("name"), &device.name);
        if device.mac.is_group() || device.mac.0 == [0; 6] {
            let message = format!("{} is not the address of one station", device.mac);
            self.error(at.key("mac"), message, "write the device's own MAC address");
        }
        if let Some(mode) = device.mode {
            self.lasting_mode(at.key("mode"), mode);
        }
        if let Some(role) = &device.role {
            self.role(at.key("role"), role);
        }
        if let Some(group) = &device.controller {
            self.group(at.key("controller"), group);
        }
        if device.mud.as_ref().is_some_and(|m| m.authority().is_none()) {
            let message = "a MUD URL begins with https:// and a host";
            self.error(
                at.key("mud").key("url"),
                message,
                "write the URL the maker publishes",
            );
        }
        for (index, address) in device.addresses.iter().enumerate() {
            if address.is_unspecified() {
                let message = format!("{address} is not the address of one station");
                self.error(at.key("addresses").item(index), message, "take it out");
            }
            self.station(at.key("addresses").item(index), Prefix::host(*address));
        }
        self.rules(at.key("rules"), &device.rules, Scope::Device(device));
        self.template(at, device);
    }

    /// What a device's role takes for granted of it.
    fn template(&mut self, at: At<'_>, device: &Device) {
        let role = device
            .role
            .as_ref()
            .and_then(|name| self.document.roles.get(name));
        let rules = role.map_or(&[][..], |role| &role.rules);
        if rules.is_empty()
            && device.rules.is_empty()
            && device.care.is_some_and(|care| care.is_life_critical())
        {
            self.warn(
                at.key("care"),
                "a life-critical device without rules is open wholly, whatever its mode but isolate",
                "give it a role",
            );
        }
        let names = |wanted: &Peer| rules.iter().any(|rule| rule.peer.contains(wanted));
        if names(&Peer::MyController) && device.controller.is_none() {
            let fix = "write controller = \"GROUP\" at the device";
            self.warn(
                at.key("role"),
                "its role speaks of my-controller, which it has not",
                fix,
            );
        }
        if names(&Peer::SameManufacturer) && device.mud.is_none() {
            let fix = "write mud = { url = \"…\" } at the device";
            self.warn(
                at.key("role"),
                "its role speaks of same-manufacturer, which it has not",
                fix,
            );
        }
    }

    // What is limited in time.

    fn visit(&mut self, at: At<'_>, visit: &'d Visit) {
        self.device_name(at.key("device"), &visit.device);
        if visit.work_order.trim().is_empty() {
            self.error(
                at.key("work_order"),
                "a visit is bound to a work order",
                "name it",
            );
        }
        if visit.until <= visit.from {
            self.error(
                at.key("until"),
                "the visit ends before it begins",
                "let until follow from",
            );
        }
        if visit.rules.is_empty() {
            self.error(
                at,
                "a visit without rules opens nothing",
                "add [[visits.rules]]",
            );
        }
        self.rules(at.key("rules"), &visit.rules, Scope::Visit);
    }

    fn release(&mut self, at: At<'_>, release: &Release) {
        let named = [
            release.device.is_some(),
            release.vlan.is_some(),
            release.ward.is_some(),
        ];
        if named.iter().filter(|is| **is).count() != 1 {
            let message = "a release is of one device, one VLAN or one ward";
            self.error(at, message, "write exactly one of device, vlan and ward");
        }
        if let Some(device) = &release.device {
            self.device_name(at.key("device"), device);
        }
        if let Some(ward) = &release.ward {
            self.ward(at.key("ward"), ward);
        }
        for (key, text) in [("reason", &release.reason), ("by", &release.by)] {
            if text.trim().is_empty() {
                self.error(
                    at.key(key),
                    "a release is audited",
                    "say why, and who ordered it",
                );
            }
        }
    }

    fn island(&mut self, at: At<'_>, island: &Island) {
        if island.active && island.until.is_none() {
            let fix = "write until = an instant such as 2026-11-23T18:00:00+01:00";
            self.error(at, "an active island needs an end: `until` is missing", fix);
        }
        if island.vlan.is_some() && island.ward.is_some() {
            self.error(
                at,
                "an island is a VLAN or a ward, not both",
                "take one of them out",
            );
        }
        if let Some(ward) = &island.ward {
            self.ward(at.key("ward"), ward);
        }
        if island.reason.trim().is_empty() {
            self.error(at.key("reason"), "island mode is audited", "say why");
        }
    }

    // The baseline.

    fn baseline(&mut self, baseline: &'d Baseline) {
        let at = At::top("baseline");
        let frames = at.key("ethertypes");
        let mut names = Set::default();
        for (index, rule) in baseline.ethertypes.iter().enumerate() {
            let at = frames.item(index);
            self.named(at.key("name"), &rule.name);
            if !names.insert(rule.name.as_str()) {
                let message = format!("`{}` is the name of two frame rules", rule.name);
                self.error(at.key("name"), message, "give each a name of its own");
            }
            if rule.from.is_empty() {
                self.error(
                    at.key("from"),
                    "from no side it never matches",
                    "name ward or core",
                );
            }
            if let EtherMatch::Number(number) = rule.ethertype {
                self.ethertype(at.key("ethertype"), number, rule.action);
            }
        }
        self.rules(at.key("rules"), &baseline.rules, Scope::Baseline);
    }

    fn ethertype(&mut self, at: At<'_>, number: u16, action: Action) {
        match number {
            0x0800 | 0x86dd => {
                let fix = "write it as one of baseline.rules";
                self.error(at, "IP is decided by rules, not by EtherType", fix);
            }
            0x8100 | 0x88a8 | 0x9100 => {
                let fix = "double tags are allowed with double_tags";
                self.error(at, "a VLAN tag is no content of a frame", fix);
            }
            0x8808 if action == Action::Allow => {
                let fix = "take it out";
                self.error(
                    at,
                    "PAUSE never crosses a bridge (IEEE 802.3 annex 31B)",
                    fix,
                );
            }
            _ => {}
        }
    }

    // Rules.

    fn rules(&mut self, at: At<'_>, rules: &'d [Rule], scope: Scope<'d>) {
        let mut names = Set::with_capacity_and_hasher(rules.len(), Default::default());
        for (index, rule) in rules.iter().enumerate() {
            let at = at.item(index);
            self.named(at.key("name"), &rule.name);
            if !names.insert(rule.name.as_str()) {
                let message = format!("`{}` is the name of two rules here", rule.name);
                self.error(at.key("name"), message, "give each a name of its own");
            }
            self.rule(at, rule, scope);
        }
    }

    fn rule(&mut self, at: At<'_>, rule: &'d Rule, scope: Scope<'d>) {
        let groups = rule.peer.iter().any(Peer::is_group_frame);
        if rule.peer.is_empty() {
            self.error(
                at.key("peer"),
                "a rule without a peer never matches",
                "name one, or any",
            );
        }
        for (index, peer) in rule.peer.iter().enumerate() {
            self.peer(at.key("peer").item(index), peer, scope);
        }
        self.ports(at, rule, groups);
        self.icmp(at, rule);
        self.group_frames(at, rule, groups, scope);
        self.combinations(at, rule);
        if rule.action == Action::Allow && rule.refusal.is_some() {
            let fix = "take it out, or write action = \"deny\"";
            self.error(at.key("refusal"), "an allow rule refuses nothing", fix);
        }
        if let Some(answer) = &rule.answer {
            self.answer(at.key("answer"), rule, answer, groups, scope);
        }
    }

    fn ports(&mut self, at: At<'_>, rule: &Rule, groups: bool) {
        let lists = [("ports", &rule.ports), ("source_ports", &rule.source_ports)];
        for (key, ports) in lists {
            let Some(ports) = ports else { continue };
            if !rule.protocol.has_ports() {
                let message = format!("protocol {} has no ports", rule.protocol);
                self.error(
                    at.key(key),
                    message,
                    "name tcp, udp or sctp, or take the ports out",
                );
            } else if ports.is_empty() {
                let fix = "name some, or take the key out for any port";
                self.error(at.key(key), "a rule for no port never matches", fix);
            }
        }
        if groups && matches!(rule.protocol, Protocol::TCP | Protocol::SCTP) {
            let message = format!("{} is never sent to a group", rule.protocol);
            self.error(
                at.key("protocol"),
                message,
                "group frames carry udp, icmp or igmp (2)",
            );
        }
        if rule.action == Action::Allow && rule.protocol.has_ports() && rule.ports.is_none() {
            let message = format!("the rule allows every {} port", rule.protocol);
            self.warn(
                at,
                message,
                "name the ports, or write ports = \"0-65535\" to mean it",
            );
        }
        if let Some((port, protocol)) = control_only(rule) {
            let message = format!(
                "{protocol} ({port}) negotiates further ports: this rule allows the control \
                 connection only; data connections need rules of their own"
            );
            let key = if rule.ports.is_some() {
                "ports"
            } else {
                "protocol"
            };
            self.warn(at.key(key), message, "");
        }
    }

    fn icmp(&mut self, at: At<'_>, rule: &Rule) {
        let Some(kinds) = &rule.icmp else { return };
        let at = at.key("icmp");
        if !rule.protocol.is_icmp() {
            let message = format!("protocol {} has no ICMP messages", rule.protocol);
            return self.error(at, message, "write protocol = \"icmp\" or \"icmpv6\"");
        }
        if kinds.is_empty() {
            let fix = "name some, or take the key out for every message";
            self.error(at, "a rule for no message never matches", fix);
        }
        for (index, kind) in kinds.iter().enumerate() {
            if kind.resolve(rule.protocol).is_none() {
                let message = format!("{} has no message {kind}", rule.protocol);
                self.error(
                    at.item(index),
                    message,
                    "name one it has, or give its number",
                );
            }
        }
    }

    fn group_frames(&mut self, at: At<'_>, rule: &'d Rule, groups: bool, scope: Scope<'d>) {
        let incoming = groups && rule.direction == Direction::ToDevice;
        if !rule.senders.is_empty() && !incoming {
            let fix = "senders belong to a to-device rule with a broadcast or multicast peer";
            self.error(
                at.key("senders"),
                "there are no senders to choose from",
                fix,
            );
        }
        for (index, sender) in rule.senders.iter().enumerate() {
            let senders = at.key("senders");
            let at = senders.item(index);
            self.single_station(at, sender, scope);
            if incoming {
                self.known_to_the_vlan(at, sender);
            }
        }
        if incoming && rule.action == Action::Deny && !matches!(scope, Scope::Baseline) {
            self.error(
                at.key("action"),
                "a group frame reaches every device of the VLAN or none: it cannot be denied for one",
                "deny it in baseline.rules, or do not allow it for the others",
            );
        }
    }

    /// A group frame belongs to no single device, so what depends on one cannot be told.
    fn known_to_the_vlan(&mut self, at: At<'_>, sender: &Peer) {
        if matches!(
            sender,
            Peer::MyController | Peer::SameManufacturer | Peer::Dns(_)
        ) {
            let message = "this cannot be enforced: a group frame belongs to no single device";
            self.error(at, message, "name addresses, a group, a role or a device");
        }
    }

    fn single_station(&mut self, at: At<'_>, peer: &'d Peer, scope: Scope<'d>) {
        if peer.is_group_frame() {
            let message = "broadcast and multicast are no senders";
            self.error(at, message, "name stations");
        } else {
            self.peer(at, peer, scope);
        }
    }

    fn combinations(&mut self, at: At<'_>, rule: &Rule) {
        let count = |ports: &Option<Many<PortRange>>| ports.as_ref().map_or(1, |p| p.len().max(1));
        let networks = |peers: &[Peer]| -> usize {
            let of = |peer: &Peer| match peer {
                Peer::Address(list) | Peer::Multicast(list) => list.len(),
                _ => 1,
            };
            peers.iter().map(of).sum::<usize>().max(1)
        };
        let messages = rule.icmp.as_ref().map_or(1, |kinds| kinds.len().max(1));
        let product = [
            networks(&rule.peer),
            networks(&rule.senders),
            count(&rule.ports),
            count(&rule.source_ports),
            messages,
        ]
        .into_iter()
        .fold(1, usize::saturating_mul);
        if product > MAX_COMBINATIONS {
            let message = format!(
                "the rule has {product} combinations of peers and ports, more than \
                 {MAX_COMBINATIONS}"
            );
            self.error(at, message, "put the addresses into a group");
        }
    }

    fn answer(
        &mut self,
        at: At<'_>,
        rule: &Rule,
        answer: &'d Answer,
        groups: bool,
        scope: Scope<'d>,
    ) {
        if rule.action == Action::Deny {
            self.error(at, "a deny rule opens no answer window", "take it out");
        }
        if !groups {
            let fix = "take it out: what a unicast question is answered belongs to it anyway";
            self.error(
                at,
                "only broadcast and multicast questions need an answer window",
                fix,
            );
        }
        if rule.protocol != Protocol::UDP {
            self.error(at, "answers by unicast are UDP", "write protocol = \"udp\"");
        }
        if answer.seconds == 0 || answer.seconds > MAX_ANSWER_S {
            let message = format!("an answer window is 1 to {MAX_ANSWER_S} seconds long");
            self.error(
                at.key("seconds"),
                message,
                "5 is enough for most discovery protocols",
            );
        }
        if answer.ports.as_ref().is_some_and(|ports| ports.is_empty()) {
            let fix = "name some, or take the key out for the ports of the rule";
            self.error(at.key("ports"), "an answer from no port never comes", fix);
        }
        if rule.direction == Direction::ToDevice && !answer.from.is_empty() {
            let fix = "take from out: the device itself answers";
            self.error(
                at.key("from"),
                "nobody but the device answers this question",
                fix,
            );
        }
        for (index, peer) in answer.from.iter().enumerate() {
            let from = at.key("from");
            let at = from.item(index);
            self.single_station(at, peer, scope);
            if matches!(peer, Peer::MyController | Peer::SameManufacturer) {
                let fix = "name addresses, a group, a role or a device";
                self.error(at, "this cannot be enforced for answers", fix);
            }
        }
    }

    // Peers.

    fn peer(&mut self, at: At<'_>, peer: &'d Peer, scope: Scope<'d>) {
        match peer {
            Peer::Any | Peer::Broadcast => {}
            Peer::MyController | Peer::SameManufacturer => self.relative(at, peer, scope),
            Peer::Address(networks) => self.networks(at, "address", networks, false),
            Peer::Multicast(networks) => self.networks(at, "multicast", networks, true),
            Peer::Group(name) => self.group(at.key("group"), name),
            Peer::Role(name) => self.role(at.key("role"), name),
            Peer::Device(name) => self.device_name(at.key("device"), name),
            Peer::Dns(name) => self.dns(at.key("dns"), name),
            Peer::Controller(class) => {
                if !self.names.controllers.contains(class.as_str()) {
                    let message = format!("no group stands for controller class `{class}`");
                    let fix = format!("write controller = \"{class}\" in a group");
                    self.push(Severity::Error, at.key("controller"), message, fix, true);
                }
            }
            Peer::Manufacturer(authority) => {
                if !self.names.manufacturers.contains(authority.as_str()) {
                    let message = format!("no listed device is of manufacturer `{authority}`");
                    self.warn(at.key("manufacturer"), message, "list one with its MUD URL");
                }
            }
            Peer::Model(url) => {
                if !self.names.models.contains(url.as_str()) {
                    let message = format!("no listed device has the MUD URL `{url}`");
                    self.warn(at.key("model"), message, "list one with its MUD URL");
                }
            }
        }
    }

    fn networks(&mut self, at: At<'_>, key: &str, networks: &[Prefix], multicast: bool) {
        let at = at.key(key);
        if networks.is_empty() {
            self.error(at, "no address never matches", "name one");
        }
        for (index, prefix) in networks.iter().enumerate() {
            if !multicast {
                self.station(at.item(index), *prefix);
            } else if !prefix.is_multicast() {
                let message = format!("{prefix} is not multicast (224.0.0.0/4 or ff00::/8)");
                self.error(at.item(index), message, "write peer = { address = \"…\" }");
            }
        }
    }

    fn relative(&mut self, at: At<'_>, peer: &Peer, scope: Scope<'d>) {
        let Scope::Device(device) = scope else { return };
        if *peer == Peer::MyController && device.controller.is_none() {
            let fix = "write controller = \"GROUP\" at the device";
            self.error(at, "the device has no controller", fix);
        }
        if *peer == Peer::SameManufacturer && device.mud.is_none() {
            let fix = "write mud = { url = \"…\" } at the device";
            self.error(
                at,
                "the device has no MUD URL that names its manufacturer",
                fix,
            );
        }
    }

    fn dns(&mut self, at: At<'_>, name: &str) {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        let label = |l: &str| !l.is_empty() && l.len() <= 63 && l.chars().all(plain);
        if name.contains('*') {
            let message = format!("`{name}`: a wildcard cannot be enforced");
            self.error(at, message, "name each host");
        } else if name.len() > 253 || !name.split('.').all(label) {
            let message = format!("`{name}` is no DNS name in lower case without the final dot");
            self.error(at, message, format!("write `{}`", tidy_dns(name)));
        }
    }
}

fn tidy_dns(name: &str) -> String {
    let tidy = name.trim().trim_end_matches('.').to_ascii_lowercase();
    if tidy.is_empty() {
        "host.example.org".to_owned()
    } else {
        tidy
    }
}

/// Protocols whose control connection agrees on further ports.
const NEGOTIATING: [(Protocol, u16, &str); 7] = [
    (Protocol::TCP, 21, "FTP"),
    (Protocol::UDP, 69, "TFTP"),
    (Protocol::TCP, 135, "MSRPC"),
    (Protocol::TCP, 554, "RTSP"),
    (Protocol::TCP, 5060, "SIP"),
    (Protocol::UDP, 5060, "SIP"),
    (Protocol::TCP, 5061, "SIP over TLS"),
];

/// A range wider than this does not speak of one service.
const SERVICE_WIDTH: u16 = 16;

fn control_only(rule: &Rule) -> Option<(u16, &'static str)> {
    if rule.action == Action::Deny {
        return None;
    }
    let ports = rule.ports.as_ref()?;
    let means = |port| {
        ports
            .iter()
            .any(|r| r.contains(port) && r.last.abs_diff(r.first) < SERVICE_WIDTH)
    };
    NEGOTIATING
        .iter()
        .find(|(protocol, port, _)| *protocol == rule.protocol && means(*port))
        .map(|(_, port, name)| (*port, *name))
}
