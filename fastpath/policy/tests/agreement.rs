//! The compiled policy decides what the document means: random documents and questions, answered
//! by the compiler's tables and by the naive evaluator.
//!
//! The universes are small on purpose, so that questions hit rules, overlap and miss by one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use wardline_policy::document::{
    Action, Answer, Baseline, Defaults, Device, Direction, Document, EtherRule, Group, Island,
    MudReference, Peer, Release, Role, Rule, Visit,
};
use wardline_policy::reference::{Known, Reference, Verdict};
use wardline_policy::scalar::{
    EtherMatch, FrameTarget, IcmpKind, Many, PortRange, Prefix, Protocol, Time, Vlan,
};
use wardline_policy::types::{MacAddr, Refusal, Side};
use wardline_policy::{
    Care, Cast, Decision, DeviceKey, Initiator, Mode, PeerTag, PolicySnapshot, Query, Reason,
    VlanKey, compile,
};

const NOW_S: u64 = 1_000;
const STATIONS: [&str; 7] = [
    "10.0.0.1",
    "10.0.0.2",
    "10.0.1.1",
    "10.1.0.1",
    "192.0.2.1",
    "2001:db8::1",
    "2001:db8:1::1",
];
const NETWORKS: [&str; 8] = [
    "10.0.0.1",
    "10.0.0.0/24",
    "10.0.0.0/16",
    "10.0.0.0/8",
    "0.0.0.0/0",
    "2001:db8::/32",
    "2001:db8::1",
    "::/0",
];
const GROUPS: [&str; 3] = ["239.255.255.250", "224.0.0.251", "ff02::c"];
const GROUP_NETWORKS: [&str; 4] = ["239.255.255.250", "224.0.0.0/4", "ff02::c", "ff00::/8"];
const PORTS: [u16; 7] = [0, 1, 2, 3, 0x0800, 0x0801, 65_535];
const NAMES: [&str; 3] = ["a.example", "b.example", "c.example"];
const CLASSES: [&str; 2] = ["urn:x", "urn:y"];
const MUD_URLS: [&str; 3] = [
    "https://m.example/1",
    "https://m.example/2",
    "https://n.example/1",
];
const WARDS: [&str; 2] = ["north", "south"];
const DEVICES: usize = 4;

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn network(text: &str) -> Prefix {
    text.parse().expect("a network")
}

fn mac(index: usize) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, index as u8])
}

fn vlan(outer: u16) -> VlanKey {
    VlanKey { outer, inner: 0 }
}

// Documents.

fn networks(from: &'static [&'static str]) -> impl Strategy<Value = Many<Prefix>> {
    subsequence(from.to_vec(), 1..=2).prop_map(|n| n.into_iter().map(network).collect())
}

fn station() -> impl Strategy<Value = Peer> {
    prop_oneof![
        4 => Just(Peer::Any),
        3 => networks(&NETWORKS).prop_map(Peer::Address),
        2 => select(vec!["g0", "g1", "g2"]).prop_map(|g| Peer::Group(g.into())),
        1 => select(vec!["r0", "r1"]).prop_map(|r| Peer::Role(r.into())),
        1 => (0..DEVICES).prop_map(|d| Peer::Device(format!("d{d}"))),
        1 => select(&NAMES[..]).prop_map(|n| Peer::Dns(n.into())),
        1 => select(&CLASSES[..]).prop_map(|c| Peer::Controller(c.into())),
        1 => select(vec!["m.example", "n.example"]).prop_map(|m| Peer::Manufacturer(m.into())),
        1 => select(&MUD_URLS[..]).prop_map(|m| Peer::Model(m.into())),
        1 => Just(Peer::MyController),
        1 => Just(Peer::SameManufacturer),
    ]
}

/// A station that any device, and no device, may name: a group frame belongs to none.
fn sender() -> impl Strategy<Value = Peer> {
    station().prop_filter("relative to a device", |peer| {
        !matches!(
            peer,
            Peer::MyController | Peer::SameManufacturer | Peer::Dns(_)
        )
    })
}

