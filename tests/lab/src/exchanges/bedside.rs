//! Pumps, monitors, ventilator, badges: what they tell the hospital and are told by it.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::exchange::{Exchange, act, seen, token};
use crate::layout::STATIC_V6;
use crate::services::devices::FTP_DATA_PORTS;
use crate::ward::{Ward, address_of};

/// The broker as the badge reaches it over IPv6.
const BROKER_V6: &str = STATIC_V6[1].1;

pub(super) const ALL: &[Exchange] = &[
    Exchange {
        name: "sdc-monitor",
        device: "mon1",
        rules: &["sdc-discovery", "sdc-control", "sdc-reports"],
        run: |ward| sdc(ward, "mon1", "7464"),
    },
    Exchange {
        name: "sdc-ventilator",
        device: "vent",
        rules: &["sdc-discovery", "sdc-control", "sdc-reports"],
        run: |ward| sdc(ward, "vent", "7465"),
    },
    Exchange {
        name: "pump-hl7",
        device: "pump1",
        rules: &["pump-hl7"],
        run: pump_hl7,
    },
    Exchange {
        name: "pump-server",
        device: "pump2",
        rules: &["pump-server"],
        run: pump_server,
    },
    Exchange {
        name: "dock-two-pumps",
        device: "dock",
        rules: &["dock-hl7"],
        run: dock,
    },
    Exchange {
        name: "unity-announce-out",
        device: "unitym",
        rules: &["unity-announce"],
        run: |ward| announce(ward, "unitym", "unityc"),
    },
    Exchange {
        name: "unity-announce-in",
        device: "unitym",
        rules: &["unity-announce-in"],
        run: |ward| announce(ward, "unityc", "unitym"),
    },
    Exchange {
        name: "unity-alarm",
        device: "unitym",
        rules: &["unity-announce-in", "unity-alarm"],
        run: unity_alarm,
    },
    Exchange {
        name: "contec-hl7",
        device: "contec",
        rules: &["contec-hl7"],
        run: contec,
    },
    Exchange {
        name: "service-visit-ftp",
        device: "vent",
        rules: &["service-ftp", "service-ftp-data"],
        run: service_visit,
    },
    Exchange {
        name: "badge-mqtt",
        device: "badge",
        rules: &["badge-mqtt"],
        run: |ward| badge_mqtt(ward, &address_of("broker")?),
    },
    Exchange {
        name: "badge-mqtt-ipv6",
        device: "badge",
        rules: &["badge-mqtt"],
        run: |ward| badge_mqtt(ward, BROKER_V6),
    },
    Exchange {
        name: "voice-call",
        device: "vbadge",
        rules: &["badge-sip", "badge-audio"],
        run: voice_call,
    },
];

/// The central station finds a device by multicast, subscribes over TLS and gets two values.
fn sdc(ward: &Ward, device: &str, sink_port: &str) -> Result<String> {
    let certs = ward.dir().join("certs").display().to_string();
    let central = address_of("central")?;
    let got = act(
        ward,
        "central",
        "sdc_consumer",
        &[&central, &certs, device, sink_port],
    )?;
    let value = got["token"].as_str().unwrap_or_default();
    seen(ward, device, "sdc", value)?;
    Ok(format!(
        "{} discovered, central station got {value} as the device reported it",
        device
    ))
}

/// A pump reports an infusion (IHE PCD-01) and waits for the engine's acknowledgement.
fn pump_hl7(ward: &Ward) -> Result<String> {
    report_hl7(ward, "pump1", "pump", "PUMP1")
}

/// The monitor with the hard-coded address does its honest work.
fn contec(ward: &Ward) -> Result<String> {
    report_hl7(ward, "contec", "monitor", "CONTEC1")
}

fn report_hl7(ward: &Ward, device: &str, kind: &str, sender: &str) -> Result<String> {
    let control = token("M");
    let engine = address_of("engine")?;
    let answer = act(
        ward,
        device,
        "hl7_device",
        &[&engine, "2575", kind, &control, sender],
    )?;
    ensure!(answer["ack"] == "AA", "the engine answered {answer}");
    let noted = seen(ward, "engine", "hl7", &control)?;
    ensure!(noted["sender"] == sender, "the engine noted {noted}");
    Ok(format!(
        "{sender} got AA for message {control}, which the engine noted"
    ))
}

/// Two pumps stand in one dock and share its address: the engine must tell them apart.
fn dock(ward: &Ward) -> Result<String> {
    let (left, right) = (token("L"), token("R"));
    let engine = address_of("engine")?;
    let arguments = [
        &engine,
        "2575",
        "pump",
        &left,
        "DOCKPUMP1",
        &right,
        "DOCKPUMP2",
    ];
    let answer = act(ward, "dock", "hl7_device", &arguments)?;
    ensure!(
        answer["ack"] == "AA" && answer["messages"] == 2,
        "the engine answered {answer}"
    );
    let (left, right) = (
        seen(ward, "engine", "hl7", &left)?,
        seen(ward, "engine", "hl7", &right)?,
    );
    ensure!(
        left["sender"] == "DOCKPUMP1" && right["sender"] == "DOCKPUMP2",
        "the engine noted {left} and {right}"
    );
    ensure!(
        left["peer"] == right["peer"],
        "two addresses: {left} and {right}"
    );
    Ok(format!(
        "the engine noted DOCKPUMP1 and DOCKPUMP2, both from {}",
        left["peer"]
    ))
}

