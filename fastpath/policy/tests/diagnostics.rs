//! What is said about documents that are wrong: all of it, each with its line.

use proptest::prelude::*;
use proptest::sample::Index;
use wardline_policy::mud::import;
use wardline_policy::{Format, compile, parse};

/// Everything that is said about a document, errors and warnings, one a line.
fn said(text: &str, format: Format) -> String {
    let diagnostics = match parse(text, format, "p") {
        Ok((_, warnings)) => warnings,
        Err(errors) => errors.0,
    };
    diagnostics.iter().map(|d| format!("{d}\n")).collect()
}

fn check(text: &str, format: Format, expected: &str) {
    assert_eq!(said(text, format).trim_end(), expected.trim());
}

fn check_toml(text: &str, expected: &str) {
    check(text, Format::Toml, expected);
}

#[test]
fn every_unknown_key_is_named_with_the_nearest_known_one() {
    check_toml(
        r#"version = 1
name = "x"
[groups.g]
adresses = ["10.0.0.1"]
addresses = ["10.0.0.2"]
[[devices]]
name = "a"
mac = "00:00:5e:00:53:01"
rolle = "b"
[[devices.rules]]
name = "r"
peer = "any"
protocol = "udp"
ports = 1
application = { dicom = "X" }
"#,
        "
p:4:1: error: groups.g.adresses: unknown key `adresses`; did you mean `addresses`?
p:9:1: error: devices[0].rolle: unknown key `rolle`; did you mean `role`?
p:15:1: error: devices[0].rules[0].application: `application` is not supported by this version; take it out; it would not be enforced
",
    );
}

#[test]
fn wrong_values_do_not_hide_each_other() {
    check_toml(
        r#"version = 1
name = "x"
[groups.g]
addresses = ["10.0.0.1", "10.0.0.300", "10.0.0.1/24"]
[[devices]]
name = "a"
mac = "00:00:5e:00:53"
vlan = 5000
mode = "enforced"
[[devices.rules]]
name = "r"
peer = { grup = "g" }
protocol = "tpc"
ports = ["9-1", 70000]
[[devices]]
mac = 5
"#,
        r#"
p:4:26: error: groups.g.addresses[1]: `10.0.0.300` is neither an address (10.1.2.3, 2001:db8::1) nor a network (10.1.2.0/24)
p:4:40: error: groups.g.addresses[2]: `10.0.0.1/24` has bits set beyond its length; write 10.0.0.0/24
p:7:7: error: devices[0].mac: a MAC address is six hexadecimal bytes, such as 00:09:fb:12:34:56
p:8:8: error: devices[0].vlan: 5000 is no VLAN identifier; they end at 4094
p:9:8: error: devices[0].mode: `enforced` is none of observe, simulate, enforce, isolate, break-glass; did you mean `enforce`?
p:12:10: error: devices[0].rules[0].peer.grup: `grup` is none of any, broadcast, my-controller, same-manufacturer, address, group, role, device, dns, controller, manufacturer, model, multicast; did you mean `group`?
p:13:12: error: devices[0].rules[0].protocol: `tpc` is no protocol; write tcp, udp, sctp, icmp, icmpv6, any or a number up to 255
p:14:10: error: devices[0].rules[0].ports[0]: `9-1` ends before it begins; write 1-9
p:14:17: error: devices[0].rules[0].ports[1]: `70000` is neither a port (104) nor a range of ports ("5000-5010")
p:15:1: error: devices[1]: the key `name` is missing
p:16:7: error: devices[1].mac: expected a text, found a number
"#,
    );
}

