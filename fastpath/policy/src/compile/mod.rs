//! From a document to a snapshot, for one instant.
//!
//! Every list of rules becomes one [`crate::program`]; devices of one role share the role's.
//! Isolation and island mode are not special cases of the look-up: they are the same lists with
//! the rules left out that do not survive, compiled once more.

mod content;
mod instant;
mod rules;

use std::collections::BTreeMap;

use content::{ContentHashes, Name};
use rules::Work;

use crate::diagnostic::{Diagnostics, Warnings};
use crate::document::{Action, Device, Direction, Document, EtherRule, Peer, Rule, Visit};
use crate::parse::{Format, check_in_memory, parse};
use crate::program::{ProgramId, Table, Talk};
use crate::scalar::{EtherMatch, FrameTarget, PortRange, Prefix, Protocol};
use crate::snapshot::{
    ALL_FRAMES, AnswerFacts, DeviceEntry, Entry, EntryIdx, FrameKey, LLC_FRAMES, Names,
    PolicySnapshot, RuleFacts, Scope, TargetKey, VlanGroups,
};
use crate::stable::{Map, Set, hash64};
use crate::tags::{self, Classes, Tag};
use crate::types::{Care, DeviceKey, Initiator, Mode, Refusal, Side, VlanKey};

/// Compiles a document for one instant (Unix time in seconds).
///
/// # Errors
/// Everything that is wrong with the document. A document that came out of [`crate::parse`] has
/// been checked and compiles; one made in memory may not.
pub fn compile(document: &Document, now_s: u64) -> Result<PolicySnapshot, Diagnostics> {
    check_in_memory(document)?;
    Ok(build(document, now_s))
}

/// Reads, checks and compiles a text: what [`crate::parse()`] and [`compile`] do, without checking
/// twice. `file_name` only appears in diagnostics.
///
/// # Errors
/// Everything that is wrong with the document, each with its place.
pub fn compile_text(
    text: &str,
    format: Format,
    file_name: &str,
    now_s: u64,
) -> Result<(PolicySnapshot, Warnings), Diagnostics> {
    let (document, warnings) = parse(text, format, file_name)?;
    Ok((build(&document, now_s), warnings))
}

/// The content hash that the snapshot of a document has at an instant (Unix time in seconds), without
/// compiling it.
pub fn content_id(document: &Document, now_s: u64) -> String {
    Compiler::new(document, now_s).id()
}

/// Compiles a checked document.
fn build(document: &Document, now_s: u64) -> PolicySnapshot {
    Compiler::new(document, now_s).run()
}

/// The policy before any document.
pub(crate) fn observe_all() -> PolicySnapshot {
    let mut document = Document::new("observe-all");
    document.baseline = crate::document::Baseline::wire();
    build(&document, 0)
}

/// Which rules of a list survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Filter {
    All,
    /// Isolation: rescue rules only.
    Rescue,
    /// Island mode: life-critical rules only.
    LifeCritical,
}

impl Filter {
    /// Deny rules always survive: a filter never opens anything.
    fn keeps(self, rule: &Rule) -> bool {
        rule.action == Action::Deny
            || match self {
                Self::All => true,
                Self::Rescue => rule.rescue,
                Self::LifeCritical => rule.care.is_life_critical(),
            }
    }
}

/// A list of rules with the number of its first one.
#[derive(Debug, Clone, Copy)]
struct Listed<'d> {
    rules: &'d [Rule],
    first: u32,
}

/// A compiled list: its program and the hash of what it decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Compiled {
    program: ProgramId,
    content: u64,
}

/// The lists one device follows, in the order they are asked.
#[derive(Debug, Clone, Default)]
struct Chain<'d> {
    visits: Vec<Listed<'d>>,
    own: Option<Listed<'d>>,
    role: Option<Listed<'d>>,
}

struct Compiler<'d> {
    document: &'d Document,
    now_s: u64,
    names: Map<Name<'d>, Tag>,
    classes: Classes,
    next_tag: Tag,
    table: Table,
    /// Programs of lists that several devices share, by first rule and length.
    shared: Map<(u32, usize, Filter), Compiled>,
    work: Work,
    rules: Vec<RuleFacts>,
    rule_names: Names,
    answers: Vec<AnswerFacts>,
    dns_uses: Set<(ProgramId, Tag)>,
    content: ContentHashes<'d>,
    roles: BTreeMap<&'d str, Listed<'d>>,
    baseline: Option<Listed<'d>>,
}

