//! Maker, model, serial number and software version, wherever a protocol states them.

use serde::Serialize;

use super::pattern::Text;
use super::tables;
use super::telling::telling;
use crate::observer::Said;
use crate::{Fact, Field};

/// Longest model a designation in a longer text gives.
const DESIGNATION_MAX: usize = 24;

/// What a device is, apart from what it is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maker: Option<Stated>,
    /// What the maker calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Stated>,
    /// Which one of its kind it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Stated>,
    /// What runs on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software: Option<Stated>,
}

/// A part of an identity and where it was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stated {
    /// What was said.
    pub value: String,
    /// Where.
    pub field: Field,
    /// How direct the statement is: the higher wins.
    #[serde(skip)]
    rank: u8,
    /// When it was said last: among equals one that was said only since then wins.
    #[serde(skip)]
    last_ns: u64,
}

/// A part of an [`Identity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdentityPart {
    /// [`Identity::maker`].
    Maker,
    /// [`Identity::model`].
    Model,
    /// [`Identity::serial`].
    Serial,
    /// [`Identity::software`].
    Software,
}

impl Identity {
    /// Takes up what a fact states. Of two statements as direct as each other the later one wins:
    /// after an update the old version is not said any more. Where both go on, as those of two
    /// services of one device do, it stays with the first.
    pub fn learn(&mut self, said: Said<'_>) {
        let Said {
            fact,
            first_ns,
            last_ns,
        } = said;
        for (part, rank, value) in identify(fact) {
            let place = match part {
                IdentityPart::Maker => &mut self.maker,
                IdentityPart::Model => &mut self.model,
                IdentityPart::Serial => &mut self.serial,
                IdentityPart::Software => &mut self.software,
            };
            let wins = |known: &Stated| {
                known.rank < rank || known.rank == rank && known.last_ns < first_ns
            };
            match place {
                Some(known) if known.field == fact.field && known.value == value => {
                    known.last_ns = known.last_ns.max(last_ns);
                }
                Some(known) if !wins(known) => {}
                _ => {
                    *place = Some(Stated {
                        value,
                        field: fact.field,
                        rank,
                        last_ns,
                    });
                }
            }
        }
    }
}

/// Stated in a field for this very purpose.
const STATED: u8 = 3;
/// Found in a text that is for something else.
const FOUND: u8 = 2;
/// Implied: by a registry, by a product's name.
const IMPLIED: u8 = 1;

/// What a fact states of the identity: the part, how directly, and the value.
pub fn identify(fact: &Fact) -> Vec<(IdentityPart, u8, String)> {
    use IdentityPart::{Maker, Model, Software};
    let value = fact.value.trim();
    let one = |part, rank| vec![(part, rank, value.to_owned())];
    let mut parts = match fact.field {
        Field::SdcMaker => one(Maker, STATED),
        Field::SdcModel | Field::CdpPlatform => one(Model, STATED),
        Field::PhilipsModel if value.contains('=') => pairs(value),
        Field::PhilipsModel => {
            vec![
                (Maker, FOUND, "Philips".to_owned()),
                (Model, STATED, value.to_owned()),
            ]
        }
        Field::IppModel | Field::PjlId => printer(value),
        Field::SdcDevice
        | Field::PoctHello
        | Field::ModbusIdentity
        | Field::UpnpDescription
        | Field::MdnsText
        | Field::BacnetObject
        | Field::VendorDiscovery => pairs(value),
        Field::DicomVersion => one(Software, STATED),
        Field::DicomImplementation => dicom_maker(value),
        Field::SsdpUsn | Field::SsdpType => numbered_usn(value),
        Field::SsdpServer => last_product(value),
        Field::HttpServer | Field::RtspServer | Field::SipAgent | Field::SshVersion => {
            one(Software, FOUND)
        }
        Field::SnmpDescription | Field::LldpDescription => one(Software, FOUND),
        Field::Oui => vec![(Maker, IMPLIED, registered(value))],
        _ => Vec::new(),
    };
    if telling(fact.field).words.is_some() {
        parts.extend(designation(value));
    }
    parts
}

/// The maker's usual name, where the registry has a longer one.
fn registered(organisation: &str) -> String {
    let text = Text::new(organisation);
    let maker = tables::makers::MAKERS
        .iter()
        .find(|maker| text.has(maker.any));
    maker.map_or(organisation, |maker| maker.name).to_owned()
}

