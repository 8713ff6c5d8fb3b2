//! What each field is good for: the family it counts in, how it reads in a sentence, and how much
//! a word in it says of the device.

use serde::Serialize;

use crate::{Field, Strength};

/// Fields that say one thing in several places. Within a family the strongest statement counts;
/// families add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Who the hardware address is registered to.
    Registry,
    /// What the device is called: people and IT departments change it.
    Name,
    /// Operating system and network stack: many roles run on one.
    Platform,
    /// Whom it looks for and calls.
    Asks,
    /// What it asks web servers for.
    WebClient,
    /// What it announces to its neighbours.
    Announcement,
    /// What it says when it is called.
    Service,
    /// How conversations run: protocols and ports.
    Conversation,
    /// Images and their workflow.
    Dicom,
    /// Messages between clinical systems.
    Hl7,
    /// The other clinical protocols.
    Bedside,
    /// Several identities behind one network address.
    Assets,
    /// What it tells management systems and its switch.
    Management,
}

/// How a field tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Telling {
    pub family: Family,
    /// With `{}` for the value.
    pub sentence: &'static str,
    /// How much of its weight a word keeps here, and its strength; `None` where words mean nothing.
    pub words: Option<(f32, Strength)>,
}

/// How `field` tells.
pub(super) const fn telling(field: Field) -> Telling {
    use Family::*;
    use Strength::*;
    let (family, sentence, words) = match field {
        Field::Oui => (Registry, "Its network address is registered to {}", None),
        Field::Client => (Conversation, "Opens conversations in {}", None),
        Field::Server => (Conversation, "Answers in {}", None),
        Field::OpaqueClient => (Conversation, "Calls {} in a protocol unknown here", None),
        Field::OpaqueServer => (
            Conversation,
            "Is called on {} in a protocol unknown here",
            None,
        ),
        Field::Forwards => (
            Conversation,
            "Carries frames for {} addresses beyond its own",
            None,
        ),
        Field::DhcpParameters => (Platform, "Asks the DHCP server for options {}", None),
        Field::DhcpVendorClass => (Platform, "Says it is '{}' in DHCP", Some((0.8, Medium))),
        Field::SmbSystem => (Platform, "Runs '{}' by its file sharing", Some((0.5, Weak))),
        Field::SshVersion => (Platform, "Runs '{}' by its remote shell", Some((0.5, Weak))),
        Field::DhcpHostname => (Name, "Is called '{}' in DHCP", Some((0.65, Weak))),
        Field::MdnsName => (Name, "Is called '{}' in mDNS", Some((0.75, Medium))),
        Field::SmbName => (
            Name,
            "Is called '{}' in the Windows network",
            Some((0.6, Weak)),
        ),
        Field::LldpName => (
            Name,
            "Is called '{}' by its switch protocol",
            Some((0.6, Weak)),
        ),
        Field::RdpClient => (Name, "Is called '{}' in remote desktop", Some((0.4, Weak))),
        Field::MqttClientId => (
            Name,
            "Is called '{}' at its MQTT broker",
            Some((0.65, Weak)),
        ),
        Field::DnsQuery => (Asks, "Asks for the address of {}", Some((0.4, Weak))),
        Field::TlsServerName => (
            Asks,
            "Opens encrypted conversations with {}",
            Some((0.4, Weak)),
        ),
        Field::HttpHost => (Asks, "Calls the web server {}", Some((0.4, Weak))),
        Field::MdnsQuery => (Asks, "Looks for {} around it", None),
        Field::SsdpSearch => (Asks, "Looks for {} around it", None),
        Field::WsdProbes => (Asks, "Looks for {} around it", None),
        Field::HttpPath => (WebClient, "Asks a web server for {}", Some((0.6, Medium))),
        Field::HttpUserAgent => (
            WebClient,
            "Says it is '{}' to web servers",
            Some((0.4, Weak)),
        ),
        Field::TlsAlpn => (WebClient, "Speaks {} in encrypted conversations", None),
        Field::TlsJa3 => (WebClient, "Its TLS greeting has the JA3 {}", None),
        Field::TlsJa4 => (WebClient, "Its TLS greeting has the JA4 {}", None),
        Field::MdnsService => (Announcement, "Announces {} in mDNS", Some((0.9, Medium))),
        Field::MdnsText => (Announcement, "Announces '{}' in mDNS", Some((0.9, Medium))),
        Field::SsdpServer => (Announcement, "Says it is '{}' in SSDP", Some((0.9, Medium))),
        Field::SsdpType => (
            Announcement,
            "Announces itself as '{}' in SSDP",
            Some((1.0, Medium)),
        ),
        Field::SsdpUsn => (
            Announcement,
            "Announces itself as '{}' in SSDP",
            Some((1.0, Medium)),
        ),
        Field::UpnpDescription => (
            Announcement,
            "Describes itself as '{}'",
            Some((1.0, Medium)),
        ),
        Field::WsdTypes => (Announcement, "Announces the type {}", Some((1.0, Medium))),
        Field::WsdScopes => (Announcement, "Announces the scope {}", Some((0.8, Medium))),
        Field::VendorDiscovery => (Announcement, "Announces '{}'", Some((1.0, Medium))),
        Field::HttpServer => (Service, "Its web server is '{}'", Some((0.9, Medium))),
        Field::HttpRealm => (
            Service,
            "Its web server asks to log in to '{}'",
            Some((0.95, Medium)),
        ),
        Field::TlsCertificateSubject => {
            (Service, "Shows a certificate for '{}'", Some((0.7, Medium)))
        }
        Field::RtspServer => (Service, "Its video server is '{}'", Some((0.9, Medium))),
        Field::RtspUserAgent => (WebClient, "Watches video as '{}'", Some((0.4, Weak))),
        Field::Banner => (Service, "Greets with '{}'", Some((0.8, Medium))),
        Field::IppModel => (Service, "Says it is the printer '{}'", Some((0.9, Strong))),
        Field::PjlId => (Service, "Says it is the printer '{}'", Some((0.9, Strong))),
        Field::SipAgent => (Service, "Telephones as '{}'", Some((0.9, Medium))),
        Field::DicomCallingAe => (Dicom, "Calls itself {} in DICOM", Some((0.5, Weak))),
        Field::DicomCalledAe => (Dicom, "Is called {} in DICOM", Some((0.5, Weak))),
        Field::DicomUses => (Dicom, "Uses {} of a DICOM system", None),
        Field::DicomServes => (Dicom, "Serves {} in DICOM", None),
        Field::DicomImplementation => (Dicom, "Its DICOM software has the number {}", None),
        Field::DicomVersion => (Dicom, "Its DICOM software is '{}'", Some((0.7, Medium))),
        Field::Hl7Application => (Hl7, "Sends HL7 messages as '{}'", Some((1.1, Medium))),
        Field::Hl7Facility => (Hl7, "Sends HL7 messages from '{}'", None),
        Field::Hl7Sends => (Hl7, "Sends the HL7 message {}", None),
        Field::Hl7Receives => (Hl7, "Receives the HL7 message {}", None),
        Field::Hl7Device => (Hl7, "Reports observations of {}", Some((1.0, Medium))),
        Field::Hl7Version => (Hl7, "Speaks HL7 {}", None),
        Field::Hl7Profile => (Hl7, "Speaks HL7 by the profile {}", None),
        Field::SdcMaker => (Bedside, "Says it is made by '{}'", Some((0.5, Medium))),
        Field::SdcModel => (Bedside, "Says it is the model '{}'", Some((1.15, Strong))),
        Field::SdcDevice => (Bedside, "Describes itself with '{}'", Some((1.0, Medium))),
        Field::AstmSender => (
            Bedside,
            "Speaks with the laboratory as '{}'",
            Some((1.0, Medium)),
        ),
        Field::AstmSends => (Bedside, "Sends laboratory {} (ASTM)", None),
        Field::PoctHello => (
            Bedside,
            "Introduces itself with '{}' in POCT1-A",
            Some((0.9, Medium)),
        ),
        Field::Rwhat => (
            Bedside,
            "Announces '{}' in the monitoring network",
            Some((0.5, Medium)),
        ),
        Field::PhilipsExport => (Bedside, "Takes part in Philips data export as {}", None),
        Field::PhilipsModel => (Bedside, "Says it is the model '{}'", Some((1.15, Strong))),
        Field::BacnetVendor => (Bedside, "Says it is a BACnet device of vendor {}", None),
        Field::BacnetObject => (
            Bedside,
            "Describes itself as '{}' in BACnet",
            Some((0.8, Medium)),
        ),
        Field::ModbusIdentity => (Bedside, "Says '{}' in Modbus", Some((0.9, Medium))),
        Field::LldpDescription => (Management, "Tells its switch '{}'", Some((1.0, Medium))),
        Field::LldpCapabilities => (Management, "Tells its switch it can be: {}", None),
        Field::CdpPlatform => (
            Management,
            "Tells its switch it is '{}'",
            Some((1.0, Medium)),
        ),
        Field::CdpCapabilities => (Management, "Tells its switch it can be: {}", None),
        Field::SnmpDescription => (Management, "Tells SNMP it is '{}'", Some((1.0, Medium))),
        Field::SnmpObjectId => (Management, "Its SNMP object identifier is {}", None),
    };
    Telling {
        family,
        sentence,
        words,
    }
}