impl<'d> Compiler<'d> {
    fn new(document: &'d Document, now_s: u64) -> Self {
        let count = |rules: &[Rule]| rules.len();
        let expected = document
            .devices
            .iter()
            .map(|d| count(&d.rules))
            .sum::<usize>()
            + document
                .roles
                .values()
                .map(|r| count(&r.rules))
                .sum::<usize>()
            + document.baseline.rules.len();
        let literals = |rule: &Rule| -> usize {
            let of = |peer: &Peer| match peer {
                Peer::Address(list) | Peer::Multicast(list) => list.len(),
                _ => 0,
            };
            rule.peer.iter().map(of).sum()
        };
        let literals = document
            .devices
            .iter()
            .flat_map(|d| &d.rules)
            .map(literals)
            .sum();
        let mut compiler = Self {
            document,
            now_s,
            names: Map::default(),
            classes: Classes::with_capacity(literals),
            next_tag: tags::FIRST_FREE,
            table: Table::with_capacity(expected),
            shared: Map::default(),
            work: Work::default(),
            rules: Vec::with_capacity(expected + 1),
            rule_names: Names::default(),
            answers: Vec::new(),
            dns_uses: Set::default(),
            content: ContentHashes::new(document),
            roles: BTreeMap::new(),
            baseline: None,
        };
        compiler.add_rule(Scope::Baseline, None, &[""]);
        compiler
    }

    fn run(mut self) -> PolicySnapshot {
        let document = self.document;
        for (name, role) in &document.roles {
            let listed = self.list(&role.rules, Scope::Role, "role ", name);
            self.roles.insert(name, listed);
        }
        let visits = self.visits();
        let under_way = |device: &Device| visits.get(device.name.as_str());
        let chains: Vec<Chain<'d>> = document
            .devices
            .iter()
            .map(|d| self.chain(d, under_way(d).map_or(&[], Vec::as_slice)))
            .collect();
        let baseline = self.list(&document.baseline.rules, Scope::Baseline, "", "baseline");
        self.baseline = Some(baseline);
        let frames = self.frames(&document.baseline.ethertypes);

        let unlisted_chain = Chain {
            role: self.role(document.defaults.unlisted_role.as_deref()),
            ..Chain::default()
        };
        let mut entries = vec![self.unlisted_entry(&unlisted_chain, None)];
        let mut listed = Map::default();
        let mut fixed = Map::default();
        for (device, chain) in document.devices.iter().zip(&chains) {
            listed.insert(key_of(device), EntryIdx(entries.len() as u32));
            entries.push(self.device_entry(device, chain));
            let place = |address| ((address, key_of(device).vlan), listed[&key_of(device)]);
            fixed.extend(
                entries[entries.len() - 1]
                    .facts
                    .addresses
                    .iter()
                    .copied()
                    .map(place),
            );
        }
        let first_special = entries.len();
        let mut unlisted = Map::default();
        for vlan in self.special_vlans() {
            unlisted.insert(vlan, EntryIdx(entries.len() as u32));
            entries.push(self.unlisted_entry(&unlisted_chain, Some(vlan)));
        }

        let (vlans, other_vlans) = self.vlan_groups(&chains, &unlisted_chain, &entries, &unlisted);
        let baseline = self.compile_shared(baseline, Filter::All).program;
        let entry_tags = self.add_members(&mut entries, first_special);
        let dns = self.dns_names();
        PolicySnapshot {
            id: self.id(),
            valid_until_s: self.valid_until_s(),
            entries,
            listed,
            fixed,
            unlisted,
            classes: self.classes,
            entry_tags,
            table: self.table,
            rules: self.rules,
            rule_names: self.rule_names,
            answers: self.answers,
            vlans,
            other_vlans,
            baseline,
            frames,
            double_tags: [Side::Ward, Side::Core]
                .map(|side| document.baseline.double_tags.contains(&side)),
            dns,
            dns_uses: self.dns_uses,
            default_refusal: document.defaults.refusal,
        }
    }

    // Numbering rules.