fn peer() -> impl Strategy<Value = Peer> {
    prop_oneof![
        5 => station(),
        1 => Just(Peer::Broadcast),
        1 => networks(&GROUP_NETWORKS).prop_map(Peer::Multicast),
    ]
}

fn ports() -> impl Strategy<Value = Many<PortRange>> {
    let range = (select(&PORTS[..]), select(&PORTS[..])).prop_map(|(a, b)| PortRange {
        first: a.min(b),
        last: a.max(b),
    });
    let all = Just(Many(vec![PortRange {
        first: 0,
        last: u16::MAX,
    }]));
    prop_oneof![1 => all, 2 => vec(range, 1..4).prop_map(Many)]
}

fn messages() -> impl Strategy<Value = Many<IcmpKind>> {
    let kind = (select(vec![0u8, 3, 8]), option::of(0..2u8))
        .prop_map(|(kind, code)| IcmpKind::Number { kind, code });
    vec(kind, 1..3).prop_map(Many)
}

fn care() -> impl Strategy<Value = Care> {
    select(vec![
        Care::Facility,
        Care::Workflow,
        Care::Therapy,
        Care::Surveillance,
    ])
}

fn refusal() -> impl Strategy<Value = Refusal> {
    select(vec![Refusal::Silent, Refusal::Reset, Refusal::Unreachable])
}

fn protocol() -> impl Strategy<Value = Protocol> {
    let number = select(vec![1u8, 6, 17, 17, 58]).prop_map(Protocol::Number);
    prop_oneof![1 => Just(Protocol::Any), 4 => number]
}

