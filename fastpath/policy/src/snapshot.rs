//! The compiled policy: immutable, shared by `Arc`, asked once for each new flow.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::program::{ANY_PROTOCOL, Key, ProgramId, Table, Talk};
use crate::scalar::{FIRST_ETHERTYPE, PortRange};
use crate::stable::{Map, Set};
use crate::tags::{self, Classes, Tag};
use crate::types::{Care, Cast, DeviceKey, Initiator, Mode, Refusal, Side, VlanKey};
use crate::{MacAddr, Reason};

/// Index of a device's entry in one snapshot; 0 is the entry of every unlisted device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct EntryIdx(pub u32);

/// Index of a rule in one snapshot; 0 means "no rule".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RuleId(pub u32);

/// What the engine knows of the peer beyond its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerTag {
    /// The address is bound to this device of the snapshot.
    Device(EntryIdx),
    /// The device asked for this name of [`PolicySnapshot::dns_name`] and got this address.
    DnsName(u32),
}

/// One question about a new flow.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// Who sends the first packet.
    pub initiator: Initiator,
    /// How the first packet is addressed.
    pub cast: Cast,
    /// The address that is not the device's: destination if the device initiates, else source.
    pub peer: IpAddr,
    /// Destination address of the first packet.
    pub destination: IpAddr,
    /// IP protocol number (ICMPv6 is 58).
    pub protocol: u8,
    /// The initiator's port; 0 where the protocol has none.
    pub source_port: u16,
    /// The responder's port; for ICMP and ICMPv6 `type << 8 | code`.
    pub destination_port: u16,
    /// What else is known of the peer.
    pub tags: &'a [PeerTag],
}

/// What an allowed broadcast or multicast question opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerWindow {
    /// How long answers may come.
    pub seconds: u16,
}

/// The answer to a [`Query`], before the device's mode is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether policy allows it.
    pub allow: bool,
    /// The reason, of class `Forward` exactly if `allow`.
    pub reason: Reason,
    /// The rule that decided; 0 if none matched.
    pub rule: RuleId,
    /// What the conversation is for.
    pub care: Care,
    /// How to refuse it, when it is refused.
    pub refusal: Refusal,
    /// The window that an allowed group frame opens.
    pub answer: Option<AnswerWindow>,
}

/// Limits on what reaches a device; 0 means unlimited.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct StormGuard {
    /// Packets per second towards the device.
    pub packets_per_s: u32,
    /// Broadcast and multicast frames per second towards the device's VLAN.
    pub broadcasts_per_s: u32,
    /// New conversations per second towards the device.
    pub new_flows_per_s: u32,
}

/// What the engine needs to know of a device apart from its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceEntry {
    /// Name in the document; empty for the entry of unlisted devices.
    pub name: String,
    /// Role in the document, if any.
    pub role: Option<String>,
    /// Step of the ladder in force at the instant of compilation.
    pub mode: Mode,
    /// Changes exactly when something that could change a decision for this device changes.
    /// Equal over snapshots with equal content (a hash, never 0).
    pub epoch: u32,
    /// The highest care class among the device's rules.
    pub care: Care,
    /// Storm guard towards the device.
    pub storm: StormGuard,
    /// Addresses fixed by the document: bound from the start, never to anybody else.
    pub addresses: Vec<IpAddr>,
}

/// An immutable compiled policy.
#[derive(Debug)]
pub struct PolicySnapshot {
    pub(crate) id: String,
    pub(crate) valid_until_s: Option<u64>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) listed: Map<DeviceKey, EntryIdx>,
    /// Whose the addresses are that the document fixes.
    pub(crate) fixed: Map<(IpAddr, VlanKey), EntryIdx>,
    /// VLANs whose unlisted devices are treated otherwise than all other unlisted ones.
    pub(crate) unlisted: Map<VlanKey, EntryIdx>,
    pub(crate) classes: Classes,
    /// Tags of the entries, one range each.
    pub(crate) entry_tags: Vec<Tag>,
    pub(crate) table: Table,
    pub(crate) rules: Vec<RuleFacts>,
    pub(crate) rule_names: Names,
    pub(crate) answers: Vec<AnswerFacts>,
    pub(crate) vlans: Map<VlanKey, VlanGroups>,
    /// For VLANs without a listed device.
    pub(crate) other_vlans: VlanGroups,
    pub(crate) baseline: ProgramId,
    pub(crate) frames: Map<FrameKey, u32>,
    pub(crate) double_tags: [bool; 2],
    pub(crate) dns: Map<Box<str>, Tag>,
    /// Which program names which DNS name.
    pub(crate) dns_uses: Set<(ProgramId, Tag)>,
    pub(crate) default_refusal: Refusal,
}

