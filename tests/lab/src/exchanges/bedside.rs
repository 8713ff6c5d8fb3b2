//! Pumps, monitors and what they tell the hospital.

use anyhow::{Context, Result, ensure};

use crate::exchange::{Exchange, act, seen, token};
use crate::ward::{Ward, address_of};

pub(super) const ALL: &[Exchange] = &[
    Exchange {
        name: "pump-hl7",
        device: "pump1",
        rules: &["pump-hl7"],
        run: pump_hl7,
    },
    Exchange {
        name: "badge-mqtt",
        device: "badge",
        rules: &["badge-mqtt"],
        run: badge_mqtt,
    },
];

/// A pump reports an infusion (IHE PCD-01) and waits for the engine's acknowledgement.
fn pump_hl7(ward: &Ward) -> Result<String> {
    let control = token("P");
    let answer = act(
        ward,
        "pump1",
        "hl7_pump",
        &[&address_of("engine")?, "2575", &control, "PUMP1"],
    )?;
    ensure!(answer["ack"] == "AA", "the engine answered {answer}");
    let engine = seen(ward, "engine", "hl7", &control)?;
    ensure!(engine["sender"] == "PUMP1", "the engine noted {engine}");
    Ok(format!("engine logged {control} and the pump got its AA"))
}

/// A nurse presses the badge; a subscriber on the broker's host gets the call.
fn badge_mqtt(ward: &Ward) -> Result<String> {
    let call = token("call");
    let topic = format!("ward/call/{call}");
    let listener = ward
        .command("broker", "mosquitto_sub")
        .args(["-h", "127.0.0.1", "-t", &topic])
        .args(["-C", "1", "-W", "8"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .context("cannot listen on the broker")?;
    let sent = act(
        ward,
        "badge",
        "mqtt_badge",
        &[&address_of("broker")?, &topic, &call],
    )?;
    let heard = listener
        .wait_with_output()
        .context("the listener did not end")?;
    let heard = String::from_utf8_lossy(&heard.stdout);
    ensure!(
        heard.trim() == call,
        "the badge got {sent}, the subscriber heard `{}`",
        heard.trim()
    );
    Ok(format!(
        "call {call} acknowledged to the badge and heard by the subscriber"
    ))
}