fn answer() -> impl Strategy<Value = Answer> {
    (vec(sender(), 0..2), option::of(ports()), 1..9u16).prop_map(|(from, ports, seconds)| Answer {
        from: Many(from),
        ports,
        seconds,
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let what = (
        prop_oneof![3 => Just(Action::Allow), 1 => Just(Action::Deny)],
        prop_oneof![Just(Direction::FromDevice), Just(Direction::ToDevice)],
        vec(peer(), 1..3),
        vec(sender(), 0..2),
        protocol(),
    );
    let how = (
        option::of(ports()),
        option::weighted(0.2, ports()),
        option::weighted(0.3, messages()),
        option::of(refusal()),
        option::of(answer()),
    );
    (what, how, care(), any::<bool>()).prop_map(|(what, how, care, rescue)| {
        let (action, direction, peer, senders, protocol) = what;
        let (ports, source_ports, icmp, refusal, answer) = how;
        sensible(Rule {
            action,
            senders: Many(senders),
            ports,
            source_ports,
            icmp,
            care,
            refusal,
            answer: answer.map(Box::new),
            rescue,
            ..Rule::allow("", direction, peer, protocol)
        })
    })
}

/// Takes out of a rule what the checker would refuse.
fn sensible(mut rule: Rule) -> Rule {
    let groups = rule.peer.iter().any(Peer::is_group_frame);
    if groups && rule.protocol == Protocol::TCP {
        rule.protocol = Protocol::UDP;
    }
    if !rule.protocol.has_ports() {
        rule.ports = None;
        rule.source_ports = None;
    }
    if !rule.protocol.is_icmp() {
        rule.icmp = None;
    }
    if !groups || rule.direction == Direction::FromDevice {
        rule.senders = Many::default();
    }
    if rule.action == Action::Allow {
        rule.refusal = None;
    }
    if !groups || rule.protocol != Protocol::UDP || rule.action == Action::Deny {
        rule.answer = None;
    }
    if let (Some(answer), Direction::ToDevice) = (&mut rule.answer, rule.direction) {
        answer.from = Many::default();
    }
    rule
}

/// Gives each rule its name, and turns denials of group frames around where they cannot be held.
fn scope(rules: Vec<Rule>, baseline: bool) -> Vec<Rule> {
    let mut rules = rules;
    for (index, rule) in rules.iter_mut().enumerate() {
        rule.name = format!("n{index}");
        let incoming =
            rule.direction == Direction::ToDevice && rule.peer.iter().any(Peer::is_group_frame);
        if incoming && !baseline && rule.action == Action::Deny {
            rule.action = Action::Allow;
            rule.refusal = None;
        }
    }
    rules
}

fn rules(most: usize) -> impl Strategy<Value = Vec<Rule>> {
    vec(rule(), 0..=most).prop_map(|rules| scope(rules, false))
}

fn groups() -> impl Strategy<Value = BTreeMap<String, Group>> {
    let group = |classes: &'static [&'static str]| {
        networks(&NETWORKS).prop_map(move |addresses| Group {
            description: None,
            addresses,
            controller: classes.iter().map(|class| (*class).to_owned()).collect(),
        })
    };
    (group(&CLASSES[..1]), group(&CLASSES), group(&[])).prop_map(|(a, b, c)| {
        BTreeMap::from([("g0".into(), a), ("g1".into(), b), ("g2".into(), c)])
    })
}

fn device(index: usize) -> impl Strategy<Value = Device> {
    let facts = (
        select(vec![1u16, 1, 2]),
        option::of(select(vec!["r0", "r1", "r2"])),
        option::of(select(vec![
            Mode::Enforce,
            Mode::Observe,
            Mode::Simulate,
            Mode::Isolate,
        ])),
        option::of(care()),
        option::of(select(&WARDS[..])),
    );
    let more = (
        option::of(refusal()),
        select(&MUD_URLS[..]),
        any::<bool>(),
        rules(4),
    );
    (facts, more).prop_map(move |(facts, more)| {
        let (vlan, role, mode, care, ward) = facts;
        let (refusal, url, has_address, rules) = more;
        let own_address = has_address.then(|| address(STATIONS[index]));
        Device {
            name: format!("d{index}"),
            mac: mac(index),
            vlan: Vlan::one(vlan),
            role: role.map(str::to_owned),
            mode,
            care,
            ward: ward.map(str::to_owned),
            owner: None,
            since: None,
            assets: Vec::new(),
            addresses: own_address.into_iter().collect(),
            refusal,
            storm: None,
            controller: Some(format!("g{}", index % 3)),
            mud: Some(MudReference { url: url.into() }),
            note: None,
            rules,
        }
    })
}

fn time() -> impl Strategy<Value = Time> {
    select(vec![NOW_S - 1, NOW_S, NOW_S + 1]).prop_map(|unix_s| Time { unix_s })
}

fn visit() -> impl Strategy<Value = Visit> {
    let rules = vec(rule(), 1..3).prop_map(|rules| scope(rules, false));
    let facts = (0..DEVICES, time(), 1..3u64, rules, "[A-Z]{4}");
    facts.prop_map(|(device, from, lasts_s, rules, work_order)| Visit {
        device: format!("d{device}"),
        work_order,
        engineer: None,
        from,
        until: Time {
            unix_s: from.unix_s + lasts_s,
        },
        rules,
    })
}

fn release() -> impl Strategy<Value = Release> {
    (0..3, 0..DEVICES, 1..4u16, time()).prop_map(|(kind, device, of, until)| Release {
        device: (kind == 0).then(|| format!("d{device}")),
        vlan: (kind == 1).then(|| Vlan::one(of)),
        ward: (kind == 2).then(|| WARDS[usize::from(of) % 2].to_owned()),
        until,
        reason: "test".into(),
        by: "test".into(),
    })
}

fn island() -> impl Strategy<Value = Island> {
    (any::<bool>(), 0..3, 1..4u16, time()).prop_map(|(active, kind, of, until)| Island {
        active,
        vlan: (kind == 1).then(|| Vlan::one(of)),
        ward: (kind == 2).then(|| WARDS[usize::from(of) % 2].to_owned()),
        until: Some(until),
        reason: "test".into(),
    })
}

fn baseline() -> impl Strategy<Value = Baseline> {
    let ethertype = prop_oneof![
        Just(EtherMatch::Any),
        Just(EtherMatch::Llc),
        select(vec![0x0806u16, 0x888e]).prop_map(EtherMatch::Number),
    ];
    let target = prop_oneof![
        Just(FrameTarget::Any),
        Just(FrameTarget::LinkLocal),
        select(vec![MacAddr::BROADCAST, MacAddr([1, 0x80, 0xc2, 0, 0, 3])])
            .prop_map(FrameTarget::Mac),
    ];
    let sides = subsequence(vec![Side::Ward, Side::Core], 1..=2);
    let action = select(vec![Action::Allow, Action::Deny]);
    let frame = (ethertype, target, sides, action);
    let frames = vec(frame, 0..5).prop_map(|frames| {
        let frames = frames.into_iter().enumerate();
        let frame = |(index, (ethertype, destination, from, action))| EtherRule {
            name: format!("f{index}"),
            action,
            ethertype,
            from: Many(from),
            destination,
            note: None,
        };
        frames.map(frame).collect()
    });
    (frames, vec(rule(), 0..3)).prop_map(|(ethertypes, rules)| Baseline {
        double_tags: Vec::new(),
        ethertypes,
        rules: scope(rules, true),
    })
}

fn document() -> impl Strategy<Value = Document> {
    let roles = (rules(4), rules(4), option::of(refusal())).prop_map(|(r0, r1, refusal)| {
        let role = |rules, refusal| Role {
            refusal,
            rules,
            ..Role::default()
        };
        BTreeMap::from([
            ("r0".to_owned(), role(r0, refusal)),
            ("r1".to_owned(), role(r1, None)),
            ("r2".to_owned(), role(Vec::new(), None)),
        ])
    });
    let defaults =
        (refusal(), option::of(select(vec!["r0", "r1"]))).prop_map(|(refusal, role)| Defaults {
            mode: Mode::Enforce,
            refusal,
            unlisted_role: role.map(str::to_owned),
            ..Defaults::default()
        });
    let devices = (device(0), device(1), device(2), device(3));
    let limited = (
        vec(visit(), 0..3),
        vec(release(), 0..2),
        option::of(island()),
    );
    (groups(), roles, defaults, devices, baseline(), limited).prop_map(
        |(groups, roles, defaults, devices, baseline, (visits, releases, island))| {
            let mut document = Document::new("random");
            document.groups = groups;
            document.roles = roles;
            document.defaults = defaults;
            document.devices = vec![devices.0, devices.1, devices.2, devices.3];
            // Every ward has a device, so that releases and islands can name it.
            for (device, ward) in document.devices.iter_mut().zip(WARDS) {
                device.ward = Some(ward.into());
            }
            document.baseline = baseline;
            document.visits = visits;
            document.releases = releases;
            document.island = island;
            document
        },
    )
}

// Questions.

#[derive(Debug, Clone)]
struct Question {
    device: DeviceKey,
    initiator: Initiator,
    cast: Cast,
    peer: IpAddr,
    destination: IpAddr,
    protocol: u8,
    source_port: u16,
    destination_port: u16,
    known: Vec<Known>,
}

impl Question {
    fn query<'t>(&self, tags: &'t [PeerTag]) -> Query<'t> {
        Query {
            initiator: self.initiator,
            cast: self.cast,
            peer: self.peer,
            destination: self.destination,
            protocol: self.protocol,
            source_port: self.source_port,
            destination_port: self.destination_port,
            tags,
        }
    }
}

