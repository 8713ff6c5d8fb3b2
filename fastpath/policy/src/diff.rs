//! What changed between two documents, in words a person reads before agreeing to it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::document::{Action, Direction, Document, Peer, Rule};
use crate::scalar::{Many, PortRange};

/// What happened to the subject of a [`Change`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another one.
    Changed,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// To what: `device ct-1`, `role pump / rule hl7-out`.
    pub subject: String,
    /// Which part of it, for changes: `mode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.kind {
            ChangeKind::Added => '+',
            ChangeKind::Removed => '-',
            ChangeKind::Changed => '~',
        };
        write!(f, "{sign} {}", self.subject)?;
        if let Some(field) = &self.field {
            write!(f, ": {field}")?;
        }
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, " {before} → {after}"),
            (Some(only), None) if self.kind == ChangeKind::Removed => write!(f, ": {only}"),
            (Some(before), None) => write!(f, " {before} → nothing"),
            (None, Some(only)) if self.kind == ChangeKind::Added => write!(f, ": {only}"),
            (None, Some(after)) => write!(f, " nothing → {after}"),
            (None, None) => Ok(()),
        }
    }
}

/// Everything that differs, in the order of the document.
pub fn diff(old: &Document, new: &Document) -> Vec<Change> {
    let mut diff = Diff {
        changes: Vec::new(),
    };
    diff.fields("policy", &top(old), &top(new));
    diff.fields("defaults", &value(&old.defaults), &value(&new.defaults));
    let groups = |document: &Document| -> Tables {
        document
            .groups
            .iter()
            .map(|(name, group)| (name.clone(), value(group)))
            .collect()
    };
    diff.tables("group", &groups(old), &groups(new));
    diff.roles(old, new);
    diff.devices(old, new);
    diff.baseline(old, new);
    diff.limited(old, new);
    diff.changes
}

/// Tables by name.
type Tables = BTreeMap<String, Map<String, Value>>;

struct Diff {
    changes: Vec<Change>,
}

impl Diff {
    fn push(
        &mut self,
        kind: ChangeKind,
        subject: &str,
        field: Option<&str>,
        before: Option<String>,
        after: Option<String>,
    ) {
        let subject = subject.to_owned();
        self.changes.push(Change {
            kind,
            subject,
            field: field.map(str::to_owned),
            before,
            after,
        });
    }

    fn added(&mut self, subject: &str, what: Option<String>) {
        self.push(ChangeKind::Added, subject, None, None, what);
    }

    fn removed(&mut self, subject: &str, what: Option<String>) {
        self.push(ChangeKind::Removed, subject, None, what, None);
    }

    /// Compares two tables key by key; lists of rules are compared elsewhere.
    fn fields(&mut self, subject: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys.into_iter().filter(|key| *key != "rules") {
            let (before, after) = (old.get(key), new.get(key));
            if before != after {
                let (before, after) = (before.map(text), after.map(text));
                self.push(ChangeKind::Changed, subject, Some(key), before, after);
            }
        }
    }

    fn roles(&mut self, old: &Document, new: &Document) {
        for (name, role) in &old.roles {
            if !new.roles.contains_key(name) {
                self.removed(&format!("role {name}"), Some(rule_count(&role.rules)));
            }
        }
        for (name, role) in &new.roles {
            let subject = format!("role {name}");
            match old.roles.get(name) {
                None => {
                    self.added(&subject, Some(rule_count(&role.rules)));
                    self.rules(&subject, &[], &role.rules);
                }
                Some(before) => {
                    self.fields(&subject, &value(before), &value(role));
                    self.rules(&subject, &before.rules, &role.rules);
                }
            }
        }
    }

    fn devices(&mut self, old: &Document, new: &Document) {
        let by_name = |document: &Document| -> BTreeMap<String, usize> {
            let names = document.devices.iter().enumerate();
            names
                .map(|(index, device)| (device.name.clone(), index))
                .collect()
        };
        let (before, after) = (by_name(old), by_name(new));
        for device in old.devices.iter().filter(|d| !after.contains_key(&d.name)) {
            self.removed(
                &format!("device {}", device.name),
                Some(device.mac.to_string()),
            );
        }
        for device in &new.devices {
            let subject = format!("device {}", device.name);
            match before.get(&device.name).map(|index| &old.devices[*index]) {
                None => {
                    let role = device.role.as_deref().unwrap_or("without a role");
                    let mode = device.mode.unwrap_or(new.defaults.mode);
                    let what = format!("{}, {role}, {}", device.mac, text(&value_of(&mode)));
                    self.added(&subject, Some(what));
                    self.rules(&subject, &[], &device.rules);
                }
                Some(known) => {
                    self.fields(&subject, &value(known), &value(device));
                    self.rules(&subject, &known.rules, &device.rules);
                }
            }
        }
    }

    fn baseline(&mut self, old: &Document, new: &Document) {
        let (before, after) = (&old.baseline, &new.baseline);
        if before.double_tags != after.double_tags {
            let tags = |sides| Some(text(&value_of(sides)));
            let (before, after) = (tags(&before.double_tags), tags(&after.double_tags));
            self.push(
                ChangeKind::Changed,
                "baseline",
                Some("double_tags"),
                before,
                after,
            );
        }
        let frames = |rules: &[crate::document::EtherRule]| -> Tables {
            rules
                .iter()
                .map(|rule| (rule.name.clone(), value(rule)))
                .collect()
        };
        self.tables(
            "baseline / frames",
            &frames(&before.ethertypes),
            &frames(&after.ethertypes),
        );
        self.rules("baseline", &before.rules, &after.rules);
    }

