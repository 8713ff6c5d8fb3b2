//! MUD files in and out.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use wardline_policy::document::{Action, Device, Direction, Document, Peer, Rule};
use wardline_policy::mud::{Imported, Note, export, import};
use wardline_policy::scalar::{IcmpKind, Many, PortRange, Prefix, Protocol, Time};
use wardline_policy::types::Refusal;
use wardline_policy::{Format, parse};

/// A MUD file with one access list for each direction.
fn file(from_device: &Value, to_device: &Value) -> String {
    json!({
        "ietf-mud:mud": {
            "mud-version": 1,
            "mud-url": "https://lighting.example.com/lightbulb2000",
            "last-update": "2019-01-28T11:20:51+01:00",
            "cache-validity": 48,
            "is-supported": true,
            "systeminfo": "The BMS Example Light Bulb",
            "from-device-policy": { "access-lists": { "access-list": [{ "name": "fr" }] } },
            "to-device-policy": { "access-lists": { "access-list": [{ "name": "to" }] } }
        },
        "ietf-access-control-list:acls": { "acl": [
            { "name": "fr", "type": "ipv4-acl-type", "aces": { "ace": from_device } },
            { "name": "to", "type": "ipv4-acl-type", "aces": { "ace": to_device } }
        ] }
    })
    .to_string()
}

fn ace(name: &str, matches: Value) -> Value {
    json!({ "name": name, "matches": matches, "actions": { "forwarding": "accept" } })
}

fn imported(from_device: Value, to_device: Value) -> Imported {
    import(&file(&from_device, &to_device), "light.json").expect("a MUD file")
}

/// The rules as they would stand in a policy.
fn told(rules: &[Rule]) -> Vec<String> {
    let ports = |ports: &Option<Many<PortRange>>| {
        let list = ports
            .as_ref()
            .map(|p| p.iter().map(PortRange::to_string).collect::<Vec<_>>());
        list.map_or("any".to_owned(), |list| list.join(","))
    };
    let tell = |r: &Rule| {
        let peer = serde_json::to_string(&r.peer).expect("a peer is JSON");
        let direction = match r.direction {
            Direction::FromDevice => "from",
            Direction::ToDevice => "to",
        };
        let (to, source) = (ports(&r.ports), ports(&r.source_ports));
        format!(
            "{} {direction} {peer} {} {to} source {source}",
            r.name, r.protocol
        )
    };
    rules.iter().map(tell).collect()
}