    fn chain(&mut self, device: &'d Device, visits: &[&'d Visit]) -> Chain<'d> {
        let visits = visits
            .iter()
            .map(|v| self.list(&v.rules, Scope::Visit, "visit ", &v.work_order))
            .collect();
        let own = (!device.rules.is_empty())
            .then(|| self.list(&device.rules, Scope::Device, "device ", &device.name));
        Chain {
            visits,
            own,
            role: self.role(device.role.as_deref()),
        }
    }

    fn role(&self, name: Option<&str>) -> Option<Listed<'d>> {
        self.roles.get(name?).copied()
    }

    fn list(&mut self, rules: &'d [Rule], scope: Scope, kind: &str, name: &str) -> Listed<'d> {
        let first = self.rules.len() as u32;
        for rule in rules {
            self.add_rule(scope, Some(rule), &[kind, name, " / ", &rule.name]);
        }
        Listed { rules, first }
    }

    fn add_rule(&mut self, scope: Scope, rule: Option<&'d Rule>, name: &[&str]) {
        self.rule_names.push(name);
        self.rules.push(RuleFacts {
            allow: rule.is_some_and(|r| r.action == Action::Allow),
            scope,
            care: rule.map_or(Care::Facility, |r| r.care),
            refusal: rule.and_then(|r| r.refusal),
            answer: u32::MAX,
        });
        if let Some(rule) = rule {
            self.add_answer(rule);
        }
    }

    fn add_answer(&mut self, rule: &'d Rule) {
        let (Some(answer), Protocol::Number(protocol)) = (&rule.answer, rule.protocol) else {
            return;
        };
        let mut from = Vec::new();
        self.add_peer_tags(&answer.from, &mut from);
        if from.is_empty() {
            from.push(tags::ANY);
        }
        from.sort_unstable();
        let ports = answer.ports.as_ref().or(rule.ports.as_ref());
        let facts = AnswerFacts {
            protocol,
            seconds: answer.seconds,
            from: from.into(),
            ports: ports
                .map_or_else(|| vec![PortRange::ALL], |p| p.0.clone())
                .into(),
            initiator: match rule.direction {
                Direction::FromDevice => Initiator::Peer,
                Direction::ToDevice => Initiator::Device,
            },
        };
        self.answers.push(facts);
        if let Some(rule) = self.rules.last_mut() {
            rule.answer = (self.answers.len() - 1) as u32;
        }
    }

    fn frames(&mut self, rules: &[EtherRule]) -> Map<FrameKey, u32> {
        let mut frames = Map::default();
        for rule in rules {
            let number = self.rules.len() as u32;
            self.add_rule(Scope::Baseline, None, &["baseline / ", &rule.name]);
            self.rules[number as usize].allow = rule.action == Action::Allow;
            let ethertype = match rule.ethertype {
                EtherMatch::Any => ALL_FRAMES,
                EtherMatch::Llc => LLC_FRAMES,
                EtherMatch::Number(number) => number,
            };
            let target = match rule.destination {
                FrameTarget::Any => TargetKey::Any,
                FrameTarget::LinkLocal => TargetKey::LinkLocal,
                FrameTarget::Mac(mac) => TargetKey::Mac(mac),
            };
            for from in rule.from.iter().copied() {
                frames
                    .entry(FrameKey {
                        from,
                        ethertype,
                        target,
                    })
                    .or_insert(number);
            }
        }
        frames
    }

    // Entries.

    fn device_entry(&mut self, device: &'d Device, chain: &Chain<'d>) -> Entry {
        let defaults = &self.document.defaults;
        let role = device
            .role
            .as_deref()
            .and_then(|name| self.document.roles.get(name));
        let care = device
            .rules
            .iter()
            .chain(role.map_or(&[][..], |r| &r.rules))
            .map(|r| r.care);
        let care = care.chain(device.care).max().unwrap_or_default();
        let has_template = chain.own.is_some() || chain.role.is_some_and(|r| !r.rules.is_empty());
        let released = self.released(|release| {
            release.device.as_ref() == Some(&device.name)
                || release.vlan.is_some_and(|v| v.0 == device.vlan.0)
                || (release.ward.is_some() && release.ward == device.ward)
        });
        let facts = DeviceEntry {
            name: device.name.clone(),
            role: device.role.clone(),
            mode: if released {
                Mode::BreakGlass
            } else {
                device.mode.unwrap_or(defaults.mode)
            },
            epoch: 0,
            care,
            storm: device
                .storm
                .or(role.and_then(|r| r.storm))
                .unwrap_or(defaults.storm),
            addresses: device.addresses.0.clone(),
        };
        let refusal = device
            .refusal
            .or(role.and_then(|r| r.refusal))
            .unwrap_or(defaults.refusal);
        let controller = device.controller.as_deref().map(Name::Group);
        let manufacturer = device.mud.as_ref().and_then(|m| m.authority());
        let manufacturer = manufacturer.map(Name::Manufacturer);
        let own = Own {
            under_island: self.is_islander(device),
            open: !has_template && device.care.is_some_and(Care::is_life_critical),
            refusal,
            controller,
            manufacturer,
        };
        self.entry(facts, chain, own)
    }

    /// The entry of unlisted devices, of all VLANs or of one that is treated otherwise.
    fn unlisted_entry(&mut self, chain: &Chain<'d>, vlan: Option<VlanKey>) -> Entry {
        let defaults = &self.document.defaults;
        let role = defaults.unlisted_role.as_deref();
        let template = role.and_then(|name| self.document.roles.get(name));
        let released = self.released(|release| vlan.is_some() && release.vlan.map(|v| v.0) == vlan);
        let island = self.island();
        let facts = DeviceEntry {
            name: String::new(),
            role: role.map(str::to_owned),
            mode: if released {
                Mode::BreakGlass
            } else {
                defaults.unlisted_mode
            },
            epoch: 0,
            care: template
                .and_then(|r| r.rules.iter().map(|rule| rule.care).max())
                .unwrap_or_default(),
            storm: template.and_then(|r| r.storm).unwrap_or(defaults.storm),
            addresses: Vec::new(),
        };
        let own = Own {
            under_island: island.is_some_and(|i| match i.vlan {
                Some(of) => Some(of.0) == vlan,
                None => i.ward.is_none(),
            }),
            open: false,
            refusal: template.and_then(|r| r.refusal).unwrap_or(defaults.refusal),
            controller: None,
            manufacturer: None,
        };
        self.entry(facts, chain, own)
    }

    fn entry(&mut self, mut facts: DeviceEntry, chain: &Chain<'d>, own: Own<'d>) -> Entry {
        let isolated = facts.mode == Mode::Isolate;
        let filter = if isolated {
            Filter::Rescue
        } else {
            Filter::All
        };
        let compiled = self.compile_chain(chain, filter);
        let island = (own.under_island && !isolated)
            .then(|| self.compile_chain(chain, Filter::LifeCritical));
        let open = own.open && !isolated;
        let relatives = (
            own.controller.map(|name| self.content.of(name)),
            own.manufacturer.map(|name| self.content.of(name)),
        );
        let content = (
            facts.mode,
            compiled.map(|c| c.content),
            island.map(|i| (i.map(|c| c.content), self.content.island())),
            (open, own.refusal, relatives),
        );
        let hash = hash64(&content);
        facts.epoch = ((hash ^ (hash >> 32)) as u32).max(1);
        Entry {
            facts,
            programs: compiled.map(|c| c.program),
            island: island.map(|i| i.map(|c| c.program)),
            open,
            refusal: own.refusal,
            tags: (0, 0),
            controller: own.controller.map_or(tags::NONE, |name| self.tag(name)),
            manufacturer: own.manufacturer.map_or(tags::NONE, |name| self.tag(name)),
        }
    }

    // What stands for what.

    /// Which addresses and which entries carry which tags.
    fn add_members(&mut self, entries: &mut [Entry], first_special: usize) -> Vec<Tag> {
        let document = self.document;
        let mut pairs: Vec<(Prefix, Tag)> = Vec::new();
        for (name, &tag) in &self.names {
            match name {
                Name::Group(name) => {
                    let group = document.groups.get(*name);
                    pairs.extend(
                        group
                            .iter()
                            .flat_map(|g| g.addresses.iter().map(|p| (*p, tag))),
                    );
                }
                Name::Controller(class) => {
                    let groups = document
                        .groups
                        .values()
                        .filter(|g| g.controller.iter().any(|c| c == class));
                    pairs.extend(groups.flat_map(|g| g.addresses.iter().map(|p| (*p, tag))));
                }
                _ => {}
            }
        }
        let mut entry_tags = Vec::new();
        for (device, entry) in document.devices.iter().zip(&mut entries[1..first_special]) {
            let start = entry_tags.len();
            self.device_tags(device, &mut entry_tags);
            entry.tags = (start as u32, entry_tags.len() as u32);
            for address in device.addresses.iter().copied() {
                pairs.extend(
                    entry_tags[start..]
                        .iter()
                        .map(|tag| (Prefix::host(address), *tag)),
                );
            }
        }
        let everybody = entry_tags.len() as u32;
        entry_tags.push(tags::ISLAND);
        let unlisted = entries.iter_mut().filter(|e| e.facts.name.is_empty());
        for entry in unlisted.filter(|e| e.island.is_some()) {
            entry.tags = (everybody, everybody + 1);
        }
        self.classes.add_members(pairs);
        entry_tags
    }

    fn device_tags(&self, device: &'d Device, found: &mut Vec<Tag>) {
        found.extend(Name::all_of(device).filter_map(|name| self.names.get(&name)));
        if self.is_islander(device) {
            found.push(tags::ISLAND);
        }
    }

    fn dns_names(&self) -> Map<Box<str>, Tag> {
        let names = self.names.iter().filter_map(|(name, tag)| match name {
            Name::Dns(name) => Some(((*name).into(), *tag)),
            _ => None,
        });
        names.collect()
    }

    // Group frames from the core.

    fn vlan_groups(
        &mut self,
        chains: &[Chain<'d>],
        unlisted: &Chain<'d>,
        entries: &[Entry],
        strangers: &Map<VlanKey, EntryIdx>,
    ) -> (Map<VlanKey, VlanGroups>, VlanGroups) {
        let mut by_vlan: BTreeMap<VlanKey, Vec<usize>> = BTreeMap::new();
        for (index, device) in self.document.devices.iter().enumerate() {
            by_vlan.entry(device.vlan.0).or_default().push(index);
        }
        for vlan in self.special_vlans() {
            by_vlan.entry(vlan).or_default();
        }
        let unlisted_filter = group_filter(&entries[0]);
        let mut vlans = Map::default();
        for (vlan, devices) in by_vlan {
            let mut rules = BTreeMap::new();
            add_group_rules(unlisted, unlisted_filter, &mut rules);
            let (mut open, mut alike) = (false, true);
            let stranger = strangers.get(&vlan).copied().unwrap_or_default();
            let stranger = &entries[stranger.0 as usize].facts;
            for index in devices {
                let entry = &entries[index + 1];
                add_group_rules(&chains[index], group_filter(entry), &mut rules);
                open |= entry.open;
                alike &= entry.facts.mode == stranger.mode
                    && entry.facts.storm.broadcasts_per_s == stranger.storm.broadcasts_per_s;
            }
            let program = self.group_program(&rules);
            vlans.insert(
                vlan,
                VlanGroups {
                    program,
                    open,
                    alike,
                },
            );
        }
        let mut rules = BTreeMap::new();
        add_group_rules(unlisted, unlisted_filter, &mut rules);
        let program = self.group_program(&rules);
        (
            vlans,
            VlanGroups {
                program,
                open: false,
                alike: true,
            },
        )
    }

    fn group_program(&mut self, rules: &BTreeMap<u32, &'d Rule>) -> ProgramId {
        let rules = rules.iter().map(|(number, rule)| (*number, *rule));
        self.compile_rules(rules, Talk::is_incoming_group).program
    }
}

/// What is a device's own besides its facts.
struct Own<'d> {
    under_island: bool,
    open: bool,
    refusal: Refusal,
    controller: Option<Name<'d>>,
    manufacturer: Option<Name<'d>>,
}