/// A pump asks its server for the drug library.
fn pump_server(ward: &Ward) -> Result<String> {
    let mark = token("sync");
    let certs = ward.dir().join("certs").display().to_string();
    let got = act(
        ward,
        "pump2",
        "pump_sync",
        &[&address_of("pumpsrv")?, &certs, &mark],
    )?;
    let noted = seen(ward, "pumpsrv", "pump_server", &mark)?;
    ensure!(
        noted["peer"] == address_of("pump2")?,
        "the server noted {noted}"
    );
    Ok(format!(
        "library of {} bytes over {}, noted by the server",
        got["library_bytes"], got["tls"]
    ))
}

/// One monitor announces itself by subnet broadcast, the other side must hear it.
fn announce(ward: &Ward, from: &str, to: &str) -> Result<String> {
    let room = token("room");
    act(
        ward,
        from,
        "unity",
        &["announce", from, &address_of(from)?, &room],
    )?;
    let heard = seen(ward, to, "unity", &room)?;
    ensure!(heard["peer"] == address_of(from)?, "{to} heard {heard}");
    Ok(format!(
        "{to} heard the broadcast of {from} at {}",
        heard["peer"]
    ))
}

/// The bedside monitor hears the central one's broadcast and sends an alarm to the port it named.
fn unity_alarm(ward: &Ward) -> Result<String> {
    let alarm = token("alarm");
    let own = address_of("unitym")?;
    act(
        ward,
        "unitym",
        "unity",
        &["alarm", "unitym", &own, "unityc", &alarm],
    )?;
    let heard = seen(ward, "unityc", "unity", &alarm)?;
    ensure!(
        heard["heard"] == "alarm",
        "the central monitor heard {heard}"
    );
    Ok(format!(
        "alarm {alarm} sent to the announced port and heard"
    ))
}

/// The vendor's engineer fetches the ventilator's log, with a data connection of its own.
fn service_visit(ward: &Ward) -> Result<String> {
    let url = format!("ftp://{}/log/service.log", address_of("vent")?);
    let before = transfers(ward);
    let text = crate::exchange::on(ward, "vendor", "curl", &["-sS", "--max-time", "6", &url])?;
    let expected = "self test passed\n".len() * 2000;
    ensure!(
        text.len() == expected,
        "the log has {expected} bytes, {} arrived",
        text.len()
    );
    ensure!(transfers(ward) > before, "the ventilator noted no transfer");
    let (low, high) = FTP_DATA_PORTS;
    Ok(format!(
        "{expected} bytes over a data connection in ports {low} to {high}, noted"
    ))
}

fn transfers(ward: &Ward) -> usize {
    let log = fs::read_to_string(ward.log("vent", "transfers")).unwrap_or_default();
    log.matches("OK DOWNLOAD").count()
}

/// A nurse presses the badge; a subscriber on the broker's host gets the call.
fn badge_mqtt(ward: &Ward, broker: &str) -> Result<String> {
    let call = token("call");
    let topic = format!("ward/call/{call}");
    let listener = ward
        .command("broker", "mosquitto_sub")
        .args(["-h", "127.0.0.1", "-t", &topic, "-C", "1", "-W", "8"])
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot listen on the broker")?;
    let sent = act(ward, "badge", "mqtt_badge", &[broker, &topic, &call]);
    let heard = listener
        .wait_with_output()
        .context("the listener did not end")?;
    let heard = String::from_utf8_lossy(&heard.stdout);
    sent?;
    ensure!(
        heard.trim() == call,
        "the subscriber heard `{}`",
        heard.trim()
    );
    Ok(format!(
        "{call} acknowledged to the badge by {broker} and heard by the subscriber"
    ))
}

/// A badge calls the nurse station: signalling by the call server, audio straight to the telephone.
fn voice_call(ward: &Ward) -> Result<String> {
    let call = token("voice");
    let (own, server) = (address_of("vbadge")?, address_of("callsrv")?);
    let badge = act(
        ward,
        "vbadge",
        "sip",
        &["call", "vbadge", &own, &server, "phone", &call],
    )?;
    seen(ward, "callsrv", "sip", &call)?;
    let phone = seen(ward, "phone", "sip", &call)?;
    let (back, heard) = (badge["heard_back"].as_u64(), phone["frames_heard"].as_u64());
    ensure!(
        back >= Some(45) && heard >= Some(45),
        "badge: {badge}, telephone: {phone}"
    );
    Ok(format!(
        "50 voice frames: {} heard, {} back",
        phone["frames_heard"], badge["heard_back"]
    ))
}