/// A listed device, one without a place in the document, or one of another VLAN.
fn key() -> impl Strategy<Value = DeviceKey> {
    (0..=DEVICES, select(vec![1u16, 1, 2, 2, 3])).prop_map(|(index, outer)| DeviceKey {
        mac: mac(index),
        vlan: vlan(outer),
    })
}

fn known() -> impl Strategy<Value = Vec<Known>> {
    let one = prop_oneof![
        key().prop_map(Known::Device),
        select(&NAMES[..]).prop_map(|name| Known::DnsName(name.into())),
    ];
    vec(one, 0..3)
}

fn question() -> impl Strategy<Value = Question> {
    let who = (key(), select(vec![Initiator::Device, Initiator::Peer]));
    let cast = select(vec![
        Cast::Unicast,
        Cast::Unicast,
        Cast::Broadcast,
        Cast::Multicast,
    ]);
    let port = || select(&PORTS[..]);
    let where_to = (cast, select(&STATIONS[..]), select(&GROUPS[..]));
    let what = (select(vec![1u8, 2, 6, 17, 17, 17]), port(), port());
    (who, where_to, what, known()).prop_map(|(who, where_to, what, known)| {
        let (device, initiator) = who;
        let (cast, station, group) = where_to;
        let (protocol, source_port, destination_port) = what;
        let target = match cast {
            Cast::Unicast => address(station),
            Cast::Broadcast => address("255.255.255.255"),
            Cast::Multicast => address(group),
        };
        let (peer, destination) = match initiator {
            Initiator::Device => (target, target),
            Initiator::Peer if cast == Cast::Unicast => (target, address("10.9.9.9")),
            Initiator::Peer => (address(station), target),
        };
        Question {
            device,
            initiator,
            cast,
            peer,
            destination,
            protocol,
            source_port,
            destination_port,
            known,
        }
    })
}