fn key_of(device: &Device) -> DeviceKey {
    DeviceKey {
        mac: device.mac,
        vlan: device.vlan.0,
    }
}

fn numbered<'l, 'd: 'l>(lists: &'l [Listed<'d>]) -> impl Iterator<Item = (u32, &'d Rule)> + 'l {
    lists.iter().flat_map(|list| (list.first..).zip(list.rules))
}

/// Which of a device's rules let group frames in. What is inside an island cannot be told from
/// a group frame of the core, so only life-critical ones stay.
fn group_filter(entry: &Entry) -> Filter {
    match (entry.facts.mode, &entry.island) {
        (Mode::Isolate, _) => Filter::Rescue,
        (_, Some(_)) => Filter::LifeCritical,
        _ => Filter::All,
    }
}

/// Collects the rules of a device that let broadcast and multicast in. A deny rule cannot be
/// enforced for one device of a VLAN, and the checker refuses it outside the baseline.
fn add_group_rules<'d>(chain: &Chain<'d>, filter: Filter, rules: &mut BTreeMap<u32, &'d Rule>) {
    let lists = chain.visits.iter().chain(&chain.own).chain(&chain.role);
    for list in lists {
        for (number, rule) in numbered(std::slice::from_ref(list)) {
            let group =
                rule.direction == Direction::ToDevice && rule.peer.iter().any(Peer::is_group_frame);
            if group && rule.action == Action::Allow && filter.keeps(rule) {
                rules.insert(number, rule);
            }
        }
    }
}