    fn limited(&mut self, old: &Document, new: &Document) {
        let visits = |document: &Document| -> Tables {
            let visits = document.visits.iter();
            let name = |v: &crate::document::Visit| format!("{} at {}", v.work_order, v.device);
            visits.map(|visit| (name(visit), value(visit))).collect()
        };
        self.tables("visit", &visits(old), &visits(new));
        for after in &new.visits {
            let same = |v: &&crate::document::Visit| {
                v.work_order == after.work_order && v.device == after.device
            };
            let before = old
                .visits
                .iter()
                .find(same)
                .map_or(&[][..], |visit| &visit.rules);
            self.rules(
                &format!("visit {} at {}", after.work_order, after.device),
                before,
                &after.rules,
            );
        }
        for release in old.releases.iter().filter(|r| !new.releases.contains(r)) {
            self.removed("release", Some(text(&value_of(release))));
        }
        for release in new.releases.iter().filter(|r| !old.releases.contains(r)) {
            self.added("release", Some(text(&value_of(release))));
        }
        let island = |document: &Document| document.island.as_ref().map(value).unwrap_or_default();
        self.fields("island", &island(old), &island(new));
    }

    /// Compares tables that have names.
    fn tables(&mut self, kind: &str, old: &Tables, new: &Tables) {
        for name in old.keys().filter(|name| !new.contains_key(*name)) {
            self.removed(&format!("{kind} {name}"), None);
        }
        for (name, after) in new {
            let subject = format!("{kind} {name}");
            match old.get(name) {
                Some(before) => self.fields(&subject, before, after),
                None => self.added(&subject, None),
            }
        }
    }

    fn rules(&mut self, list: &str, old: &[Rule], new: &[Rule]) {
        let by_name = |rules: &[Rule]| -> BTreeMap<String, usize> {
            rules
                .iter()
                .enumerate()
                .map(|(index, rule)| (rule.name.clone(), index))
                .collect()
        };
        let (before, after) = (by_name(old), by_name(new));
        for rule in old.iter().filter(|rule| !after.contains_key(&rule.name)) {
            self.removed(&format!("{list} / rule {}", rule.name), Some(summary(rule)));
        }
        for rule in new {
            let subject = format!("{list} / rule {}", rule.name);
            match before.get(&rule.name).map(|index| &old[*index]) {
                Some(known) => self.fields(&subject, &value(known), &value(rule)),
                None => self.added(&subject, Some(summary(rule))),
            }
        }
        let kept = |rules: &[Rule], others: &BTreeMap<String, usize>| -> Vec<String> {
            let names = rules.iter().map(|rule| rule.name.clone());
            names.filter(|name| others.contains_key(name)).collect()
        };
        let (before, after) = (kept(old, &after), kept(new, &before));
        if before != after {
            let (before, after) = (Some(before.join(", ")), Some(after.join(", ")));
            self.push(
                ChangeKind::Changed,
                list,
                Some("order of rules"),
                before,
                after,
            );
        }
    }
}

/// A rule in one line.
pub fn summary(rule: &Rule) -> String {
    let list = |peers: &[Peer]| peers.iter().map(peer_text).collect::<Vec<_>>().join(" or ");
    let action = match rule.action {
        Action::Allow => "allow",
        Action::Deny => "deny",
    };
    let peers = list(&rule.peer);
    let mut line = match (rule.direction, rule.senders.is_empty()) {
        (Direction::FromDevice, _) => format!("{action} {} to {peers}", rule.protocol),
        (Direction::ToDevice, true) => format!("{action} {} from {peers}", rule.protocol),
        (Direction::ToDevice, false) => {
            format!(
                "{action} {} by {peers} from {}",
                rule.protocol,
                list(&rule.senders)
            )
        }
    };
    if let Some(ports) = &rule.ports {
        line.push_str(&format!(", port {}", ports_text(ports)));
    }
    if let Some(ports) = &rule.source_ports {
        line.push_str(&format!(", source port {}", ports_text(ports)));
    }
    if let Some(kinds) = &rule.icmp {
        let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
        line.push_str(&format!(", {}", kinds.join(" ")));
    }
    if let Some(answer) = &rule.answer {
        line.push_str(&format!(", answers for {} s", answer.seconds));
    }
    line
}

fn peer_text(peer: &Peer) -> String {
    let networks = |list: &Many<crate::scalar::Prefix>| {
        list.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" or ")
    };
    match peer {
        Peer::Any => "anybody".to_owned(),
        Peer::Broadcast => "broadcast".to_owned(),
        Peer::MyController => "its controller".to_owned(),
        Peer::SameManufacturer => "the same manufacturer".to_owned(),
        Peer::Address(list) => networks(list),
        Peer::Multicast(list) => format!("multicast {}", networks(list)),
        Peer::Group(name) => format!("group {name}"),
        Peer::Role(name) => format!("role {name}"),
        Peer::Device(name) => format!("device {name}"),
        Peer::Dns(name) => name.clone(),
        Peer::Controller(class) => format!("controller {class}"),
        Peer::Manufacturer(name) => format!("manufacturer {name}"),
        Peer::Model(url) => format!("model {url}"),
    }
}

fn ports_text(ports: &Many<PortRange>) -> String {
    ports
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

fn rule_count(rules: &[Rule]) -> String {
    match rules.len() {
        1 => "1 rule".to_owned(),
        count => format!("{count} rules"),
    }
}

fn value_of(item: &impl Serialize) -> Value {
    serde_json::to_value(item).unwrap_or_default()
}

fn value(item: &impl Serialize) -> Map<String, Value> {
    match value_of(item) {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The fields of a document that are not lists.
fn top(document: &Document) -> Map<String, Value> {
    let description = document.description.as_ref();
    let mut map = Map::from_iter([("name".to_owned(), document.name.clone().into())]);
    map.extend(description.map(|text| ("description".to_owned(), text.clone().into())));
    map
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