/// `key=value` with the keys that protocols use.
fn pairs(text: &str) -> Vec<(IdentityPart, u8, String)> {
    let Some((key, value)) = text.split_once('=') else {
        return Vec::new();
    };
    let value = value.trim();
    // Printers put the product in brackets: `product=(HP LaserJet)`.
    let bracketed = value.strip_prefix('(').and_then(|v| v.strip_suffix(')'));
    let value = bracketed.unwrap_or(value);
    match part_of(key) {
        Some(part) if !value.is_empty() => vec![(part, STATED, value.to_owned())],
        _ => Vec::new(),
    }
}

fn part_of(key: &str) -> Option<IdentityPart> {
    // A vendor's own discovery names its protocol first: `edimax.model`.
    let key = key.rsplit('.').next().unwrap_or(key);
    let key = key.trim().to_ascii_lowercase().replace(['_', '-'], "");
    match key.as_str() {
        "vendor" | "vendorname" | "manufacturer" | "mfg" | "usbmfg" | "maker" => {
            Some(IdentityPart::Maker)
        }
        "md" | "model" | "modelname" | "modelnumber" | "ty" | "usbmdl" | "product"
        | "productcode" | "productname" => Some(IdentityPart::Model),
        "serial" | "serialnumber" | "sn" => Some(IdentityPart::Serial),
        "software" | "firmware" | "fw" | "fv" | "revision" | "softwareversion"
        | "firmwareversion" | "swversion" | "fwversion" | "version" | "swver" => {
            Some(IdentityPart::Software)
        }
        _ => None,
    }
}

/// A printer states maker and model in one text.
fn printer(value: &str) -> Vec<(IdentityPart, u8, String)> {
    let maker = value.split_whitespace().next().unwrap_or_default();
    let mut parts = vec![(IdentityPart::Model, STATED, value.to_owned())];
    if maker.len() < value.len() {
        parts.push((IdentityPart::Maker, FOUND, maker.to_owned()));
    }
    parts
}

/// Makers of imaging systems by the root of their object identifiers (DICOM PS3.7 D.3.3.2).
fn dicom_maker(uid: &str) -> Vec<(IdentityPart, u8, String)> {
    const ROOTS: &[(&str, &str)] = &[
        ("1.2.840.113619.", "GE"),
        ("1.3.12.2.1107.", "Siemens"),
        ("1.3.46.670589.", "Philips"),
        ("1.2.392.200036.9116.", "Canon"),
        ("1.2.392.200036.9125.", "Fujifilm"),
        ("1.2.840.113704.", "Philips"),
        ("1.2.840.113564.", "Carestream"),
        ("1.2.124.113532.", "Agfa"),
        ("1.2.840.113669.", "Merge"),
    ];
    let root = ROOTS.iter().find(|(root, _)| uid.starts_with(root));
    root.map(|(_, maker)| (IdentityPart::Maker, FOUND, (*maker).to_owned()))
        .into_iter()
        .collect()
}

/// `uuid:Socket-1_0-221519K1100F55`: model, then serial number, in place of a random number.
fn numbered_usn(value: &str) -> Vec<(IdentityPart, u8, String)> {
    let name = value.strip_prefix("uuid:").unwrap_or(value);
    let name = name.split("::").next().unwrap_or(name);
    let Some((model, serial)) = name.rsplit_once('-') else {
        return Vec::new();
    };
    let versioned = model.rsplit_once('-').is_some_and(|(kind, version)| {
        kind.chars().all(|c| c.is_ascii_alphabetic())
            && version.contains('_')
            && version.chars().all(|c| c.is_ascii_digit() || c == '_')
    });
    if !versioned || serial.len() < 6 || serial.contains(':') {
        return Vec::new();
    }
    vec![
        (IdentityPart::Model, FOUND, model.to_owned()),
        (IdentityPart::Serial, FOUND, serial.to_owned()),
    ]
}

/// The last product of `OS/version UPnP/version product/version`.
fn last_product(value: &str) -> Vec<(IdentityPart, u8, String)> {
    let mut products = value.split([' ', ',']).filter(|product| {
        let name = product.split('/').next().unwrap_or_default();
        product.contains('/') && !["upnp", "linux", "dlnadoc"].contains(&&*name.to_lowercase())
    });
    products
        .next_back()
        .map(|product| (IdentityPart::Software, FOUND, product.to_owned()))
        .into_iter()
        .collect()
}

