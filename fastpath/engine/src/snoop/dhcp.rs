//! DHCP for IPv4, and BOOTP below it (RFC 951, 2131, 2132).

use core::net::Ipv4Addr;

use arrayvec::{ArrayString, ArrayVec};
use wardline_policy::{MacAddr, Reason};

use crate::meta::{L3, L4, PacketMeta};

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
const BOOT_REPLY: u8 = 2;
const ETHERNET: u8 = 1;
/// Everything up to the options.
const FIXED_LEN: usize = 236;
const SERVER_NAME: core::ops::Range<usize> = 44..108;
const BOOT_FILE: core::ops::Range<usize> = 108..236;
const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Bytes kept of a name and of the parameter list.
pub const KEPT_LEN: usize = 64;

/// A name as a device states it: printable ASCII, other bytes shown as `?`.
pub type Name = ArrayString<KEPT_LEN>;

/// One DHCP or BOOTP message. Of a repeated option the first counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhcpMessage {
    /// Whether the header says it comes from a server.
    pub reply: bool,
    /// Option 53; `None` for BOOTP.
    pub kind: Option<DhcpKind>,
    /// Chosen by the client, repeated by the server.
    pub transaction: u32,
    /// Hardware address of the client.
    pub client_mac: MacAddr,
    /// Address the client already uses, or 0.0.0.0.
    pub client_ip: Ipv4Addr,
    /// Address the server gives, or 0.0.0.0.
    pub your_ip: Ipv4Addr,
    /// Address of a relay on the way, or 0.0.0.0.
    pub relay_ip: Ipv4Addr,
    /// Option 54: the server.
    pub server: Option<Ipv4Addr>,
    /// Option 50: the address the client asks for.
    pub requested_ip: Option<Ipv4Addr>,
    /// Option 51: lease time in seconds.
    pub lease_s: Option<u32>,
    /// Option 12: host name; empty if absent.
    pub host_name: Name,
    /// Option 60: vendor class; empty if absent.
    pub vendor_class: Name,
    /// Option 55: parameters asked for, in the client's order; empty if absent.
    pub parameters: ArrayVec<u8, KEPT_LEN>,
}

/// The type of a DHCP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DhcpKind {
    /// A client looks for servers.
    Discover,
    /// A server offers an address.
    Offer,
    /// A client takes or renews an address.
    Request,
    /// A client found the address in use.
    Decline,
    /// A server grants the address.
    Ack,
    /// A server refuses the address.
    Nak,
    /// A client gives the address back.
    Release,
    /// A client with an address asks for the other parameters.
    Inform,
    /// A type of a later extension (force-renew, lease query and others).
    Other(u8),
}

impl DhcpMessage {
    /// Whether only a server says this, whatever the header's own field claims.
    pub fn is_from_server(&self) -> bool {
        self.reply
            || matches!(
                self.kind,
                Some(DhcpKind::Offer | DhcpKind::Ack | DhcpKind::Nak)
            )
    }
}

/// Whether the frame goes to a port of DHCP for IPv4. Clients listen to any source port.
pub fn is_dhcp(meta: &PacketMeta) -> bool {
    let port = |p| matches!(p, SERVER_PORT | CLIENT_PORT);
    matches!(meta.l3, L3::Ip { version: 4, .. })
        && matches!(meta.l4, L4::Udp { destination, .. } if port(destination))
}

