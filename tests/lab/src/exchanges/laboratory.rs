//! Laboratory analyser and glucometer dock.

use anyhow::{Result, ensure};

use crate::exchange::{Exchange, act, on, seen, token};
use crate::ward::{Ward, address_of};

pub(super) const ALL: &[Exchange] = &[
    Exchange {
        name: "lab-astm",
        device: "analyser",
        rules: &["analyser-astm"],
        run: astm,
    },
    Exchange {
        name: "lab-update",
        device: "analyser",
        rules: &["analyser-update"],
        run: update,
    },
    Exchange {
        name: "glucometer-poct1a",
        device: "gluco",
        rules: &["gluco-poct1a"],
        run: poct,
    },
];

/// The analyser sends a result, frame by frame.
fn astm(ward: &Ward) -> Result<String> {
    let specimen = token("SP");
    let sent = act(
        ward,
        "analyser",
        "astm_analyser",
        &[&address_of("lis")?, &specimen],
    )?;
    let noted = seen(ward, "lis", "lis", &specimen)?;
    ensure!(
        noted["records"] == sent["frames"],
        "sent {sent}, noted {noted}"
    );
    Ok(format!(
        "{} frames acknowledged, result of {specimen} noted",
        sent["frames"]
    ))
}

/// The analyser asks its maker for updates: the one thing on the ward with a peer known by name.
fn update(ward: &Ward) -> Result<String> {
    let mark = token("update");
    let url = format!("http://update.vendor.test/firmware/{mark}");
    let text = on(
        ward,
        "analyser",
        "curl",
        &["-sS", "-f", "--max-time", "6", &url],
    )?;
    ensure!(
        text.contains("no update"),
        "the update server answered {text}"
    );
    seen(ward, "inet", "web", &mark)?;
    Ok("update.vendor.test looked up and asked, the question noted there".to_owned())
}

/// The glucometer dock hands over an observation.
fn poct(ward: &Ward) -> Result<String> {
    let patient = token("PT");
    act(ward, "gluco", "poct_dock", &[&address_of("lis")?, &patient])?;
    let noted = seen(ward, "lis", "lis", &patient)?;
    ensure!(
        noted["protocol"] == "poct1-a",
        "the laboratory noted {noted}"
    );
    Ok(format!("observation of {patient} acknowledged and noted"))
}
