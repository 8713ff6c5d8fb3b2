//! Replays with known results: `tests/cases/NAME/policy.toml` on frames made here gives
//! `tests/cases/NAME/expected.json`, packet for packet. `WARDLINE_BLESS=1` writes what came out
//! instead, for a person to read and commit.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::frames::*;
use crate::{Run, folder, text, wardline, write};

/// A replay's packets and its summary.
fn records(run: &Run) -> (Vec<Value>, Value) {
    let mut lines: Vec<Value> = run
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    let summary = lines.pop().expect("a summary");
    assert_eq!(summary["type"], "summary");
    assert!(lines.iter().all(|line| line["type"] == "packet"));
    (lines, summary)
}

/// What a person compares: nothing that follows from the frames themselves.
fn essence(packet: &Value) -> Value {
    json!({
        "side": packet["side"],
        "device": packet["device"]["name"],
        "verdict": packet["verdict"],
        "reason": packet["reason"],
        "rule": packet["rule"],
    })
}

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(name)
}

fn check(name: &str, args: &[&str], frames: &[(u64, Vec<u8>)]) -> (Vec<Value>, Value) {
    let folder = folder();
    let input = capture(
        &folder.path().join("input.pcapng"),
        frames.iter().map(|(ms, frame)| (*ms, &frame[..])),
    );
    let policy = case(name).join("policy.toml");
    let fixed = ["replay", "--json", "--policy", text(&policy)];
    let input = text(&input);
    let run = wardline(fixed.iter().chain(args).chain([&input]));
    assert_eq!(run.code, 0, "{}", run.err);
    let (packets, summary) = records(&run);
    assert_eq!(packets.len(), frames.len());
    agree(name, &packets);
    adds_up(&packets, &summary);
    (packets, summary)
}

fn agree(name: &str, packets: &[Value]) {
    let got: Vec<Value> = packets.iter().map(essence).collect();
    let path = case(name).join("expected.json");
    if std::env::var_os("WARDLINE_BLESS").is_some() {
        let lines: Vec<_> = got.iter().map(|packet| format!("  {packet}")).collect();
        write(&path, format!("[\n{}\n]\n", lines.join(",\n")));
        return;
    }
    let text = std::fs::read_to_string(&path).expect("expected.json beside the policy");
    let expected: Vec<Value> = serde_json::from_str(&text).expect("expected.json is JSON");
    assert_eq!(got.len(), expected.len(), "{name}: number of packets");
    for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
        assert_eq!(got, expected, "{name}: packet {}", i + 1);
    }
}

/// The summary counts what the packets say.
fn adds_up(packets: &[Value], summary: &Value) {
    assert_eq!(summary["packets"], packets.len());
    for (field, key) in [("verdict", "verdicts"), ("reason", "reasons")] {
        for (word, count) in summary[key].as_object().expect("an object") {
            let counted = packets.iter().filter(|p| p[field] == word.as_str());
            assert_eq!(
                counted.count() as u64,
                count.as_u64().expect("a count"),
                "{word}"
            );
        }
    }
}

