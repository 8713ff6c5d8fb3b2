//! `wardline classify`: what it says of devices, of captures without any, and of broken ones.

use std::path::Path;

use serde_json::Value;

use crate::frames::{
    ACK, CT, EVERYONE, PACS, PSH, PUMP, Station, arp_request, capture, handshake, tcp_with, udp,
};
use crate::{Run, folder, text, wardline};

const THING: Station = Station {
    mac: [0x94, 0x10, 0x3e, 0, 0, 9],
    ip: [10, 1, 2, 9],
};
const GROUP: Station = Station::to([0x01, 0x00, 0x5e, 0x7f, 0xff, 0xfa], [239, 255, 255, 250]);

fn devices(run: &Run) -> Vec<Value> {
    let lines = run.out.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn of(devices: &[Value], station: Station) -> &Value {
    let [a, b, c, d, e, f] = station.mac;
    let mac = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
    let found = devices.iter().find(|device| device["mac"] == mac.as_str());
    found.unwrap_or_else(|| panic!("{mac} is missing in {devices:?}"))
}

/// Frames a millisecond apart.
fn record(path: &Path, frames: &[Vec<u8>]) {
    let frames = frames.iter().zip(0..);
    capture(path, frames.map(|(frame, ms)| (ms, frame.as_slice())));
}

/// A thing that announces itself as a plug of Belkin.
fn announcement() -> Vec<u8> {
    let text = b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNTS: ssdp:alive\r\n\
        SERVER: Unspecified, UPnP/1.0, Unspecified\r\nNT: urn:Belkin:device:controllee:1\r\n\
        USN: uuid:Socket-1_0-221519K1100F55::urn:Belkin:device:controllee:1\r\n\r\n";
    udp(THING, GROUP, (1900, 1900), text)
}

/// A DICOM association in which a scanner sends CT images to an archive.
fn association() -> Vec<Vec<u8>> {
    let mut frames = handshake(CT, PACS, (50_000, 104)).to_vec();
    let request = dicom(1, b"CT1", (0x20, &[(0x30, CT_STORAGE), (0x40, IMPLICIT)]));
    let accept = dicom(2, b"CT1", (0x21, &[(0x40, IMPLICIT)]));
    frames.push(tcp_with(
        CT,
        PACS,
        (50_000, 104),
        ACK | PSH,
        (1_001, 9_001),
        &request,
    ));
    let answered = 1_001 + u32::try_from(request.len()).expect("short");
    frames.push(tcp_with(
        PACS,
        CT,
        (104, 50_000),
        ACK | PSH,
        (9_001, answered),
        &accept,
    ));
    frames
}

const CT_STORAGE: &[u8] = b"1.2.840.10008.5.1.4.1.1.2";
const IMPLICIT: &[u8] = b"1.2.840.10008.1.2";

/// An item of an associate message: type, length, content (PS3.8, 9.3).
fn item(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("short").to_be_bytes();
    [&[kind, 0][..], &length, content].concat()
}

/// A presentation context: kind of its item, and its syntaxes with the kinds of theirs.
type Context<'a> = (u8, &'a [(u8, &'a [u8])]);

/// An associate message that speaks of one presentation context.
fn dicom(kind: u8, calling: &[u8], (context, syntaxes): Context<'_>) -> Vec<u8> {
    let mut body = vec![0, 1, 0, 0];
    for title in [&b"PACS"[..], calling] {
        let mut padded = title.to_vec();
        padded.resize(16, b' ');
        body.extend(padded);
    }
    body.extend([0; 32]);
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    let mut content = vec![1, 0, 0, 0];
    for (kind, syntax) in syntaxes {
        content.extend(item(*kind, syntax));
    }
    body.extend(item(context, &content));
    let maximum = item(0x51, &[0, 0, 0x40, 0]);
    body.extend(item(0x50, &maximum));
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    [&[kind, 0][..], &length, &body].concat()
}

#[test]
fn devices_are_named_with_their_reasons() {
    let folder = folder();
    let path = folder.path().join("ward.pcapng");
    let mut frames = association();
    frames.push(announcement());
    frames.push(arp_request(PUMP, CT.ip));
    record(&path, &frames);

    let run = wardline(["classify", "--json", text(&path)]);
    assert_eq!(run.code, 0, "{}", run.err);
    let devices = devices(&run);
    assert_eq!(devices.len(), 4);

    let plug = of(&devices, THING);
    assert_eq!(plug["role"], "plug");
    assert_eq!(plug["roles"], serde_json::json!(["plug"]));
    assert_eq!(plug["may_enforce"], true);
    assert_eq!(plug["addresses"], serde_json::json!(["10.1.2.9"]));
    assert_eq!(plug["vendor"], "Belkin");
    assert_eq!(plug["vendor_by"], "registry");
    assert_eq!(plug["serial"], "221519K1100F55");
    let first = &plug["evidence"][0];
    assert_eq!(first["source"], "ssdp");
    assert_eq!(first["strength"], "strong");
    assert_eq!(first["time"], "2026-11-23T08:00:00.005000000Z");
    assert!(
        first["sentence"]
            .as_str()
            .unwrap()
            .contains("Announces itself as")
    );

    let scanner = of(&devices, CT);
    assert_eq!(scanner["role"], "imaging-modality", "{scanner}");
    let sentence = scanner["evidence"][0]["sentence"].as_str().unwrap();
    assert_eq!(sentence, "Sends DICOM images (CT Image Storage)");

    let archive = of(&devices, PACS);
    let roles = archive["roles"].as_array().unwrap();
    assert!(roles.contains(&"pacs".into()), "{archive}");

    let silent = of(&devices, PUMP);
    assert_eq!(silent["role"], "unknown");
    assert_eq!(silent["may_enforce"], false);
    assert!(!silent["would_change"].as_array().unwrap().is_empty());

    let people = wardline(["classify", text(&path)]);
    assert_eq!(people.code, 0);
    assert!(people.out.contains("imaging modality"), "{}", people.out);
    assert!(people.out.contains("Sends DICOM images"), "{}", people.out);
    assert!(people.out.contains("unknown"), "{}", people.out);
}

#[test]
fn a_device_in_several_captures_is_one_and_each_alone_is_many() {
    let folder = folder();
    let paths = ["a.pcapng", "b.pcapng"].map(|name| folder.path().join(name));
    record(&paths[0], &[announcement()]);
    record(&paths[1], &[arp_request(THING, CT.ip)]);
    let [a, b] = [text(&paths[0]), text(&paths[1])];

    let together = devices(&wardline(["classify", "--json", b, a]));
    assert_eq!(together.len(), 1);
    assert_eq!(together[0]["role"], "plug");
    assert_eq!(together[0]["capture"], Value::Null);

    let each = devices(&wardline(["classify", "--json", "--each", a, b]));
    assert_eq!(each.len(), 2);
    assert_eq!(
        (&each[0]["role"], &each[1]["role"]),
        (&"plug".into(), &"unknown".into())
    );
    assert_eq!(each[1]["capture"], b);
}

#[test]
fn a_capture_without_devices_says_so() {
    let folder = folder();
    let path = folder.path().join("empty.pcapng");
    let from_a_group = udp(EVERYONE, CT, (1, 2), b"");
    for frames in [vec![], vec![from_a_group]] {
        record(&path, &frames);
        let run = wardline(["classify", "--json", text(&path)]);
        assert_eq!((run.code, run.out.as_str()), (1, ""));
        assert!(run.err.contains("no device is in"), "{}", run.err);
        assert!(run.err.contains("empty.pcapng"), "{}", run.err);
    }
}

#[test]
fn a_broken_capture_tells_where_and_what_could_be_read_is_answered() {
    let folder = folder();
    let path = folder.path().join("cut.pcapng");
    record(&path, &[announcement(), announcement()]);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 40]).unwrap();
    let run = wardline(["classify", "--json", text(&path)]);
    assert_eq!(run.code, 2);
    assert_eq!(devices(&run)[0]["role"], "plug");
    assert!(run.err.contains("cut.pcapng"), "{}", run.err);
    assert!(run.err.contains("byte"), "{}", run.err);
}

#[test]
fn a_model_that_is_refused_is_said_to_be_and_the_answer_comes_without_it() {
    let folder = folder();
    let path = folder.path().join("plug.pcapng");
    record(&path, &[announcement()]);
    let run = wardline([
        "classify",
        "--json",
        text(&path),
        "--model",
        text(folder.path()),
    ]);
    assert_eq!(run.code, 0);
    assert!(run.err.contains("is not used"), "{}", run.err);
    assert_eq!(devices(&run)[0]["role"], "plug");
}
