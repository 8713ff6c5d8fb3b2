//! What every device needs before it can do its work.

use anyhow::{Result, ensure};

use crate::exchange::{Exchange, on};
use crate::ward::Ward;

pub(super) const ALL: &[Exchange] = &[Exchange {
    name: "dns",
    device: "pc",
    rules: &[],
    run: dns,
}];

/// The workstation looks the PACS up by name.
fn dns(ward: &Ward) -> Result<String> {
    let answer = on(ward, "pc", "getent", &["ahostsv4", "pacs.ward.test"])?;
    ensure!(
        answer.starts_with("10.20.0.10 "),
        "the name server answered {answer}"
    );
    Ok("pacs.ward.test is 10.20.0.10".to_owned())
}