/// What the engine would know: device numbers, and DNS names this device's rules use.
fn tags(policy: &PolicySnapshot, question: &Question, known: &[Known]) -> Vec<PeerTag> {
    let entry = policy.lookup(&question.device);
    let tag = |known: &Known| match known {
        Known::Device(key) => Some(PeerTag::Device(policy.lookup(key))),
        Known::DnsName(name) => policy.dns_name(entry, name).map(PeerTag::DnsName),
    };
    known.iter().filter_map(tag).collect()
}

fn told(policy: &PolicySnapshot, decision: &Decision) -> Verdict {
    Verdict {
        allow: decision.allow,
        reason: decision.reason,
        rule: policy.rule_name(decision.rule).to_owned(),
        care: decision.care,
        refusal: decision.refusal,
        answer_s: decision.answer.map(|answer| answer.seconds),
    }
}

fn compare_device(
    document: &Document,
    policy: &PolicySnapshot,
    question: &Question,
) -> Result<Decision, TestCaseError> {
    let reference = Reference {
        document,
        now_s: NOW_S,
    };
    let tags = tags(policy, question, &question.known);
    let query = question.query(&tags);
    let entry = policy.lookup(&question.device);
    prop_assert_eq!(policy.entry(entry).mode, reference.mode(&question.device));
    let decision = policy.decide(entry, &query);
    prop_assert_eq!(decision.allow, decision.reason.forwards());
    let expected = reference.decide(&question.device, &query, &question.known);
    prop_assert_eq!(told(policy, &decision), expected, "{:?}", question);
    Ok(decision)
}

fn compare_group(
    document: &Document,
    policy: &PolicySnapshot,
    question: &Question,
) -> Result<(), TestCaseError> {
    if question.cast == Cast::Unicast {
        return Ok(());
    }
    let reference = Reference {
        document,
        now_s: NOW_S,
    };
    let devices: Vec<Known> = question
        .known
        .iter()
        .filter(|k| matches!(k, Known::Device(_)))
        .cloned()
        .collect();
    let tags = tags(policy, question, &devices);
    let query = Query {
        initiator: Initiator::Peer,
        ..question.query(&tags)
    };
    let vlan = question.device.vlan;
    let decision = told(policy, &policy.decide_group(vlan, &query));
    let expected = reference.decide_group(vlan, &query, &devices);
    prop_assert!(
        expected.contains(&decision),
        "{:?}: {:?} of {:?}",
        question,
        decision,
        expected
    );
    Ok(())
}