/// Reads the UDP payload of a DHCP message.
///
/// # Errors
/// `Truncated` if it is shorter than the fixed fields; `BadHeader` if it is neither request nor
/// reply, or not about an Ethernet address. Missing or cut options are tolerated.
pub fn parse(payload: &[u8]) -> Result<DhcpMessage, Reason> {
    let fixed = payload
        .first_chunk::<FIXED_LEN>()
        .ok_or(Reason::Truncated)?;
    let [op, hardware, hardware_len, ..] = *fixed;
    if !matches!(op, 1 | BOOT_REPLY) || hardware != ETHERNET || hardware_len != 6 {
        return Err(Reason::BadHeader);
    }
    let mut message = DhcpMessage {
        reply: op == BOOT_REPLY,
        kind: None,
        transaction: u32::from_be_bytes(bytes_at(fixed, 4)),
        client_mac: MacAddr(bytes_at(fixed, 28)),
        client_ip: Ipv4Addr::from(bytes_at::<4>(fixed, 12)),
        your_ip: Ipv4Addr::from(bytes_at::<4>(fixed, 16)),
        relay_ip: Ipv4Addr::from(bytes_at::<4>(fixed, 24)),
        server: None,
        requested_ip: None,
        lease_s: None,
        host_name: Name::new(),
        vendor_class: Name::new(),
        parameters: ArrayVec::new(),
    };
    if let Some(options) = payload[FIXED_LEN..].strip_prefix(&MAGIC_COOKIE) {
        let overload = read_options(options, &mut message);
        // Bit 0: the file field holds options as well; bit 1: the server name field.
        if overload & 1 != 0 {
            read_options(&fixed[BOOT_FILE], &mut message);
        }
        if overload & 2 != 0 {
            read_options(&fixed[SERVER_NAME], &mut message);
        }
    }
    Ok(message)
}

/// `N` bytes at a place inside the fixed fields.
fn bytes_at<const N: usize>(fixed: &[u8; FIXED_LEN], at: usize) -> [u8; N] {
    core::array::from_fn(|i| fixed[at + i])
}

/// Reads options up to the end mark or the first one that is cut; returns the overload option.
fn read_options(mut options: &[u8], message: &mut DhcpMessage) -> u8 {
    let mut overload = 0;
    while let Some((&code, rest)) = options.split_first() {
        match code {
            0 => {
                options = rest;
                continue;
            }
            255 => break,
            _ => {}
        }
        let Some((&len, rest)) = rest.split_first() else {
            break;
        };
        let Some((value, rest)) = rest.split_at_checked(usize::from(len)) else {
            break;
        };
        if let (52, &[bits]) = (code, value) {
            overload = bits;
        }
        keep(code, value, message);
        options = rest;
    }
    overload
}

fn keep(code: u8, value: &[u8], message: &mut DhcpMessage) {
    match code {
        12 if message.host_name.is_empty() => message.host_name = printable(value),
        60 if message.vendor_class.is_empty() => message.vendor_class = printable(value),
        50 => message.requested_ip = message.requested_ip.or_else(|| address(value)),
        51 => message.lease_s = message.lease_s.or_else(|| number(value)),
        53 => message.kind = message.kind.or_else(|| kind(value)),
        54 => message.server = message.server.or_else(|| address(value)),
        55 if message.parameters.is_empty() => {
            message.parameters = value.iter().copied().take(KEPT_LEN).collect();
        }
        _ => {}
    }
}

fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

fn address(value: &[u8]) -> Option<Ipv4Addr> {
    number(value).map(Ipv4Addr::from)
}

fn kind(value: &[u8]) -> Option<DhcpKind> {
    let &[code] = value else { return None };
    Some(match code {
        1 => DhcpKind::Discover,
        2 => DhcpKind::Offer,
        3 => DhcpKind::Request,
        4 => DhcpKind::Decline,
        5 => DhcpKind::Ack,
        6 => DhcpKind::Nak,
        7 => DhcpKind::Release,
        8 => DhcpKind::Inform,
        other => DhcpKind::Other(other),
    })
}

/// Some clients end their strings with a zero byte; nobody means it.
fn printable(value: &[u8]) -> Name {
    let end = value
        .iter()
        .rposition(|&b| b != 0)
        .map_or(0, |last| last + 1);
    let mut name = Name::new();
    for &byte in value[..end].iter().take(KEPT_LEN) {
        name.push(if byte.is_ascii_graphic() || byte == b' ' {
            char::from(byte)
        } else {
            '?'
        });
    }
    name
}
