//! What the reader finds in real captures. They stand outside the repository; not everyone has
//! them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use wardline_capture::Reader as Capture;
use wardline_classifier::About;
use wardline_classifier::evidence::{Limits, Reader, Seen};

fn folder(name: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = here.ancestors().skip(1).take(2).find_map(|root| {
        let candidate = root.join("../shared/captures").join(name);
        candidate.is_dir().then_some(candidate)
    });
    if found.is_none() {
        eprintln!("SKIPPED: no captures at ../shared/captures/{name} beside the repository");
    }
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path
            .extension()
            .is_some_and(|e| e == "pcap" || e == "pcapng")
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Everything said in a capture, as `MAC field value`; `None` when it is not of Ethernet.
fn facts(path: &Path) -> Option<BTreeSet<String>> {
    let mut capture = Capture::open(path).ok()?;
    let mut reader = Reader::new(Limits::default());
    let mut told = BTreeSet::new();
    while let Ok(Some(packet)) = capture.next_packet() {
        let Ok(meta) = wardline_engine::parse::parse(packet.data) else {
            continue;
        };
        reader.read(packet.data, &meta, packet.time_ns, &mut |seen| {
            if let Seen::Fact(observed) = seen {
                let mac = match observed.about {
                    About::Sender => meta.source_mac,
                    About::Receiver => meta.destination_mac,
                };
                told.insert(format!(
                    "{mac} {} {}",
                    observed.fact.field, observed.fact.value
                ));
            }
        });
    }
    Some(told)
}

fn assert_told(folder: &Path, expected: &[(&str, &[&str])]) {
    for (file, lines) in expected {
        let told = facts(&folder.join(file)).unwrap_or_default();
        for line in *lines {
            let found = told.iter().any(|said| said.ends_with(line));
            assert!(found, "{file} does not say `{line}` but {told:#?}");
        }
    }
}

/// Of the device itself, not of the phone it is set up with.
fn assert_devices_tell(folder: &Path, expected: &[(&str, &[&str])]) {
    let list = fs::read_to_string(folder.join("devices.json")).expect("a list of devices");
    let list: serde_json::Value = serde_json::from_str(&list).expect("a list in JSON");
    for (device, lines) in expected {
        let mac = list[device]["mac"].as_str().expect("a MAC address");
        let told: BTreeSet<String> = files(&folder.join(device))
            .iter()
            .filter_map(|path| facts(path))
            .flatten()
            .filter(|said| said.starts_with(mac))
            .collect();
        for line in *lines {
            let found = told.iter().any(|said| said.ends_with(line));
            assert!(found, "{device} does not say `{line}` but {told:#?}");
        }
    }
}

#[test]
fn exchanges_of_each_protocol_are_recognised() {
    let Some(folder) = folder("protocols") else {
        return;
    };
    assert_told(
        &folder,
        &[
            (
                "tapirx/testdata_HL7-ORU.pcap",
                &[
                    "protocol.client hl7",
                    "hl7.sending-application SendingApp",
                    "hl7.sends ORU^R01",
                    "hl7.receives ORU^R01",
                ],
            ),
            (
                "suricata-verify/mqtt311-pub-userpass_input.pcap",
                &["protocol.client mqtt", "protocol.server mqtt"],
            ),
            ("zeek/modbus_modbus-eit.pcap", &["protocol.server modbus"]),
            (
                "zeek/sip_wireshark.pcap",
                &["sip.agent Nero SIPPS IP Phone Version 2.0.51.16"],
            ),
            (
                "tcpdump/LLDP_and_CDP.pcap",
                &[
                    "lldp.system-name S1.cisco.com",
                    "lldp.capabilities bridge",
                    "cdp.platform cisco WS-C3560G-24PS",
                    "cdp.capabilities switch,igmp",
                ],
            ),
            (
                "zeek/krb_auth.pcap",
                &["protocol.client kerberos", "protocol.server kerberos"],
            ),
            (
                "zeek/ldap_aduser1.pcap",
                &["protocol.client ldap", "protocol.server ldap"],
            ),
            (
                "zeek/rdp_rdp-no-cookie-mstshash.pcap",
                &["protocol.client rdp", "protocol.server rdp"],
            ),
            (
                "zeek/ftp_retr.pcap",
                &["protocol.server ftp", "mod_ftp/0.9.6) ready."],
            ),
            (
                "suricata-verify/rfb-partial-tx_in.pcap",
                &["protocol.server vnc"],
            ),
            ("zeek/ntp_NTP_sync.pcap", &["protocol.client ntp"]),
            ("tcpdump/tftp.pcap", &["protocol.client tftp"]),
            (
                "zeek/mount_mount-unmount.pcap",
                &["protocol.client onc-rpc", "protocol.client mount"],
            ),
        ],
    );
}

#[test]
fn things_say_what_every_network_hears() {
    let Some(folder) = folder("devices") else {
        return;
    };
    assert_devices_tell(
        &folder,
        &[
            (
                "Aria",
                &["dns.query www.fitbit.com", "http.path /scale/upload"],
            ),
            (
                "D-LinkCam",
                &[
                    "dhcp.hostname DCS-935L",
                    "dhcp.vendor-class udhcp 1.22.1",
                    "mdns.name DCS-935L-B0C554255B0E",
                    "mdns.service _dhnap._tcp",
                    "ssdp.type urn:schemas-upnp-org:device:DCS-935L:1",
                    "ssdp.server Linux,    UPnP/1.0 DCS-935L/1.0",
                    "protocol.client tls",
                ],
            ),
            (
                "D-LinkSensor",
                &[
                    "mdns.name D-Link DCH-S150 Configuration Utility",
                    "tls.ja3 03219efe210c7d362ae83b2f96a1e6a4",
                    "http.user-agent Wget",
                ],
            ),
            (
                "EdimaxCam1",
                &["vendor.discovery ssdp.location=/IPCamDesc.xml"],
            ),
            ("EdnetCam1", &["vendor.discovery tftp.file=/update.sh"]),
            ("EdnetGateway", &["dhcp.hostname HF-LPB100"]),
            (
                "HueBridge",
                &[
                    "mdns.text md=BSB002",
                    "mdns.text ci=2",
                    "ssdp.server Linux/3.14.0 UPnP/1.0 IpBridge/1.9.0",
                    "http.path /DcpRequestHandler/index.ashx",
                ],
            ),
            ("SmarterCoffee", &["dhcp.hostname ESP_07AEFB"]),
            (
                "TP-LinkPlugHS100",
                &[
                    "dhcp.hostname HS100(EU)",
                    "tls.ja3 cc847787e1803cc91adeecfc721d1fc9",
                ],
            ),
            (
                "WeMoInsightSwitch2",
                &[
                    "ssdp.type urn:Belkin:device:insight:1",
                    "tls.server-name insight.lswf.net",
                    "vendor.discovery stun.realm=belkin.org",
                ],
            ),
            (
                "Withings",
                &[
                    "dhcp.vendor-class Withings00",
                    "http.user-agent Withings UserAgent",
                ],
            ),
        ],
    );
}

#[test]
fn things_of_a_building_name_themselves() {
    let Some(folder) = folder("devices") else {
        return;
    };
    let expected: &[(&str, &[&str])] = &[
        (
            "D-LinkCam",
            &[
                "hnap.model=DCS-935L",
                "dlink.description=Wireless Internet Camera",
            ],
        ),
        (
            "D-LinkHomeHub",
            &[
                "hnap.model=DCH-G020",
                "hnap.description=D-Link ConnectedHome Gateway",
            ],
        ),
        (
            "EdimaxPlug1101W",
            &["edimax.model=SP-1101W", "edimax.type=SmartPlug"],
        ),
        (
            "EdimaxPlug2101W",
            &[
                "edimax.model=SP2101W",
                "edimax.product=EDIMAX#SP-2101W#1.0#1.03",
            ],
        ),
        (
            "EdnetGateway",
            &["hi-flying.module=joined", "icomen.cloud=client"],
        ),
        ("MAXGateway", &["protocol.server max", "max.firmware=0113"]),
        ("WeMoSwitch", &["wemo.relay=client"]),
    ];
    assert_devices_tell(&folder, expected);
}

/// Every capture there is, malformed ones among them: none stops the reader.
#[test]
fn no_capture_stops_the_reader() {
    let Some(folder) = folder("protocols") else {
        return;
    };
    let read = files(&folder).iter().filter_map(|path| facts(path)).count();
    assert!(read > 0, "an empty corpus proves nothing");
}