#[test]
fn what_names_nothing_or_cannot_be_enforced_is_refused() {
    check_toml(
        r#"version = 1
name = "x"
[defaults]
unlisted_role = "pmup"
[groups.g]
addresses = "239.1.1.1"
[roles.pump]
[[roles.pump.rules]]
name = "a"
peer = { group = "h" }
protocol = "tcp"
ports = 21
refusal = "reset"
[[roles.pump.rules]]
name = "a"
peer = { multicast = "10.0.0.1" }
protocol = "udp"
ports = []
answer = { seconds = 0 }
[[roles.pump.rules]]
name = "b"
action = "deny"
direction = "to-device"
peer = "broadcast"
senders = { dns = "A.example." }
protocol = "tcp"
icmp = "redirect"
[[devices]]
name = "d"
mac = "00:00:5e:00:53:01"
role = "pump"
mode = "break-glass"
[[devices]]
name = "d"
mac = "00:00:5e:00:53:01"
[[visits]]
device = "e"
work_order = "1"
from = 2026-11-23T10:00:00Z
until = "2026-11-23T09:00:00Z"
rules = []
[[releases]]
reason = "r"
by = "me"
until = 2026-11-23T09:00:00Z
[island]
active = true
reason = "cut"
"#,
        r#"
p:4:17: error: defaults.unlisted_role: there is no role `pmup`; did you mean `pump`?
p:6:13: error: groups.g.addresses: 239.1.1.1 is no station but a group of receivers; write peer = "broadcast" or peer = { multicast = "…" }
p:10:18: error: roles.pump.rules[0].peer.group: there is no group `h`; define group `h`
p:12:9: warning: roles.pump.rules[0].ports: FTP (21) negotiates further ports: this rule allows the control connection only; data connections need rules of their own
p:13:11: error: roles.pump.rules[0].refusal: an allow rule refuses nothing; take it out, or write action = "deny"
p:15:8: error: roles.pump.rules[1].name: `a` is the name of two rules here; give each a name of its own
p:16:22: error: roles.pump.rules[1].peer.multicast: 10.0.0.1 is not multicast (224.0.0.0/4 or ff00::/8); write peer = { address = "…" }
p:18:1: error: roles.pump.rules[1].ports: a rule for no port never matches; name some, or take the key out for any port
p:19:22: error: roles.pump.rules[1].answer.seconds: an answer window is 1 to 300 seconds long; 5 is enough for most discovery protocols
p:22:10: error: roles.pump.rules[2].action: a group frame reaches every device of the VLAN or none: it cannot be denied for one; deny it in baseline.rules, or do not allow it for the others
p:25:1: error: roles.pump.rules[2].senders: this cannot be enforced: a group frame belongs to no single device; name addresses, a group, a role or a device
p:25:19: error: roles.pump.rules[2].senders.dns: `A.example.` is no DNS name in lower case without the final dot; write `a.example`
p:26:12: error: roles.pump.rules[2].protocol: tcp is never sent to a group; group frames carry udp, icmp or igmp (2)
p:27:8: error: roles.pump.rules[2].icmp: `redirect` is no ICMP message; write a name, a type (8) or type/code ("3/4")
p:32:8: error: devices[0].mode: break-glass has an end and is no lasting mode; write a [[releases]] entry with until, reason and by
p:34:8: error: devices[1].name: `d` is the name of devices[0] as well; give each device a name of its own
p:35:7: error: devices[1].mac: 00:00:5e:00:53:01 in VLAN untagged is device `d` as well; list a device once, with several assets
p:36:1: error: visits[0]: a visit without rules opens nothing; add [[visits.rules]]
p:37:10: error: visits[0].device: there is no device `e`; define device `e`
p:40:9: error: visits[0].until: the visit ends before it begins; let until follow from
p:42:1: error: releases[0]: a release is of one device, one VLAN or one ward; write exactly one of device, vlan and ward
p:46:2: error: island: an active island needs an end: `until` is missing; write until = an instant such as 2026-11-23T18:00:00+01:00
"#,
    );
}

#[test]
fn json_has_lines_as_well() {
    let text = r#"{
  "version": 1,
  "name": "x",
  "groups": { "g": { "addresses": ["10.0.0.1"] },
              "g": { "addresses": ["10.0.0.2"] } },
  "devices": [
    { "name": "a", "mac": "00:00:5e:00:53:01", "vlan": 3, "roel": "x", "mode": null },
    { "name": "b", "mac": "00:00:5e:00:53:02", "role": "y" }
  ]
}"#;
    check(
        text,
        Format::Json,
        "
p:4:13: error: groups: `g` is defined twice
p:7:59: error: devices[0].roel: unknown key `roel`; did you mean `role`?
",
    );
}