/// The programs of a device in the order they are asked: visits, own rules, role, baseline.
pub(crate) type Programs = [ProgramId; 4];

/// Everything about one device.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) facts: DeviceEntry,
    pub(crate) programs: Programs,
    /// Programs for everything that is not inside the island, while the device is under it.
    pub(crate) island: Option<Programs>,
    /// A life-critical device without any template.
    pub(crate) open: bool,
    pub(crate) refusal: Refusal,
    pub(crate) tags: (u32, u32),
    pub(crate) controller: Tag,
    pub(crate) manufacturer: Tag,
}

/// What a rule says once it matches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RuleFacts {
    pub(crate) allow: bool,
    pub(crate) scope: Scope,
    pub(crate) care: Care,
    /// None: as the device says.
    pub(crate) refusal: Option<Refusal>,
    /// Index into the answers; `u32::MAX` if it opens no window.
    pub(crate) answer: u32,
}

/// The list a rule stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Visit,
    Device,
    Role,
    Baseline,
}

/// The window a rule opens.
#[derive(Debug)]
pub(crate) struct AnswerFacts {
    pub(crate) protocol: u8,
    pub(crate) seconds: u16,
    /// Sorted; holds [`tags::ANY`] if anybody may answer.
    pub(crate) from: Box<[Tag]>,
    pub(crate) ports: Box<[PortRange]>,
    /// Who answers.
    pub(crate) initiator: Initiator,
}

/// What may enter a VLAN by broadcast and multicast.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct VlanGroups {
    /// Union of the rules of the VLAN's devices.
    pub(crate) program: ProgramId,
    /// A life-critical device without any template listens here.
    pub(crate) open: bool,
    /// Listed devices have the mode and the limit on broadcasts of unlisted ones.
    pub(crate) alike: bool,
}

/// What a frame rule is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FrameKey {
    pub(crate) from: Side,
    /// The EtherType, [`LLC_FRAMES`] or [`ALL_FRAMES`].
    pub(crate) ethertype: u16,
    pub(crate) target: TargetKey,
}

/// Stands for every 802.3 frame with a length; no EtherType is that small.
pub(crate) const LLC_FRAMES: u16 = 1;
/// Stands for every frame.
pub(crate) const ALL_FRAMES: u16 = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TargetKey {
    Any,
    LinkLocal,
    Mac(MacAddr),
}

/// Texts one after the other in one allocation.
#[derive(Debug, Default)]
pub(crate) struct Names {
    text: String,
    ends: Vec<u32>,
}

impl Names {
    pub(crate) fn push(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.text.push_str(part));
        self.ends
            .push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
    }

    fn get(&self, index: usize) -> &str {
        let end = self.ends.get(index).copied().unwrap_or(0) as usize;
        let start = match index.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or(0) as usize,
            None => 0,
        };
        self.text.get(start..end).unwrap_or("")
    }
}

impl PolicySnapshot {
    /// The policy before any document: everything observed, baseline as a wire.
    pub fn observe_all() -> Self {
        crate::compile::observe_all()
    }

    /// Content hash of document and instant class, shown to people and compared after a restart.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Unix time in seconds at which a limited permission begins or ends and the document must
    /// be compiled again.
    pub fn valid_until_s(&self) -> Option<u64> {
        self.valid_until_s
    }

    /// The entry of a device, or the entry of unlisted devices.
    pub fn lookup(&self, key: &DeviceKey) -> EntryIdx {
        match self.listed.get(key) {
            Some(entry) => *entry,
            None => self.unlisted.get(&key.vlan).copied().unwrap_or(EntryIdx(0)),
        }
    }

    /// The device for which the document fixes this address.
    pub fn fixed_owner(&self, address: IpAddr, vlan: VlanKey) -> Option<EntryIdx> {
        self.fixed.get(&(address, vlan)).copied()
    }

    /// The entry behind an index. Panics on an index of another, larger snapshot.
    pub fn entry(&self, entry: EntryIdx) -> &DeviceEntry {
        &self.at(entry).facts
    }