/// A maker's designation somewhere in a name.
fn designation(value: &str) -> Vec<(IdentityPart, u8, String)> {
    let text = Text::new(value);
    let Some(line) = tables::lines::LINES.iter().find(|line| text.has(line.any)) else {
        return Vec::new();
    };
    let mut parts = vec![(IdentityPart::Maker, FOUND, line.maker.to_owned())];
    let words = value.split(|c: char| !(c.is_alphanumeric() || "-_+!.".contains(c)));
    let mut words = words.filter(|word| word.len() <= DESIGNATION_MAX);
    if let Some(model) = words.find(|word| Text::new(word).has(line.any)) {
        parts.push((IdentityPart::Model, FOUND, model.to_owned()));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(facts: &[(Field, &str)], expected: [Option<&str>; 4]) {
        let mut identity = Identity::default();
        for &(field, value) in facts {
            identity.learn(Said::once(&Fact::new(field, value).unwrap(), 0));
        }
        let parts = [
            &identity.maker,
            &identity.model,
            &identity.serial,
            &identity.software,
        ];
        let parts = parts.map(|part| part.as_ref().map(|stated| stated.value.as_str()));
        assert_eq!(parts, expected, "{facts:?}");
    }

    #[test]
    fn clinical_protocols_state_identities() {
        let hello = [
            (Field::Oui, "Espressif Inc."),
            (Field::PoctHello, "vendor=Siemens"),
            (Field::PoctHello, "model=DCA Vantage"),
            (Field::PoctHello, "serial=S0000123"),
            (Field::PoctHello, "software=4.4.0"),
        ];
        let expected = ["Siemens", "DCA Vantage", "S0000123", "4.4.0"].map(Some);
        check(&hello, expected);
        let dicom = [
            (Field::DicomImplementation, "1.3.12.2.1107.5.1.4"),
            (Field::DicomVersion, "SIEMENS_S7VA50A"),
        ];
        check(
            &dicom,
            [Some("Siemens"), None, None, Some("SIEMENS_S7VA50A")],
        );
        let sdc = [
            (Field::SdcMaker, "Draegerwerk"),
            (Field::SdcModel, "Evita V600"),
            (Field::SdcDevice, "serial=ASKL-0012"),
            (Field::SdcDevice, "firmware=2.50"),
        ];
        let expected = ["Draegerwerk", "Evita V600", "ASKL-0012", "2.50"].map(Some);
        check(&sdc, expected);
    }

    #[test]
    fn things_state_identities() {
        check(
            &[(
                Field::SsdpUsn,
                "uuid:Socket-1_0-221519K1100F55::upnp:rootdevice",
            )],
            [None, Some("Socket-1_0"), Some("221519K1100F55"), None],
        );
        check(
            &[(
                Field::SsdpUsn,
                "uuid:2f402f80-da50-11e1-9b23-001788247600::upnp:rootdevice",
            )],
            [None; 4],
        );
        check(
            &[(Field::SsdpServer, "Linux/3.14.0 UPnP/1.0 IpBridge/1.9.0")],
            [None, None, None, Some("IpBridge/1.9.0")],
        );
        check(
            &[(Field::MdnsText, "model_number=DCS-935L")],
            [Some("D-Link"), Some("DCS-935L"), None, None],
        );
        check(
            &[(Field::DhcpHostname, "HS100(EU)")],
            [Some("TP-Link"), Some("HS100"), None, None],
        );
        check(
            &[(Field::VendorDiscovery, "tplink.model=HS110(EU)")],
            [Some("TP-Link"), Some("HS110(EU)"), None, None],
        );
    }

    #[test]
    fn after_an_update_the_new_version_is_reported() {
        let software = |old: [u64; 2], new: [u64; 2]| {
            let mut identity = Identity::default();
            for (value, [first_ns, last_ns]) in [("firmware=1.0", old), ("firmware=2.0", new)] {
                let fact = Fact::new(Field::SdcDevice, value).unwrap();
                identity.learn(Said {
                    fact: &fact,
                    first_ns,
                    last_ns,
                });
            }
            identity.software.unwrap().value
        };
        assert_eq!(software([1, 5], [6, 6]), "2.0");
        assert_eq!(software([1, 9], [6, 7]), "1.0", "the update was taken back");
        // Two services that both go on do not take turns.
        assert_eq!(software([1, 9], [6, 10]), "1.0");
    }

    #[test]
    fn a_direct_statement_wins_over_the_registry() {
        let facts = [
            (Field::SdcMaker, "Hamilton"),
            (Field::Oui, "Moxa Technologies"),
        ];
        check(&facts, [Some("Hamilton"), None, None, None]);
    }
}