/// Frames a millisecond apart.
fn in_order(frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<(u64, Vec<u8>)> {
    (0..).zip(frames).collect()
}

#[test]
fn dicom_from_a_role() {
    let store = (40_000, 104);
    let mut frames = handshake(CT, PACS, store).to_vec();
    frames.push(tcp_with(
        CT,
        PACS,
        store,
        ACK | PSH,
        (1_001, 9_001),
        b"A-ASSOCIATE-RQ",
    ));
    // Another PACS that nobody named, and the PACS that calls back without a rule for it.
    frames.push(tcp(CT, SHARE, (40_001, 104), SYN, (1, 0)));
    frames.push(tcp(PACS, CT, (50_000, 104), SYN, (1, 0)));
    let (packets, summary) = check("dicom-from-a-role", &[], &in_order(frames));
    assert_eq!(packets[0]["flow"]["destination"], "10.1.0.10");
    assert_eq!(packets[0]["flow"]["destination_port"], 104);
    assert_eq!(packets[0]["time"], "2026-11-23T08:00:00.000000000Z");
    assert_eq!(summary["devices"][0]["name"], "ct-1");
    assert_eq!(summary["devices"][0]["dropped"]["no-rule"], 2);
    assert_eq!(summary["flows"]["begun"], 1);
}

#[test]
fn lateral_smb_from_a_pump() {
    let smb = |sequence| tcp(PUMP, SHARE, (40_000, 445), SYN, (sequence, 0));
    let rdp = tcp(PUMP, CT, (40_001, 3389), SYN, (1, 0));
    check("lateral-smb", &[], &in_order([smb(1), smb(1), rdp]));
}

#[test]
fn simulation_forwards_and_tells() {
    let smb = tcp(PUMP, SHARE, (40_000, 445), SYN, (1, 0));
    let hl7 = handshake(PUMP, CENTRAL, (40_001, 2575));
    let frames = in_order([smb].into_iter().chain(hl7));
    let (_, summary) = check("simulation", &[], &frames);
    assert_eq!(summary["devices"][0]["would_drop"]["no-rule"], 1);
    // The same policy under enforcement is another case.
    let enforced = check_mode("simulation", "enforce", &frames);
    assert_eq!(
        enforced["verdicts"],
        json!({"forward": 3, "would-drop": 0, "drop": 1})
    );
    let observed = check_mode("simulation", "observe", &frames);
    assert_eq!(observed["verdicts"]["drop"], 0);
}

fn check_mode(name: &str, mode: &str, frames: &[(u64, Vec<u8>)]) -> Value {
    let folder = folder();
    let frames = frames.iter().map(|(ms, frame)| (*ms, &frame[..]));
    let input = capture(&folder.path().join("input.pcapng"), frames);
    let policy = case(name).join("policy.toml");
    let run = wardline([
        "replay",
        "--json",
        "--mode",
        mode,
        "--policy",
        text(&policy),
        text(&input),
    ]);
    assert_eq!(run.code, 0, "{}", run.err);
    records(&run).1
}

#[test]
fn spoofed_addresses() {
    let store = (40_000, 104);
    let mut frames = vec![arp_request(CT, PACS.ip)];
    frames.extend(handshake(CT, PACS, store));
    // The pump's hardware address in the scanner's connection.
    let impostor = Station::to(PUMP.mac, CT.ip);
    frames.push(tcp(impostor, PACS, store, RST, (1_001, 0)));
    // A new conversation under the scanner's address.
    frames.push(tcp(impostor, PACS, (41_000, 104), SYN, (1, 0)));
    // The pump says that it is the scanner.
    frames.push(arp_reply(PUMP, CT.ip, PACS));
    // The scanner goes on undisturbed.
    frames.push(tcp_with(
        CT,
        PACS,
        store,
        ACK | PSH,
        (1_001, 9_001),
        b"still me",
    ));
    check("spoofed-addresses", &[], &in_order(frames));
}

#[test]
fn overlapping_fragments() {
    let first = fragment(
        PUMP,
        CENTRAL,
        7,
        0,
        true,
        &udp_head((40_000, 5_000), 64, 24),
    );
    let second = fragment(PUMP, CENTRAL, 7, 4, false, &[0xaa; 40]);
    let whole = [first.clone(), second];
    // The second of these lies over the first, ports and all.
    let overlapping = [
        fragment(
            PUMP,
            CENTRAL,
            8,
            0,
            true,
            &udp_head((40_000, 5_000), 64, 24),
        ),
        fragment(PUMP, CENTRAL, 8, 1, true, &[0xbb; 24]),
        fragment(PUMP, CENTRAL, 8, 4, false, &[0xbb; 40]),
    ];
    // Nobody saw the beginning of this one.
    let orphan = fragment(PUMP, CENTRAL, 9, 4, false, &[0xcc; 40]);
    let frames = whole.into_iter().chain(overlapping).chain([orphan]);
    check("overlapping-fragments", &[], &in_order(frames));
}

#[test]
fn ws_discovery_is_answered_within_its_window() {
    let probe = udp(MONITOR, WS_DISCOVERY, (40_000, 3_702), b"Probe");
    let answer = udp(CENTRAL, MONITOR, (3_702, 40_000), b"ProbeMatch");
    let stranger = udp(SHARE, MONITOR, (3_702, 40_000), b"ProbeMatch");
    let other_port = udp(CENTRAL, MONITOR, (3_702, 40_001), b"ProbeMatch");
    let frames = [
        (0, answer.clone()),
        (10, probe),
        (500, answer.clone()),
        (600, stranger),
        (700, other_port),
        (200_000, answer),
    ];
    check("ws-discovery", &[], &frames);
}

#[test]
fn dhcp_and_a_rogue_server() {
    let nobody = Station::to(PUMP.mac, [0, 0, 0, 0]);
    let ports = (68, 67);
    let back = (67, 68);
    let frames = [
        udp(nobody, EVERYONE, ports, &dhcp(PUMP, 1, [0; 4])),
        udp(CENTRAL, PUMP, back, &dhcp(PUMP, 2, PUMP.ip)),
        udp(nobody, EVERYONE, ports, &dhcp(PUMP, 3, [0; 4])),
        udp(CENTRAL, PUMP, back, &dhcp(PUMP, 5, PUMP.ip)),
        // A device that plays server.
        udp(CT, EVERYONE, back, &dhcp(PUMP, 2, [10, 1, 2, 99])),
    ];
    let (_, summary) = check("dhcp", &[], &in_order(frames));
    let devices = summary["devices"].as_array().expect("a list");
    let pump = devices
        .iter()
        .find(|d| d["name"] == "pump-2")
        .expect("the pump");
    assert_eq!(pump["dhcp"]["hostname"], "pump-2");
    assert_eq!(pump["addresses"], json!(["10.1.2.2"]));
}

#[test]
fn vlans_keep_devices_apart() {
    let ports = (40_000, 5_000);
    let plain = udp(PUMP, CENTRAL, ports, b"x");
    let frames = [
        udp_in_vlans(&[10], PUMP, CENTRAL, ports, b"x"),
        udp_in_vlans(&[10], CENTRAL, PUMP, (5_000, 40_000), b"y"),
        // The same address elsewhere is another device; untagged likewise.
        udp_in_vlans(&[20], PUMP, CENTRAL, ports, b"x"),
        plain.clone(),
        // Hopping.
        udp_in_vlans(&[10, 20], PUMP, CENTRAL, ports, b"x"),
        tagged(&tagged(&tagged(&plain, 30), 20), 10),
    ];
    let (packets, _) = check("vlans", &[], &in_order(frames));
    assert_eq!(packets[0]["device"]["vlan"]["outer"], 10);
}

#[test]
fn a_vendor_visit_ends_in_the_capture() {
    let ssh = (50_000, 22);
    let vendor = SHARE;
    let mut frames: Vec<_> = handshake(vendor, CT, ssh).map(|frame| (0, frame)).to_vec();
    let more = tcp_with(vendor, CT, ssh, ACK | PSH, (1_001, 9_001), b"ls\n");
    // The visit ends ten minutes after the capture begins.
    frames.push((599_000, more.clone()));
    frames.push((601_000, more));
    frames.push((602_000, tcp(vendor, CT, (50_001, 22), SYN, (1, 0))));
    check("vendor-visit", &[], &frames);
}

#[test]
fn what_is_neither_ip_nor_arp() {
    let bridges = Station::to([0x01, 0x80, 0xc2, 0, 0, 0x0e], [0; 4]);
    let pause = Station::to([0x01, 0x80, 0xc2, 0, 0, 0x01], [0; 4]);
    let frames = [
        odd(CT, bridges, 0x88cc),
        odd(CT, EVERYONE, 0x8137),
        odd(CT, pause, 0x8808),
        vec![0xff; 9],
    ];
    check("frames-that-are-not-ip", &[], &in_order(frames));
}

#[test]
fn a_connection_older_than_the_capture() {
    let store = (40_000, 104);
    let data = tcp_with(CT, PACS, store, ACK | PSH, (5_000, 6_000), b"P-DATA-TF");
    let smb = tcp_with(CT, SHARE, (40_001, 445), ACK | PSH, (5_000, 6_000), b"SMB");
    let late = tcp_with(
        CT,
        PACS,
        (40_002, 104),
        ACK | PSH,
        (5_000, 6_000),
        b"P-DATA-TF",
    );
    // Five minutes after the beginning such a connection is no longer believed.
    check("midstream", &[], &[(0, data), (1, smb), (400_000, late)]);
}

#[test]
fn sides_by_list_put_unlisted_broadcast_on_the_core_side() {
    let frames = in_order([arp_request(SHARE, CT.ip), arp_request(CT, SHARE.ip)]);
    let (packets, summary) = check(
        "sides-by-list",
        &["--ward-macs", "00:09:fb:00:00:01"],
        &frames,
    );
    assert_eq!(
        (&packets[0]["side"], &packets[1]["side"]),
        (&json!("core"), &json!("ward"))
    );
    assert_eq!(summary["sides"], "ward-macs");
}

#[test]
fn both_sides_of_the_box_are_one_story() {
    let folder = folder();
    let store = (40_000, 104);
    let [syn, syn_ack, ack] = handshake(CT, PACS, store);
    let smb = tcp(CT, SHARE, (40_001, 445), SYN, (1, 0));
    // What crosses shows on both sides a little later; the SMB attempt never came out.
    let ward = [(0, &syn), (21, &syn_ack), (30, &ack), (40, &smb)];
    let core = [(1, &syn), (20, &syn_ack), (31, &ack)];
    let file = |name: &str, frames: &[(u64, &Vec<u8>)]| {
        let frames = frames.iter().map(|(ms, frame)| (*ms, &frame[..]));
        capture(&folder.path().join(name), frames)
    };
    let (ward, core) = (file("ward.pcapng", &ward), file("core.pcapng", &core));
    let policy = case("dicom-from-a-role").join("policy.toml");
    let run = wardline([
        "replay",
        "--json",
        "--policy",
        text(&policy),
        "--ward",
        text(&ward),
        "--core",
        text(&core),
    ]);
    assert_eq!(run.code, 0, "{}", run.err);
    let (packets, summary) = records(&run);
    agree("both-sides", &packets);
    assert_eq!(summary["crossings"], 3);
    assert_eq!(summary["sides"], "captures");
}

#[test]
fn packets_are_written_out_by_their_verdict() {
    let folder = folder();
    let store = handshake(CT, PACS, (40_000, 104));
    let smb = tcp(CT, SHARE, (40_001, 445), SYN, (1, 0));
    let all = [&store[0], &smb, &store[1], &store[2]];
    let frames = (0..).zip(all).map(|(ms, frame)| (ms, &frame[..]));
    let input = capture(&folder.path().join("input.pcapng"), frames);
    let (forwarded, dropped) = (
        folder.path().join("f.pcapng"),
        folder.path().join("d.pcapng"),
    );
    let policy = case("dicom-from-a-role").join("policy.toml");
    let run = wardline([
        "replay",
        "--policy",
        text(&policy),
        "--write-forwarded",
        text(&forwarded),
        "--write-dropped",
        text(&dropped),
        text(&input),
    ]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.contains("Let through: 3."), "{}", run.out);
    let frames = |path: &Path| {
        let mut reader = wardline_capture::Reader::open(path).unwrap();
        let mut frames = Vec::new();
        while let Some(packet) = reader.next_packet().unwrap() {
            frames.push((packet.interface, packet.data.to_vec()));
        }
        frames
    };
    let [a, b, c] = store;
    assert_eq!(frames(&forwarded), [(0, a), (1, b), (0, c)]);
    assert_eq!(frames(&dropped), [(0, smb)]);
    let bytes = std::fs::read(&dropped).unwrap();
    let comment = b"drop: no-rule";
    assert!(bytes.windows(comment.len()).any(|w| w == comment));
}

#[test]
fn a_mud_file_is_a_policy_for_one_device() {
    let folder = folder();
    let mud = json!({
        "ietf-mud:mud": {
            "mud-version": 1,
            "mud-url": "https://pumps.example.com/model-1",
            "last-update": "2026-01-01T00:00:00Z",
            "cache-validity": 48,
            "is-supported": true,
            "from-device-policy": { "access-lists": { "access-list": [{ "name": "out" }] } },
            "to-device-policy": { "access-lists": { "access-list": [{ "name": "in" }] } }
        },
        "ietf-access-control-list:acls": { "acl": [
            { "name": "out", "type": "ipv4-acl-type", "aces": { "ace": [{
                "name": "report-out",
                "matches": {
                    "ipv4": { "destination-ipv4-network": "10.1.0.20/32", "protocol": 6 },
                    "tcp": {
                        "destination-port": { "operator": "eq", "port": 2575 },
                        "ietf-mud:direction-initiated": "from-device"
                    }
                },
                "actions": { "forwarding": "accept" }
            }] } },
            { "name": "in", "type": "ipv4-acl-type", "aces": { "ace": [{
                "name": "report-in",
                "matches": {
                    "ipv4": { "source-ipv4-network": "10.1.0.20/32", "protocol": 6 },
                    "tcp": {
                        "source-port": { "operator": "eq", "port": 2575 },
                        "ietf-mud:direction-initiated": "from-device"
                    }
                },
                "actions": { "forwarding": "accept" }
            }] } }
        ] }
    });
    let mud = write(&folder.path().join("pump.json"), mud.to_string());
    let hl7 = handshake(PUMP, CENTRAL, (40_000, 2575));
    let smb = tcp(PUMP, SHARE, (40_001, 445), SYN, (1, 0));
    let frames = (0..).zip(hl7.iter().chain([&smb]));
    let input = capture(
        &folder.path().join("input.pcapng"),
        frames.map(|(ms, frame)| (ms, &frame[..])),
    );
    let given = format!("00:03:b1:00:00:02={}", text(&mud));
    let run = wardline(["replay", "--json", "--mud", &given, text(&input)]);
    assert_eq!(run.code, 0, "{}", run.err);
    let (packets, summary) = records(&run);
    agree("mud", &packets);
    assert_eq!(summary["sides"], "policy");

    let broken = write(&folder.path().join("broken.json"), "{}");
    let given = format!("00:03:b1:00:00:02={}", text(&broken));
    let run = wardline(["replay", "--mud", &given, text(&input)]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("broken.json"), "{}", run.err);
}

#[test]
fn without_a_policy_it_says_what_is_there() {
    let folder = folder();
    let store = handshake(CT, PACS, (40_000, 104));
    let more = [
        arp_request(CT, PACS.ip),
        udp(PUMP, CENTRAL, (40_000, 123), b"time"),
    ];
    let frames = (0..)
        .zip(store.iter().chain(&more))
        .map(|(ms, frame)| (ms, &frame[..]));
    let input = capture(&folder.path().join("input.pcapng"), frames);
    let run = wardline(["replay", text(&input)]);
    assert_eq!(run.code, 0, "{}", run.err);
    for text in [
        "5 packets",
        "guessed",
        "Devices: 2",
        "00:09:fb:00:00:01",
        "tcp 104 (dicom)",
        "udp 123 (ntp)",
        "arp",
        "Protocols:",
    ] {
        assert!(
            run.out.contains(text),
            "{text:?} is missing in\n{}",
            run.out
        );
    }
    let run = wardline(["replay", "--json", text(&input)]);
    let (packets, summary) = records(&run);
    assert!(packets.iter().all(|p| p["verdict"] == "forward"));
    assert_eq!(summary["conversations"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_truncated_capture_is_judged_as_far_as_it_goes() {
    let folder = folder();
    let syn = tcp(CT, PACS, (40_000, 104), SYN, (1, 0));
    let input = capture(
        &folder.path().join("input.pcapng"),
        [(0, &syn[..]), (1, &syn[..])],
    );
    let whole = std::fs::read(&input).unwrap();
    write(&input, &whole[..whole.len() - 10]);
    let run = wardline(["replay", "--json", text(&input)]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("at byte"), "{}", run.err);
    let (packets, summary) = records(&run);
    assert_eq!(packets.len(), 1);
    assert!(
        summary["captures"][0]["error"]
            .as_str()
            .unwrap()
            .contains("ends inside")
    );
}

#[test]
fn time_that_jumps_back_is_taken_in_stride() {
    let folder = folder();
    let store = (40_000, 104);
    let [syn, syn_ack, ack] = handshake(CT, PACS, store);
    let frames = [(900_000, &syn[..]), (900_001, &syn_ack), (3, &ack)];
    let input = capture(&folder.path().join("input.pcapng"), frames);
    let policy = case("dicom-from-a-role").join("policy.toml");
    let run = wardline(["replay", "--json", "--policy", text(&policy), text(&input)]);
    assert_eq!(run.code, 0, "{}", run.err);
    let (packets, summary) = records(&run);
    assert!(
        packets.iter().all(|p| p["verdict"] == "forward"),
        "{packets:?}"
    );
    assert_eq!(summary["backwards"], 1);
    assert_eq!(packets[2]["time"], "2026-11-23T08:00:00.003000000Z");
}