    /// All listed devices with their keys, in no particular order.
    pub fn devices(&self) -> impl Iterator<Item = (DeviceKey, EntryIdx)> + '_ {
        self.listed.iter().map(|(key, entry)| (*key, *entry))
    }

    /// Whether mode and limit on broadcasts are the same for every device of a VLAN, listed or not.
    pub fn treats_alike(&self, vlan: VlanKey) -> bool {
        self.vlans.get(&vlan).unwrap_or(&self.other_vlans).alike
    }

    /// May this conversation of a device begin?
    pub fn decide(&self, entry: EntryIdx, query: &Query<'_>) -> Decision {
        let device = self.at(entry);
        let programs = match &device.island {
            Some(_) if self.inside_island(device, query) => &device.programs,
            Some(outside) => outside,
            None => &device.programs,
        };
        if let Some(rule) = self.search(programs, Some(device), query) {
            return self.decided(rule, query.cast, device.refusal);
        }
        if device.open {
            return allowed(Reason::LifeCriticalOpen, RuleId(0), device.facts.care, None);
        }
        let reason = match (device.facts.mode, &device.island) {
            (Mode::Isolate, _) => Reason::Isolated,
            (_, Some(_)) => Reason::Island,
            _ => Reason::NoRule,
        };
        denied(reason, RuleId(0), Care::Facility, device.refusal)
    }

    /// May this broadcast or multicast frame from the core side enter the VLAN? Allowed if the
    /// baseline or any listed device of the VLAN allows it; the engine adds that devices which
    /// do not enforce get it anyway.
    pub fn decide_group(&self, vlan: VlanKey, query: &Query<'_>) -> Decision {
        let groups = self.vlans.get(&vlan).unwrap_or(&self.other_vlans);
        if let Some(rule) = self.search(&[groups.program, self.baseline], None, query) {
            return self.decided(rule, query.cast, self.default_refusal);
        }
        if groups.open {
            return allowed(
                Reason::LifeCriticalOpen,
                RuleId(0),
                Care::Surveillance,
                None,
            );
        }
        denied(
            Reason::NoRule,
            RuleId(0),
            Care::Facility,
            self.default_refusal,
        )
    }

    /// May this unicast answer come inside the window that `rule` opened?
    pub fn answer_allowed(&self, rule: RuleId, query: &Query<'_>) -> bool {
        let Some(answer) = self.answer_of(rule) else {
            return false;
        };
        if answer.initiator != query.initiator
            || answer.protocol != query.protocol
            || query.cast != Cast::Unicast
            || !answer
                .ports
                .iter()
                .any(|range| range.contains(query.source_port))
        {
            return false;
        }
        let mut found = false;
        self.for_each_peer_tag(None, query, |tag| {
            found |= answer.from.binary_search(&tag).is_ok();
        });
        found
    }

    /// What the baseline says of a frame that is not IP (ARP is one of them).
    pub fn decide_ethertype(&self, from: Side, ethertype: u16, destination: MacAddr) -> Decision {
        let kind = if ethertype < FIRST_ETHERTYPE {
            LLC_FRAMES
        } else {
            ethertype
        };
        let mut best = None;
        for ethertype in [kind, ALL_FRAMES] {
            for target in targets(destination).into_iter().flatten() {
                let found = self
                    .frames
                    .get(&FrameKey {
                        from,
                        ethertype,
                        target,
                    })
                    .copied();
                best = lower(best, found);
            }
        }
        match best {
            Some(rule) => self.decided(rule, Cast::Unicast, Refusal::Silent),
            None => denied(
                Reason::BaselineDenied,
                RuleId(0),
                Care::Facility,
                Refusal::Silent,
            ),
        }
    }

    /// Whether two VLAN tags are allowed from this side.
    pub fn double_tags_allowed(&self, from: Side) -> bool {
        self.double_tags[from as usize]
    }

    /// The number of a DNS name some rule of this device uses, for [`PeerTag::DnsName`].
    /// `name` is lower case without the final dot.
    pub fn dns_name(&self, entry: EntryIdx, name: &str) -> Option<u32> {
        let tag = *self.dns.get(name)?;
        let used = |program: &ProgramId| self.dns_uses.contains(&(*program, tag));
        self.at(entry).programs.iter().any(used).then_some(tag)
    }

    /// A rule's name for people: `role infusion-pump / hl7-out`; empty for rule 0.
    pub fn rule_name(&self, rule: RuleId) -> &str {
        self.rule_names.get(rule.0 as usize)
    }

    fn at(&self, entry: EntryIdx) -> &Entry {
        &self.entries[entry.0 as usize]
    }

    fn answer_of(&self, rule: RuleId) -> Option<&AnswerFacts> {
        let facts = self.rules.get(rule.0 as usize)?;
        self.answers.get(facts.answer as usize)
    }

    /// The deciding rule: the first program with a match, and in it the lowest number.
    fn search<const N: usize>(
        &self,
        programs: &[ProgramId; N],
        device: Option<&Entry>,
        query: &Query<'_>,
    ) -> Option<u32> {
        let talk = Talk::new(query.initiator, query.cast);
        let mut best = [None; N];
        self.for_each_target(device, query, talk, |peer, group| {
            for (program, best) in programs.iter().zip(&mut best) {
                if *program == 0 {
                    continue;
                }
                for protocol in [u16::from(query.protocol), ANY_PROTOCOL] {
                    let key = Key {
                        peer,
                        group,
                        protocol,
                        talk,
                    };
                    let (port, source) = (query.destination_port, query.source_port);
                    let found = self.table.find(*program, &key, port, source);
                    *best = lower(*best, found);
                }
            }
        });
        best.into_iter().flatten().next()
    }

    /// Every (peer, group) pair of tags under which a matching rule may stand.
    fn for_each_target(
        &self,
        device: Option<&Entry>,
        query: &Query<'_>,
        talk: Talk,
        mut visit: impl FnMut(Tag, Tag),
    ) {
        match talk {
            Talk::DeviceUnicast | Talk::PeerUnicast | Talk::PeerBroadcast => {
                self.for_each_peer_tag(device, query, |peer| visit(peer, tags::ANY));
            }
            Talk::DeviceBroadcast => visit(tags::ANY, tags::ANY),
            Talk::DeviceMulticast => {
                self.classes
                    .for_each(query.destination, |group| visit(tags::ANY, group));
            }
            Talk::PeerMulticast => self.classes.for_each(query.destination, |group| {
                self.for_each_peer_tag(device, query, |peer| visit(peer, group));
            }),
        }
    }

    /// Every tag of the peer, the wildcard first.
    fn for_each_peer_tag(
        &self,
        device: Option<&Entry>,
        query: &Query<'_>,
        mut visit: impl FnMut(Tag),
    ) {
        let (controller, manufacturer) =
            device.map_or((tags::NONE, tags::NONE), |d| (d.controller, d.manufacturer));
        let mut with_relatives = |tag: Tag| {
            visit(tag);
            if tag == controller {
                visit(tags::MY_CONTROLLER);
            }
            if tag == manufacturer {
                visit(tags::SAME_MANUFACTURER);
            }
        };
        with_relatives(tags::ANY);
        self.classes.for_each(query.peer, &mut with_relatives);
        for known in query.tags {
            match *known {
                PeerTag::Device(entry) => {
                    let (start, end) = self.at(entry).tags;
                    let tags = &self.entry_tags[start as usize..end as usize];
                    tags.iter().for_each(|tag| with_relatives(*tag));
                }
                PeerTag::DnsName(name) => with_relatives(name),
            }
        }
    }

    fn inside_island(&self, device: &Entry, query: &Query<'_>) -> bool {
        let mut inside = false;
        if query.cast == Cast::Unicast {
            self.for_each_peer_tag(Some(device), query, |tag| inside |= tag == tags::ISLAND);
        }
        inside
    }

    fn decided(&self, rule: u32, cast: Cast, refusal: Refusal) -> Decision {
        let facts = &self.rules[rule as usize];
        let id = RuleId(rule);
        if !facts.allow {
            let reason = match facts.scope {
                Scope::Baseline => Reason::BaselineDenied,
                _ => Reason::DeniedByRule,
            };
            return denied(reason, id, facts.care, facts.refusal.unwrap_or(refusal));
        }
        let reason = match facts.scope {
            Scope::Visit => Reason::VendorVisit,
            Scope::Device | Scope::Role => Reason::Allowed,
            Scope::Baseline => Reason::Baseline,
        };
        let answer = match cast {
            Cast::Unicast => None,
            Cast::Broadcast | Cast::Multicast => self.answer_of(id),
        };
        let answer = answer.map(|a| AnswerWindow { seconds: a.seconds });
        allowed(reason, id, facts.care, answer)
    }
}