/// The example of RFC 8520, section 9: a light bulb and its cloud service, by name.
#[test]
fn both_halves_of_a_conversation_become_one_rule() {
    let mud = imported(
        json!([ace(
            "cl0-frdev",
            json!({
                "ipv4": { "ietf-acldns:dst-dnsname": "Test.example.com", "protocol": 6 },
                "tcp": {
                    "ietf-mud:direction-initiated": "from-device",
                    "destination-port": { "operator": "eq", "port": 443 }
                }
            })
        )]),
        json!([ace(
            "cl0-todev",
            json!({
                "ipv4": { "ietf-acldns:src-dnsname": "test.example.com", "protocol": 6 },
                "tcp": {
                    "ietf-mud:direction-initiated": "from-device",
                    "source-port": { "operator": "eq", "port": 443 }
                }
            })
        )]),
    );
    assert_eq!(mud.url, "https://lighting.example.com/lightbulb2000");
    assert_eq!(
        told(&mud.rules),
        [r#"cl0-frdev from {"dns":"test.example.com"} tcp 443 source any"#]
    );
    assert_eq!(mud.notes, []);
}

/// A file may describe one direction only; the conversation is whole all the same.
#[test]
fn one_direction_is_enough() {
    let web = |port: &str, far: &str| {
        json!({
            "ipv4": { far: "192.0.2.0/24", "protocol": 6 },
            "tcp": { "ietf-mud:direction-initiated": "from-device", port: { "operator": "eq", "port": 80 } }
        })
    };
    let expected = [r#"web from {"address":"192.0.2.0/24"} tcp 80 source any"#];
    let forward = json!([ace(
        "web",
        web("destination-port", "destination-ipv4-network")
    )]);
    assert_eq!(told(&imported(forward, json!([])).rules), expected);
    let back = json!([ace("web", web("source-port", "source-ipv4-network"))]);
    assert_eq!(told(&imported(json!([]), back).rules), expected);
}

#[test]
fn a_file_without_one_policy_says_so() {
    let mut root: Value = serde_json::from_str(&file(
        &json!([ace(
            "dns",
            json!({ "udp": { "destination-port": { "operator": "eq", "port": 53 } } })
        )]),
        &json!([]),
    ))
    .expect("it is JSON");
    root["ietf-mud:mud"]
        .as_object_mut()
        .expect("an object")
        .remove("to-device-policy");
    let mud = import(&root.to_string(), "x").expect("a MUD file");
    assert_eq!(told(&mud.rules), [r#"dns from "any" udp 53 source any"#]);
    assert!(
        mud.notes[0].message.contains("no to-device-policy"),
        "{:?}",
        mud.notes
    );
}

#[test]
fn direction_initiated_names_who_begins_whatever_the_list() {
    let ssh = |far: &str| json!({ "tcp": { "direction-initiated": "to-device", far: { "operator": "eq", "port": 22 } } });
    let mud = imported(
        json!([ace("ssh-answer", ssh("source-port"))]),
        json!([ace("ssh", ssh("destination-port"))]),
    );
    assert_eq!(told(&mud.rules), [r#"ssh to "any" tcp 22 source any"#]);
}

#[test]
fn udp_halves_meet_by_their_port() {
    let mud = imported(
        json!([
            ace(
                "dns",
                json!({ "udp": { "destination-port": { "operator": "eq", "port": 53 } } })
            ),
            ace(
                "all",
                json!({ "ietf-mud:mud": { "local-networks": [null] }, "ipv4": { "protocol": 17 } })
            ),
        ]),
        json!([
            ace(
                "dns-answer",
                json!({ "udp": { "source-port": { "operator": "eq", "port": 53 } } })
            ),
            ace(
                "all",
                json!({ "ietf-mud:mud": { "local-networks": [null] }, "ipv4": { "protocol": 17 } })
            ),
        ]),
    );
    assert_eq!(
        told(&mud.rules),
        [
            r#"dns from "any" udp 53 source any"#,
            r#"all from {"group":"local-networks"} udp any source any"#,
            r#"all-2 to {"group":"local-networks"} udp any source any"#,
        ]
    );
}

#[test]
fn multicast_and_abstractions_are_peers() {
    let to = |matches| json!([ace("x", matches)]);
    let peers = |from: Value, list: Value| told(&imported(from, list).rules);
    let ssdp = json!({
        "ipv4": { "destination-ipv4-network": "239.255.255.250/32", "protocol": 17 },
        "udp": { "destination-port": { "lower-port": 1900, "upper-port": 1901 } }
    });
    assert_eq!(
        peers(to(ssdp.clone()), to(ssdp)),
        [
            r#"x from {"multicast":"239.255.255.250"} udp 1900-1901 source any"#,
            r#"x-2 to {"multicast":"239.255.255.250"} udp 1900-1901 source any"#,
        ]
    );
    for (key, value, peer) in [
        (
            "controller",
            json!("urn:ietf:params:mud:dns"),
            r#"{"controller":"urn:ietf:params:mud:dns"}"#,
        ),
        ("my-controller", json!([null]), r#""my-controller""#),
        ("same-manufacturer", json!([null]), r#""same-manufacturer""#),
        (
            "manufacturer",
            json!("m.example"),
            r#"{"manufacturer":"m.example"}"#,
        ),
        (
            "model",
            json!("https://m.example/1"),
            r#"{"model":"https://m.example/1"}"#,
        ),
    ] {
        let rules = peers(to(json!({ "ietf-mud:mud": { key: value } })), json!([]));
        assert_eq!(rules, [format!("x from {peer} any any source any")]);
    }
}

#[test]
fn operators_on_ports_become_ranges() {
    for (operator, ports) in [
        ("lte", "0-100"),
        ("gte", "100-65535"),
        ("neq", "0-99,101-65535"),
    ] {
        let port = json!({ "udp": { "destination-port": { "operator": operator, "port": 100 } } });
        let rules = told(&imported(json!([ace("p", port)]), json!([])).rules);
        assert_eq!(rules, [format!(r#"p from "any" udp {ports} source any"#)]);
    }
}

#[test]
fn what_is_not_supported_is_named_with_its_path() {
    let mut logged = ace("logged", json!({ "ipv4": { "protocol": 17 } }));
    logged["actions"]["logging"] = json!("log-syslog");
    let mud = imported(
        json!([
            ace("dscp", json!({ "ipv4": { "dscp": 46 } })),
            ace(
                "own",
                json!({ "ipv4": { "source-ipv4-network": "10.0.0.1/32" } })
            ),
            ace(
                "two",
                json!({ "ipv4": { "dst-dnsname": "a.example" }, "mud": { "my-controller": [null] } })
            ),
            ace("eth", json!({ "eth": { "ethertype": "0x0806" } })),
            logged,
        ]),
        json!([]),
    );
    assert_eq!(
        told(&mud.rules),
        [r#"logged from "any" udp any source any"#]
    );
    let at = "$['ietf-access-control-list:acls'].acl[0].aces.ace";
    let note = |path: &str, message: &str| Note {
        path: format!("{at}{path}"),
        message: message.into(),
    };
    assert_eq!(
        mud.notes,
        [
            note(
                "[0].matches['ipv4']['dscp']",
                "matching on `dscp` is not supported; the entry was left out"
            ),
            note(
                "[1].matches['ipv4']['source-ipv4-network']",
                "the device's own address cannot be a condition; the entry was left out"
            ),
            note(
                "[2].matches",
                "several conditions on the other end at once are not supported; the entry was left out"
            ),
            note(
                "[3].matches['eth']",
                "matching on `eth` is not supported; the entry was left out"
            ),
            note(
                "[4].actions['logging']",
                "action `logging` is not supported; it was ignored"
            ),
        ]
    );
}

#[test]
fn a_file_that_is_no_mud_file_is_refused() {
    for (text, expected) in [
        ("{", "light.json:1:1: error: this is not JSON"),
        ("[]", "light.json: error: $: a MUD file is a JSON object"),
        ("{}", "light.json: error: $: there is no `ietf-mud:mud`"),
        (
            r#"{"ietf-mud:mud":{"mud-version":2}}"#,
            "['mud-version']: only version 1 is defined",
        ),
    ] {
        let error = import(text, "light.json")
            .expect_err("it is refused")
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
    let missing =
        file(&json!([]), &json!([])).replace(r#""name":"to","type""#, r#""name":"x","type""#);
    let error = import(&missing, "light.json")
        .expect_err("a list is missing")
        .to_string();
    assert!(
        error.contains(
            "['to-device-policy']['access-lists']['access-list'][0]: there is no list `to`"
        ),
        "{error}"
    );
}

// Round trip.

fn device(rules: Vec<Rule>) -> (Document, Device) {
    let text = "version = 1\nname = \"x\"\n[[devices]]\nname = \"d\"\nmac = \"02:00:00:00:00:01\"";
    let (document, _) = parse(text, Format::Toml, "x").expect("a document");
    let mut device = document.devices[0].clone();
    device.rules = rules;
    (document, device)
}

fn back(rules: Vec<Rule>) -> (Imported, Vec<Note>) {
    let (document, device) = device(rules);
    let out = export(&document, &device, Time { unix_s: 0 });
    (
        import(&out.mud.to_string(), "back.json").expect("our own file"),
        out.notes,
    )
}

fn network() -> impl Strategy<Value = Prefix> {
    select(vec![
        "10.0.0.1",
        "10.0.0.0/8",
        "2001:db8::1",
        "2001:db8::/32",
    ])
    .prop_map(|n| n.parse().expect("a network"))
}

fn station() -> impl Strategy<Value = Peer> {
    prop_oneof![
        Just(Peer::Any),
        Just(Peer::MyController),
        Just(Peer::SameManufacturer),
        Just(Peer::Group("local-networks".into())),
        network().prop_map(|n| Peer::Address(Many(vec![n]))),
        select(vec!["a.example", "b.example"]).prop_map(|n| Peer::Dns(n.into())),
        Just(Peer::Controller("urn:x".into())),
        Just(Peer::Manufacturer("m.example".into())),
        Just(Peer::Model("https://m.example/1".into())),
    ]
}

fn group() -> impl Strategy<Value = Peer> {
    let multicast = select(vec!["239.255.255.250", "224.0.0.0/8", "ff02::c"])
        .prop_map(|n| Peer::Multicast(Many(vec![n.parse().expect("a network")])));
    prop_oneof![Just(Peer::Broadcast), multicast]
}

fn ports() -> impl Strategy<Value = Many<PortRange>> {
    (1..5u16, 0..3u16).prop_map(|(first, more)| {
        Many(vec![PortRange {
            first,
            last: first + more,
        }])
    })
}

/// Rules made of what MUD has words for: one peer and one range of ports each.
fn sayable_rule() -> impl Strategy<Value = Rule> {
    let direction = select(vec![Direction::FromDevice, Direction::ToDevice]);
    let action = select(vec![
        (Action::Allow, None),
        (Action::Allow, None),
        (Action::Deny, None),
        (Action::Deny, Some(Refusal::Unreachable)),
    ]);
    let transport = prop_oneof![
        Just((Protocol::Any, None, None, None)),
        (option::of(ports()), option::of(ports())).prop_map(|(p, s)| (Protocol::TCP, p, s, None)),
        ports().prop_map(|p| (Protocol::UDP, Some(p), None, None)),
        (0..20u8, option::of(0..2u8)).prop_map(|(kind, code)| {
            (
                Protocol::ICMP,
                None,
                None,
                Some(Many(vec![IcmpKind::Number { kind, code }])),
            )
        }),
        (128..140u8).prop_map(|kind| {
            let kind = IcmpKind::Number { kind, code: None };
            (Protocol::ICMPV6, None, None, Some(Many(vec![kind])))
        }),
    ];
    let udp = ports().prop_map(|p| (Protocol::UDP, Some(p), None, None));
    let unicast = (station(), transport).prop_map(|(peer, transport)| (peer, transport, None));
    let grouped = (group(), udp, option::of(network()));
    let body = prop_oneof![3 => unicast, 1 => grouped];
    (direction, action, body).prop_map(|(direction, (action, refusal), body)| {
        let (peer, (protocol, ports, source_ports, icmp), sender) = body;
        let groups = peer.is_group_frame() && direction == Direction::ToDevice;
        let sender = sender
            .filter(|_| groups)
            .map(|n| Peer::Address(Many(vec![n])));
        Rule {
            action,
            refusal,
            senders: sender.into_iter().collect(),
            ports,
            source_ports,
            icmp,
            ..Rule::allow("", direction, vec![peer], protocol)
        }
    })
}

/// Whether a packet of this IP version can match the rule.
fn speaks(rule: &Rule, v4: bool) -> bool {
    let networks = rule
        .peer
        .iter()
        .chain(rule.senders.iter())
        .flat_map(|peer| match peer {
            Peer::Address(list) | Peer::Multicast(list) => list.0.clone(),
            Peer::Broadcast => vec![Prefix::host([255, 255, 255, 255].into())],
            _ => Vec::new(),
        });
    let protocol = match rule.protocol {
        Protocol::ICMP => v4,
        Protocol::ICMPV6 => !v4,
        _ => true,
    };
    protocol && networks.into_iter().all(|n| n.address.is_ipv4() == v4)
}

fn unnamed(rules: &[Rule]) -> Vec<Rule> {
    let strip = |rule: &Rule| Rule {
        name: String::new(),
        ..rule.clone()
    };
    rules.iter().map(strip).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn what_mud_can_say_survives_the_way_out_and_in(rules in vec(sayable_rule(), 0..8)) {
        let mut wanted: Vec<Rule> = Vec::new();
        for mut rule in rules.into_iter().filter(|r| speaks(r, true) || speaks(r, false)) {
            if !unnamed(&wanted).contains(&rule) {
                rule.name = format!("r{}", wanted.len());
                wanted.push(rule);
            }
        }
        let (imported, _) = back(wanted.clone());
        prop_assert!(imported.notes.is_empty(), "{:?}", imported.notes);
        let mut found = imported.rules;
        // The order matters among rules that one packet can match.
        for direction in [Direction::FromDevice, Direction::ToDevice] {
            for v4 in [false, true] {
                let can_meet = |r: &&Rule| r.direction == direction && speaks(r, v4);
                let names = |rules: &[Rule]| -> Vec<String> {
                    rules.iter().filter(can_meet).map(|r| r.name.clone()).collect()
                };
                prop_assert_eq!(names(&found), names(&wanted));
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        prop_assert_eq!(found, wanted);
    }
}

#[test]
fn what_mud_cannot_say_is_named_on_the_way_out() {
    let rule = Rule {
        ports: Some(Many(vec![PortRange::one(3702)])),
        rescue: true,
        ..Rule::allow(
            "ask",
            Direction::FromDevice,
            vec![Peer::Role("pump".into())],
            Protocol::UDP,
        )
    };
    let (imported, notes) = back(vec![rule]);
    assert_eq!(imported.rules, []);
    let messages: Vec<&str> = notes.iter().map(|note| note.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "MUD knows no isolation: `rescue` is lost",
            "MUD cannot name role `pump`: left out"
        ]
    );
}
