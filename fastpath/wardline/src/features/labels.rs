//! What the devices of captures really are.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use wardline_policy::MacAddr;

use crate::failure::Failure;

/// By MAC address.
pub(super) struct Labels(HashMap<MacAddr, Label>);

/// What one device is.
#[derive(Default)]
pub(super) struct Label {
    pub(super) kind: String,
    pub(super) role: String,
}

/// As it is written.
#[derive(Deserialize)]
struct Written {
    /// Left out when the label's own name is the address.
    mac: Option<MacAddr>,
    /// The product; an emulated device has none.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Name of an emulated device: of the part it plays, and a number.
    name: Option<String>,
    /// Left out of a device that has none of the roles.
    role: Option<String>,
}

impl Written {
    fn label(self) -> Option<Label> {
        let part = |name: String| {
            name.trim_end_matches(|c: char| c.is_ascii_digit())
                .to_owned()
        };
        Some(Label {
            kind: self.kind.or(self.name.map(part))?,
            role: self.role?,
        })
    }
}

impl Labels {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let bad = |why: &dyn std::fmt::Display| {
            Failure::input(format!("{} holds no labels: {why}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| bad(&error))?;
        let named: HashMap<String, Written> =
            serde_json::from_str(&text).map_err(|error| bad(&error))?;
        let mut labels = HashMap::new();
        for (name, written) in named {
            let mac = match written.mac {
                Some(mac) => mac,
                None => name
                    .parse()
                    .map_err(|_| bad(&format_args!("`{name}` has no MAC address")))?,
            };
            labels.extend(written.label().map(|label| (mac, label)));
        }
        Ok(Self(labels))
    }

    pub(super) fn of(&self, mac: MacAddr) -> Option<&Label> {
        self.0.get(&mac)
    }
}
