//! Rules from a maker's own description of a device (`--mud MAC=FILE`).

use std::path::Path;

use wardline_policy::document::{Device, Group, MudReference, Peer, Rule};
use wardline_policy::mud::{Imported, LOCAL_NETWORKS, import};
use wardline_policy::scalar::Vlan;
use wardline_policy::{Document, MacAddr, Mode};

use crate::failure::Failure;
use crate::policy::source::read_text;
use crate::table::printable;

/// What "local" means where the policy does not say it: private and link-local addresses
/// (RFC 1918, 3927, 4193, 4291).
const LOCAL: [&str; 6] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
];

/// Appends the file's rules to those of the device, behind what the policy itself says of it.
/// What MUD says and the policy language cannot is told on standard error.
pub(crate) fn add(document: &mut Document, mac: MacAddr, path: &Path) -> Result<(), Failure> {
    let (name, text) = read_text(path)?;
    let imported = import(&text, &name).map_err(|e| Failure::input(e.to_string()))?;
    for note in &imported.notes {
        let (path, message) = (printable(&note.path), printable(&note.message));
        eprintln!("wardline: {name}: {path}: {message}");
    }
    if imported.rules.iter().any(is_local) {
        define_local(document);
    }
    if document.devices.iter().all(|device| device.mac != mac) {
        document.devices.push(unlisted(mac));
    }
    for device in document.devices.iter_mut().filter(|d| d.mac == mac) {
        extend(device, &imported);
    }
    Ok(())
}

fn extend(device: &mut Device, imported: &Imported) {
    device.rules.extend(imported.rules.iter().cloned());
    device.mud.get_or_insert_with(|| MudReference {
        url: imported.url.clone(),
    });
}

fn is_local(rule: &Rule) -> bool {
    let local = |peer: &Peer| matches!(peer, Peer::Group(name) if name == LOCAL_NETWORKS);
    rule.peer.iter().any(local)
}

fn define_local(document: &mut Document) {
    if document.groups.contains_key(LOCAL_NETWORKS) {
        return;
    }
    let group = Group {
        addresses: LOCAL.iter().filter_map(|n| n.parse().ok()).collect(),
        ..Group::default()
    };
    document.groups.insert(LOCAL_NETWORKS.to_owned(), group);
}

fn unlisted(mac: MacAddr) -> Device {
    Device {
        name: mac.to_string(),
        mac,
        vlan: Vlan::default(),
        role: None,
        mode: Some(Mode::Enforce),
        care: None,
        ward: None,
        owner: None,
        since: None,
        assets: Vec::new(),
        addresses: Default::default(),
        refusal: None,
        storm: None,
        controller: None,
        mud: None,
        note: None,
        rules: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_local_network_is_one() {
        let mut document = Document::new("test");
        define_local(&mut document);
        assert_eq!(document.groups[LOCAL_NETWORKS].addresses.len(), LOCAL.len());
    }
}