#[test]
fn text_that_is_no_document_is_refused_where_it_breaks() {
    check_toml(
        "version = 1\nname = \n[x",
        "
p:2:8: error: string values must be quoted, expected literal string
p:3:3: error: unclosed table, expected `]`
",
    );
    check(
        "{\"version\": 1,}",
        Format::Json,
        r#"
p:1:15: error: key must be a string
"#,
    );
    check(
        "[]",
        Format::Json,
        r#"
p:1:1: error: expected a table, found a list
"#,
    );
    check_toml(
        "",
        r#"
p:1:1: error: the key `version` is missing
"#,
    );
    let deep = format!("{{\"version\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    check(
        &deep,
        Format::Json,
        r#"
p:1:1: error: the document is nested too deeply
"#,
    );
}

const WHOLE: &str = r#"version = 1
name = "x"
defaults = { mode = "enforce", storm = { packets_per_s = 5 } }
groups.g = { addresses = ["10.0.0.1", "2001:db8::/32"], controller = "urn:x" }
[[roles.r.rules]]
name = "a"
peer = [{ group = "g" }, "any", { multicast = "239.0.0.1" }]
protocol = "udp"
ports = [1, "2-3"]
answer = { from = { dns = "a.example" }, seconds = 5 }
[[devices]]
name = "d"
mac = "02:00:00:00:00:01"
vlan = { outer = 1, inner = 2 }
role = "r"
since = 2026-11-23T10:00:00Z
[[baseline.ethertypes]]
name = "arp"
ethertype = 0x0806
from = "ward"
"#;

const MUD: &str = r#"{"ietf-mud:mud":{"mud-version":1,"mud-url":"https://a/b","from-device-policy":
{"access-lists":{"access-list":[{"name":"f"}]}}},"ietf-access-control-list:acls":{"acl":[{"name":"f",
"type":"ipv4-acl-type","aces":{"ace":[{"name":"x","matches":{"ipv4":{"protocol":6,
"ietf-acldns:dst-dnsname":"a.b"},"tcp":{"destination-port":{"operator":"neq","port":443}}},
"actions":{"forwarding":"accept"}}]}}]}}"#;

/// Puts pieces of the text, or something foreign, where they do not belong.
fn spoil(text: &str, cuts: &[(Index, Index, Index, u8)]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for (from, len, to, what) in cuts {
        let start = from.index(bytes.len());
        let end = (start + len.index(20)).min(bytes.len());
        let piece: Vec<u8> = match what % 4 {
            0 => Vec::new(),
            1 => bytes[start..end].repeat(2),
            2 => vec![*what],
            _ => {
                let other = to.index(bytes.len());
                bytes[other..(other + 8).min(bytes.len())].to_vec()
            }
        };
        bytes.splice(start..end, piece);
        if bytes.is_empty() {
            bytes.push(b'x');
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Whatever stands in a file: it is a policy that compiles, or there is an error with a line
    /// of the file. Never a panic.
    #[test]
    fn spoilt_text_is_refused_with_a_line_or_compiles(
        cuts in proptest::collection::vec(any::<(Index, Index, Index, u8)>(), 1..4),
        json in any::<bool>(),
    ) {
        let (whole, format) = match json {
            false => (WHOLE.to_owned(), Format::Toml),
            true => {
                let (document, _) = parse(WHOLE, Format::Toml, "x").expect("it is right");
                (serde_json::to_string_pretty(&document).expect("JSON"), Format::Json)
            }
        };
        let text = spoil(&whole, &cuts);
        match parse(&text, format, "x") {
            Ok((document, _)) => prop_assert!(compile(&document, 0).is_ok()),
            Err(errors) => {
                prop_assert!(!errors.0.is_empty());
                for error in &errors.0 {
                    let line = error.position.map_or(0, |position| position.line);
                    let lines = text.split('\n').count() as u32;
                    prop_assert!(1 <= line && line <= lines, "{} of {} lines", error, lines);
                }
            }
        }
        let _ = import(&spoil(MUD, &cuts), "x");
    }
}