/// The answer of some station to what was allowed, or any unicast packet where nothing was.
fn compare_answer(
    document: &Document,
    policy: &PolicySnapshot,
    question: &Question,
    decision: &Decision,
    answerer: &str,
) -> Result<(), TestCaseError> {
    let reference = Reference {
        document,
        now_s: NOW_S,
    };
    let name = policy.rule_name(decision.rule);
    let lists = document
        .roles
        .iter()
        .map(|(name, role)| (format!("role {name}"), &role.rules))
        .chain(
            document
                .devices
                .iter()
                .map(|d| (format!("device {}", d.name), &d.rules)),
        )
        .chain(std::iter::once((
            "baseline".to_owned(),
            &document.baseline.rules,
        )));
    let mut named = lists.flat_map(|(list, rules)| {
        rules
            .iter()
            .map(move |rule| (format!("{list} / {}", rule.name), rule))
    });
    let Some((_, rule)) = named.find(|(full, _)| full == name) else {
        return Ok(());
    };
    let known: Vec<Known> = question
        .known
        .iter()
        .filter(|k| matches!(k, Known::Device(_)))
        .cloned()
        .collect();
    let tags = tags(policy, question, &known);
    for initiator in [Initiator::Device, Initiator::Peer] {
        let query = Query {
            initiator,
            cast: Cast::Unicast,
            peer: address(answerer),
            destination: address("10.9.9.9"),
            source_port: question.destination_port,
            destination_port: question.source_port,
            ..question.query(&tags)
        };
        prop_assert_eq!(
            policy.answer_allowed(decision.rule, &query),
            reference.answer_allowed(rule, &query, &known)
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn compiled_verdicts_are_those_of_the_document(
        document in document(),
        questions in vec((question(), select(&STATIONS[..])), 40),
    ) {
        let policy = compile(&document, NOW_S).map_err(|e| TestCaseError::fail(e.to_string()))?;
        for (question, answerer) in &questions {
            let decision = compare_device(&document, &policy, question)?;
            compare_group(&document, &policy, question)?;
            compare_answer(&document, &policy, question, &decision, answerer)?;
        }
    }

    #[test]
    fn compiled_frame_rules_are_those_of_the_document(
        document in document(),
        frames in vec((
            select(vec![Side::Ward, Side::Core]),
            select(vec![0u16, 38, 0x05ff, 0x0600, 0x0806, 0x888e, 0x9999]),
            select(vec![
                MacAddr::BROADCAST,
                MacAddr([1, 0x80, 0xc2, 0, 0, 3]),
                MacAddr([1, 0x80, 0xc2, 0, 0, 0x10]),
                MacAddr([2, 0, 0, 0, 0, 1]),
            ]),
        ), 20),
    ) {
        let policy = compile(&document, NOW_S).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let reference = Reference { document: &document, now_s: NOW_S };
        for (from, ethertype, destination) in frames {
            let decision = policy.decide_ethertype(from, ethertype, destination);
            let rule = reference.frame_rule(from, ethertype, destination);
            prop_assert_eq!(decision.allow, rule.is_some_and(|r| r.action == Action::Allow));
            let name = rule.map_or(String::new(), |r| format!("baseline / {}", r.name));
            prop_assert_eq!(policy.rule_name(decision.rule), name);
        }
    }
}

/// The comparison above means something: its questions reach every kind of verdict.
#[test]
fn the_random_questions_reach_every_kind_of_verdict() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeMap::<Reason, u32>::new();
    let mut windows = 0;
    for _ in 0..300 {
        let document = document()
            .new_tree(&mut runner)
            .expect("a document")
            .current();
        let policy = compile(&document, NOW_S).expect("it compiles");
        for _ in 0..50 {
            let question = question()
                .new_tree(&mut runner)
                .expect("a question")
                .current();
            let tags = tags(&policy, &question, &question.known);
            let decision = policy.decide(policy.lookup(&question.device), &question.query(&tags));
            *seen.entry(decision.reason).or_default() += 1;
            windows += u32::from(decision.answer.is_some());
        }
    }
    for reason in [
        Reason::Allowed,
        Reason::VendorVisit,
        Reason::Baseline,
        Reason::LifeCriticalOpen,
        Reason::NoRule,
        Reason::DeniedByRule,
        Reason::BaselineDenied,
        Reason::Isolated,
        Reason::Island,
    ] {
        assert!(
            seen.get(&reason).is_some_and(|count| *count >= 20),
            "{reason:?}: {seen:?}"
        );
    }
    assert!(windows >= 20, "{windows} answer windows");
}
