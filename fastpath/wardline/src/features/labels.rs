//! What the devices of captures really are.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use wardline_policy::MacAddr;

use crate::failure::Failure;

/// By MAC address.
pub(super) struct Labels(HashMap<MacAddr, Label>);

/// What one device is.
#[derive(Default, Deserialize)]
pub(super) struct Label {
    /// Left out when the label's own name is the address.
    mac: Option<MacAddr>,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) role: String,
}

impl Labels {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let bad = |why: &dyn std::fmt::Display| {
            Failure::input(format!("{} holds no labels: {why}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| bad(&error))?;
        let named: HashMap<String, Label> =
            serde_json::from_str(&text).map_err(|error| bad(&error))?;
        let mut labels = HashMap::new();
        for (name, label) in named {
            let mac = match label.mac {
                Some(mac) => mac,
                None => name
                    .parse()
                    .map_err(|_| bad(&format_args!("`{name}` has no MAC address")))?,
            };
            labels.insert(mac, label);
        }
        Ok(Self(labels))
    }

    pub(super) fn of(&self, mac: MacAddr) -> Option<&Label> {
        self.0.get(&mac)
    }
}