fn allowed(reason: Reason, rule: RuleId, care: Care, answer: Option<AnswerWindow>) -> Decision {
    Decision {
        allow: true,
        reason,
        rule,
        care,
        refusal: Refusal::Silent,
        answer,
    }
}

fn denied(reason: Reason, rule: RuleId, care: Care, refusal: Refusal) -> Decision {
    Decision {
        allow: false,
        reason,
        rule,
        care,
        refusal,
        answer: None,
    }
}

fn lower(a: Option<u32>, b: Option<u32>) -> Option<u32> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// The ways a frame rule may name this destination.
fn targets(destination: MacAddr) -> [Option<TargetKey>; 3] {
    [
        Some(TargetKey::Any),
        Some(TargetKey::Mac(destination)),
        is_link_local(destination).then_some(TargetKey::LinkLocal),
    ]
}

/// 01:80:c2:00:00:00 to 01:80:c2:00:00:0f (IEEE 802.1Q table 8-1).
pub(crate) fn is_link_local(mac: MacAddr) -> bool {
    let [a, b, c, d, e, f] = mac.0;
    [a, b, c, d, e] == [0x01, 0x80, 0xc2, 0, 0] && f <= 0x0f
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Direction, Document, Peer, Rule};
    use crate::program::take_probes;
    use crate::scalar::{Many, Prefix, Protocol};
    use crate::{Format, compile, parse};

    /// A device with this many rules, each for a server and a port of its own.
    fn policy(rules: u32) -> PolicySnapshot {
        let text =
            "version = 1\nname = \"x\"\n[[devices]]\nname = \"d\"\nmac = \"02:00:00:00:00:01\"";
        let (mut document, _): (Document, _) =
            parse(text, Format::Toml, "x").expect("the document is right");
        let rule = |number: u32| {
            let server = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
            let peer = Peer::Address(Many(vec![Prefix::host(server)]));
            Rule {
                ports: Some(Many(vec![PortRange::one(10_000 + number as u16)])),
                ..Rule::allow(
                    &number.to_string(),
                    Direction::FromDevice,
                    vec![peer],
                    Protocol::TCP,
                )
            }
        };
        document.devices[0].rules = (0..rules).map(rule).collect();
        compile(&document, 0).expect("the document compiles")
    }

    fn probes(policy: &PolicySnapshot, port: u16) -> (bool, u64) {
        let peer = IpAddr::from([10, 0, 0, 9]);
        let query = Query {
            initiator: Initiator::Device,
            cast: Cast::Unicast,
            peer,
            destination: peer,
            protocol: 6,
            source_port: 40_000,
            destination_port: port,
            tags: &[],
        };
        take_probes();
        let decision = policy.decide(EntryIdx(1), &query);
        (decision.allow, take_probes())
    }

    #[test]
    fn a_decision_costs_the_same_whatever_the_number_of_rules() {
        let (few, many) = (policy(10), policy(10_000));
        for port in [10_009, 10_010] {
            assert_eq!(probes(&few, port), probes(&many, port));
            assert!(
                probes(&many, port).1 <= 8,
                "{} probes",
                probes(&many, port).1
            );
        }
        assert!(probes(&many, 10_009).0);
        assert!(!probes(&many, 10_010).0);
    }

    #[test]
    fn a_vlan_is_treated_alike_while_no_device_of_it_differs() {
        let text = r#"
            version = 1
            name = "x"
            defaults = { mode = "enforce", unlisted_mode = "enforce" }
            devices = [
                { name = "a", mac = "02:00:00:00:00:01", vlan = 1 },
                { name = "b", mac = "02:00:00:00:00:02", vlan = 2, mode = "observe" },
                { name = "c", mac = "02:00:00:00:00:03", vlan = 3, storm = { broadcasts_per_s = 9 } },
            ]
        "#;
        let (document, _) = parse(text, Format::Toml, "x").expect("the document is right");
        let snapshot = compile(&document, 0).expect("it compiles");
        let alike = |outer| snapshot.treats_alike(VlanKey { outer, inner: 0 });
        assert_eq!([1, 2, 3, 4].map(alike), [true, false, false, true]);
    }
}
