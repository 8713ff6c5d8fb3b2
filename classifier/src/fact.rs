//! What a protocol states about a device: a field and its value, never a judgement.

use core::fmt;

use serde::{Deserialize, Serialize};

/// How much a statement proves about the role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strength {
    /// A hint: the registered owner of the MAC address, a name somebody gave.
    Weak,
    /// What devices of one kind usually say.
    Medium,
    /// The device itself names what it is, in a protocol only such devices speak.
    Strong,
}

impl Strength {
    /// The name in documents and REST.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weak => "weak",
            Self::Medium => "medium",
            Self::Strong => "strong",
        }
    }
}

/// Which station of a frame a fact is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum About {
    /// The one that sent the frame.
    Sender,
    /// The one it went to.
    Receiver,
}

macro_rules! fields {
    ($( $(#[$doc:meta])* $variant:ident = $name:literal; )*) => {
        /// What is stated. The list is closed, so that nothing else can leave a payload.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Field { $( $(#[$doc])* $variant, )* }

        impl Field {
            /// All fields.
            pub const ALL: &[Self] = &[ $( Self::$variant, )* ];

            /// The name in documents and REST: protocol, dot, field.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )* }
            }
        }
    };
}

fields! {
    /// Organisation the MAC address is registered to.
    Oui = "oui.organisation";
    /// Protocol the device was seen to open conversations with, as decoded, not by port: `dicom`.
    Client = "protocol.client";
    /// Protocol the device was seen to serve, as decoded.
    Server = "protocol.server";
    /// A conversation the device opened whose protocol nothing recognised: `tcp/1234`.
    OpaqueClient = "port.client";
    /// The same for one it accepted.
    OpaqueServer = "port.server";
    /// Option 55, decimal numbers joined by commas.
    DhcpParameters = "dhcp.parameter-list";
    /// Option 60.
    DhcpVendorClass = "dhcp.vendor-class";
    /// Option 12: an asset-tag candidate first, a hint of the role second.
    DhcpHostname = "dhcp.hostname";
    /// A name the device asked for.
    DnsQuery = "dns.query";
    /// A service instance or host the device announces: `_http._tcp`.
    MdnsService = "mdns.service";
    /// The host or instance name it announces.
    MdnsName = "mdns.name";
    /// A TXT value it announces: `md=Model`.
    MdnsText = "mdns.text";
    /// A service the device asks for.
    MdnsQuery = "mdns.query";
    /// SERVER or USER-AGENT header.
    SsdpServer = "ssdp.server";
    /// NT or ST of an announcement or answer, and USN without its UUID.
    SsdpType = "ssdp.type";
    /// ST of a search.
    SsdpSearch = "ssdp.search";
    /// USN as a whole: names the model on some devices.
    SsdpUsn = "ssdp.usn";
    /// Text of a UPnP description (`deviceType`, `modelName`).
    UpnpDescription = "upnp.description";
    /// System description.
    LldpDescription = "lldp.system-description";
    /// System name.
    LldpName = "lldp.system-name";
    /// Enabled capabilities, joined by commas: `bridge,router`.
    LldpCapabilities = "lldp.capabilities";
    /// Platform.
    CdpPlatform = "cdp.platform";
    /// Capabilities, joined by commas.
    CdpCapabilities = "cdp.capabilities";
    /// 1.3.6.1.2.1.1.1.0.
    SnmpDescription = "snmp.sys-descr";
    /// 1.3.6.1.2.1.1.2.0.
    SnmpObjectId = "snmp.sys-object-id";
    /// Server header.
    HttpServer = "http.server";
    /// User-Agent header.
    HttpUserAgent = "http.user-agent";
    /// Host header.
    HttpHost = "http.host";
    /// Path of a request without its query; sent to the server, so about the client.
    HttpPath = "http.path";
    /// Realm of an authentication challenge.
    HttpRealm = "http.realm";
    /// Server name of a ClientHello.
    TlsServerName = "tls.server-name";
    /// First protocol of ALPN.
    TlsAlpn = "tls.alpn";
    /// JA3 digest of a ClientHello.
    TlsJa3 = "tls.ja3";
    /// JA4 of a ClientHello.
    TlsJa4 = "tls.ja4";
    /// Subject of the certificate a server shows (TLS 1.2 and older).
    TlsCertificateSubject = "tls.certificate-subject";
    /// Client identifier of CONNECT.
    MqttClientId = "mqtt.client-id";
    /// Server header of RTSP.
    RtspServer = "rtsp.server";
    /// User-Agent header of RTSP.
    RtspUserAgent = "rtsp.user-agent";
    /// printer-make-and-model.
    IppModel = "ipp.make-and-model";
    /// Job language header that names a printer (`@PJL INFO ID` answers).
    PjlId = "pjl.id";
    /// Native operating system of SMB1, or `smb2`.
    SmbSystem = "smb.system";
    /// Computer name the device gives in NTLMSSP or NetBIOS.
    SmbName = "smb.name";
    /// Cookie-free name of an RDP client (clientName).
    RdpClient = "rdp.client";
    /// User-Agent or Server of SIP.
    SipAgent = "sip.agent";
    /// Version string of SSH.
    SshVersion = "ssh.version";
    /// First line of an FTP, Telnet or SMTP server.
    Banner = "banner.text";
    /// Own AE title of the requestor.
    DicomCallingAe = "dicom.calling-ae";
    /// AE title the device is called by.
    DicomCalledAe = "dicom.called-ae";
    /// Abstract syntax it proposes as user (SCU), by name where known: `CT Image Storage`.
    DicomUses = "dicom.uses";
    /// Abstract syntax it was asked for and accepted (SCP).
    DicomServes = "dicom.serves";
    /// Implementation class UID.
    DicomImplementation = "dicom.implementation-uid";
    /// Implementation version name.
    DicomVersion = "dicom.implementation-version";
    /// MSH-3 of messages it sends.
    Hl7Application = "hl7.sending-application";
    /// MSH-4 of messages it sends.
    Hl7Facility = "hl7.sending-facility";
    /// MSH-9 of messages it sends: `ORU^R01`.
    Hl7Sends = "hl7.sends";
    /// MSH-9 of messages it receives.
    Hl7Receives = "hl7.receives";
    /// Type of the device the observations come from (OBX-3), an MDC code: `MDC_DEV_PUMP_INFUS_MDS`.
    Hl7Device = "hl7.device-type";
    /// MSH-12.
    Hl7Version = "hl7.version";
    /// MSH-21 (profile), such as IHE PCD.
    Hl7Profile = "hl7.profile";
    /// Types of WS-Discovery Hello or ProbeMatch.
    WsdTypes = "wsd.types";
    /// Scopes.
    WsdScopes = "wsd.scopes";
    /// Types it probes for.
    WsdProbes = "wsd.probes";
    /// Manufacturer of DPWS ThisModel.
    SdcMaker = "sdc.manufacturer";
    /// ModelName of DPWS ThisModel.
    SdcModel = "sdc.model";
    /// FirmwareVersion or SerialNumber of DPWS ThisDevice, as `firmware=…`, `serial=…`.
    SdcDevice = "sdc.device";
    /// Sender name of the ASTM header record (field 5).
    AstmSender = "astm.sender";
    /// What the ASTM messages it sends hold: `results`, `orders` or `query`.
    AstmSends = "astm.sends";
    /// HEL.R01 identity as `vendor=…`, `model=…`, `serial=…`, `software=…`.
    PoctHello = "poct1a.hello";
    /// Name and services of a GE Unity RWHAT announcement.
    Rwhat = "rwhat.announcement";
    /// Philips Data Export: `monitor` or `client`.
    PhilipsExport = "philips.data-export";
    /// System type or model in an MDS create.
    PhilipsModel = "philips.model";
    /// I-Am vendor identifier.
    BacnetVendor = "bacnet.vendor-id";
    /// Object name, model name and description read from a device object.
    BacnetObject = "bacnet.object";
    /// Read device identification (43/14), `vendor=…`, `product=…`, `revision=…`.
    ModbusIdentity = "modbus.identity";
    /// How many addresses it carries frames for that are not its own: counted, no statement.
    Forwards = "ip.forwards";
    /// Something nothing else covers, from a vendor's own discovery: `tplink.sysinfo=model:HS100`.
    VendorDiscovery = "vendor.discovery";
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Field {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = Self::ALL.iter().find(|field| field.name() == name);
        found.copied().ok_or_else(|| {
            serde::de::Error::custom(format_args!("`{name}` is no field of evidence"))
        })
    }
}

/// Most bytes of a value; a longer one is cut at a character.
pub const VALUE_MAX: usize = 200;

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fact {
    /// What is stated.
    pub field: Field,
    /// The value: printable, at most [`VALUE_MAX`] bytes, without what could name a patient.
    pub value: String,
}

impl Fact {
    /// A fact, its value made printable and cut. `None` when nothing printable is left.
    pub fn new(field: Field, value: &str) -> Option<Self> {
        let mut clean = String::new();
        for character in value.trim().chars() {
            let character = if character.is_control() {
                ' '
            } else {
                character
            };
            if clean.len() + character.len_utf8() > VALUE_MAX {
                break;
            }
            clean.push(character);
        }
        let value = clean.trim_end().to_owned();
        (!value.is_empty()).then_some(Self { field, value })
    }

    /// The same from bytes of the wire; what is not UTF-8 is read as Latin-1.
    pub fn from_bytes(field: Field, value: &[u8]) -> Option<Self> {
        let value = &value[..value.len().min(4 * VALUE_MAX)];
        match core::str::from_utf8(value) {
            Ok(text) => Self::new(field, text),
            Err(_) => Self::new(
                field,
                &value.iter().map(|&b| char::from(b)).collect::<String>(),
            ),
        }
    }
}

/// A fact, the station it is about, and when it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Whom it is about.
    pub about: About,
    /// What is said.
    pub fact: Fact,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_printable_and_bounded() {
        let fact = Fact::from_bytes(Field::Banner, b" a\nb\xff\x00 ").unwrap();
        assert_eq!(fact.value, "a bÿ");
        let long = Fact::new(Field::Banner, &"ä".repeat(500)).unwrap();
        assert_eq!(long.value.len(), VALUE_MAX);
        assert_eq!(Fact::new(Field::Banner, " \r\n"), None);
    }

    #[test]
    fn a_field_is_written_as_its_name_and_read_again() {
        for field in Field::ALL {
            let written = serde_json::to_string(field).unwrap();
            assert_eq!(serde_json::from_str::<Field>(&written).unwrap(), *field);
        }
    }
}
