//! The ladder: which device is in which mode, who answers for it, and since when.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::json;
use wardline_policy::document::Device;
use wardline_policy::scalar::{self, Many, Vlan};
use wardline_policy::{DeviceKey, Document, Mode};

use super::Edit;
use crate::api::problem::{Code, FieldError, Problem};
use crate::store::Record;
use crate::store::device::key_text;

/// Devices that an answer names, at most.
const ERRORS: usize = 100;
/// What a device wants before it is enforced.
const WANTING: &str = "the wanted policy does not list it with a role, a MUD file or rules: enforced, \
                       all it does would be denied";

/// Which devices go into which mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeOrder {
    /// The devices.
    pub devices: Vec<DeviceKey>,
    /// Their mode from now on.
    pub mode: Mode,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Now, in seconds since the epoch.
    pub now_s: u64,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Place {
    mode: Mode,
    owner: Option<String>,
    since: Option<scalar::Time>,
}

impl ModeOrder {
    /// The change of a document; none if everything is as ordered.
    ///
    /// # Errors
    /// When a device would be enforced that nobody said anything about: all it does would be denied.
    pub fn edit(&self, document: &Document) -> Result<Option<Edit>, Problem> {
        let mut document = document.clone();
        let listed = document.devices.iter().enumerate();
        let places: HashMap<_, _> = listed.map(|(i, device)| (key_of(device), i)).collect();
        self.require_permissions(&document, &places)?;
        let mut records = Vec::new();
        for key in &self.devices {
            let (index, new) = match places.get(key) {
                Some(index) => (*index, false),
                None => (list(&mut document, key), true),
            };
            let default = document.defaults.mode;
            let device = &mut document.devices[index];
            let before = place(device, default);
            self.set(device, default);
            let after = place(device, default);
            if new || after != before {
                let record = Record::new("set_device_mode", format!("device/{}", key_text(key)))
                    .because(Some(self.reason.clone()))
                    .after(&after);
                records.push(if new {
                    record.before(&json!({ "mode": document.defaults.unlisted_mode }))
                } else {
                    record.before(&before)
                });
            }
        }
        Ok(Some(Edit {
            document,
            records,
            reason: self.reason.clone(),
        })
        .filter(|edit| !edit.records.is_empty()))
    }

    /// What the classifier says of a device permits nothing: a person lists it, with a role or rules.
    fn require_permissions(
        &self,
        document: &Document,
        places: &HashMap<DeviceKey, usize>,
    ) -> Result<(), Problem> {
        if self.mode != Mode::Enforce {
            return Ok(());
        }
        let unlisted = document.defaults.unlisted_role.as_ref();
        let permits = |device: &Device| {
            let role = device
                .role
                .as_ref()
                .is_some_and(|role| Some(role) != unlisted);
            role || device.mud.is_some() || !device.rules.is_empty()
        };
        let listed = |key: &DeviceKey| places.get(key).map(|index| &document.devices[*index]);
        let wanting = self
            .devices
            .iter()
            .filter(|key| !listed(key).is_some_and(permits));
        let errors: Vec<_> = wanting
            .take(ERRORS)
            .map(|key| FieldError::new(key_text(key), WANTING))
            .collect();
        if errors.is_empty() {
            return Ok(());
        }
        let detail = "Some devices have no permissions of their own; see `errors`.";
        Err(Problem::new(Code::Conflict, detail).with(errors))
    }

    fn set(&self, device: &mut Device, default: Mode) {
        if device.mode.unwrap_or(default) != self.mode || device.since.is_none() {
            device.since = Some(scalar::Time { unix_s: self.now_s });
        }
        device.mode = Some(self.mode);
        device.owner = Some(self.owner.clone());
    }
}

fn place(device: &Device, default: Mode) -> Place {
    Place {
        mode: device.mode.unwrap_or(default),
        owner: device.owner.clone(),
        since: device.since,
    }
}

fn key_of(device: &Device) -> DeviceKey {
    DeviceKey {
        mac: device.mac,
        vlan: device.vlan.0,
    }
}

/// Lists a device that was not, with the role that devices have that are not listed: only its mode
/// is to change.
fn list(document: &mut Document, key: &DeviceKey) -> usize {
    let taken = |name: &str| document.devices.iter().any(|device| device.name == name);
    let mut name = key_text(key);
    while taken(&name) {
        name.push('+');
    }
    document.devices.push(Device {
        name,
        mac: key.mac,
        vlan: Vlan(key.vlan),
        role: document.defaults.unlisted_role.clone(),
        mode: None,
        care: None,
        ward: None,
        owner: None,
        since: None,
        assets: Vec::new(),
        addresses: Many::default(),
        refusal: None,
        storm: None,
        controller: None,
        mud: None,
        note: None,
        rules: Vec::new(),
    });
    document.devices.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::device::parse_key;

    fn order(mode: Mode, owner: &str, now_s: u64) -> ModeOrder {
        ModeOrder {
            devices: vec![parse_key("00-09-fb-00-00-01.10").expect("a key")],
            mode,
            owner: owner.to_owned(),
            reason: "tested".to_owned(),
            now_s,
        }
    }

    fn edited(document: &Document, order: &ModeOrder) -> Option<Document> {
        let edit = order.edit(document).expect("never");
        edit.map(|edit| edit.document)
    }

    #[test]
    fn a_device_that_is_not_listed_is_listed_with_its_role() {
        let mut document = Document::new("ward");
        document.defaults.unlisted_role = Some("unknown".to_owned());
        let after = edited(&document, &order(Mode::Simulate, "anna", 5)).expect("changed");
        let device = &after.devices[0];
        assert_eq!(device.role.as_deref(), Some("unknown"));
        assert_eq!(device.mode, Some(Mode::Simulate));
        assert_eq!(device.since.map(|since| since.unix_s), Some(5));
    }

    #[test]
    fn the_age_begins_anew_with_the_mode_only() {
        let first = edited(&Document::new("ward"), &order(Mode::Simulate, "anna", 5));
        let first = first.expect("changed");
        assert_eq!(edited(&first, &order(Mode::Simulate, "anna", 9)), None);
        let owner = edited(&first, &order(Mode::Simulate, "ben", 9)).expect("changed");
        assert_eq!(owner.devices[0].since.map(|since| since.unix_s), Some(5));
        let mode = edited(&owner, &order(Mode::Observe, "ben", 9)).expect("changed");
        assert_eq!(mode.devices[0].since.map(|since| since.unix_s), Some(9));
        assert_eq!(mode.devices.len(), 1);
    }

    #[test]
    fn only_what_a_person_gave_permissions_is_enforced() {
        let mut document = Document::new("ward");
        document.defaults.unlisted_role = Some("unknown".to_owned());
        let enforce = order(Mode::Enforce, "anna", 5);
        assert!(enforce.edit(&document).is_err(), "it is not listed");
        // Simulating lists it, with the role of those that are not.
        let mut listed = edited(&document, &order(Mode::Simulate, "anna", 5)).expect("changed");
        let problem = enforce
            .edit(&listed)
            .expect_err("that role is nobody's word");
        assert_eq!(problem.errors[0].field, "00-09-fb-00-00-01.10");
        listed.devices[0].role = Some("pump".to_owned());
        let enforced = edited(&listed, &enforce).expect("changed");
        assert_eq!(enforced.devices[0].mode, Some(Mode::Enforce));
    }
}
