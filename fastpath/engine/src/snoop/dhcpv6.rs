//! DHCP for IPv6 (RFC 8415): who was given which address.

use core::net::Ipv6Addr;

use arrayvec::ArrayVec;
use wardline_policy::Reason;

use crate::meta::{L3, L4, PacketMeta};

const CLIENT_PORT: u16 = 546;
const SERVER_PORT: u16 = 547;
const OPTION_CLIENT_ID: u16 = 1;
const OPTION_IA_NA: u16 = 3;
const OPTION_IA_TA: u16 = 4;
const OPTION_IA_ADDRESS: u16 = 5;
const OPTION_STATUS: u16 = 13;
/// Identifier and two times before the options of a non-temporary association.
const IA_NA_FIXED_LEN: usize = 12;
/// Identifier before the options of a temporary association.
const IA_TA_FIXED_LEN: usize = 4;
/// RFC 8415 §11.1.
const MAX_DUID_LEN: usize = 130;
/// Leases kept of one message.
pub const MAX_LEASES: usize = 8;

/// One message between client and server. It borrows from the frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhcpV6Message<'a> {
    /// What it is.
    pub kind: DhcpV6Kind,
    /// Chosen by the client, repeated by the server; 24 bits.
    pub transaction: u32,
    /// The client's identifier (DUID, 1 to 130 bytes); empty if absent.
    pub client_id: &'a [u8],
    /// Addresses in the message, as asked for or as given; further ones are left out.
    pub leases: ArrayVec<Lease, MAX_LEASES>,
}

/// One address of an identity association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv6Addr,
    /// Valid lifetime in seconds; 0 means it is taken back, `u32::MAX` that it never ends.
    pub valid_s: u32,
}

/// The type of a DHCPv6 message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DhcpV6Kind {
    /// A client asks: solicit, request, confirm, renew, rebind, release, decline or
    /// information-request, by its number.
    Client(u8),
    /// A server offers addresses.
    Advertise,
    /// A server gives, prolongs or takes back addresses.
    Reply,
    /// A server asks its client to ask again.
    Reconfigure,
    /// A type of a later extension.
    Other(u8),
}

impl DhcpV6Message<'_> {
    /// Whether only a server says this.
    pub const fn is_from_server(&self) -> bool {
        matches!(
            self.kind,
            DhcpV6Kind::Advertise | DhcpV6Kind::Reply | DhcpV6Kind::Reconfigure
        )
    }
}

/// Whether the frame goes between the ports of DHCP for IPv6.
pub fn is_dhcpv6(meta: &PacketMeta) -> bool {
    let port = |p| matches!(p, CLIENT_PORT | SERVER_PORT);
    matches!(meta.l3, L3::Ip { version: 6, .. })
        && matches!(meta.l4, L4::Udp { destination, .. } if port(destination))
}

/// Reads the UDP payload of a DHCPv6 message.
///
/// # Errors
/// `Truncated` if a header or option ends early; `BadHeader` for a client identifier of
/// impossible length; `BaselineDenied` for messages between relays and servers, which have no
/// place on a line to a device and would hide others inside.
pub fn parse(payload: &[u8]) -> Result<DhcpV6Message<'_>, Reason> {
    let (&[code, t2, t1, t0], options) =
        payload.split_first_chunk::<4>().ok_or(Reason::Truncated)?;
    let mut message = DhcpV6Message {
        kind: match code {
            1 | 3..=6 | 8 | 9 | 11 => DhcpV6Kind::Client(code),
            2 => DhcpV6Kind::Advertise,
            7 => DhcpV6Kind::Reply,
            10 => DhcpV6Kind::Reconfigure,
            12 | 13 => return Err(Reason::BaselineDenied),
            other => DhcpV6Kind::Other(other),
        },
        transaction: u32::from_be_bytes([0, t2, t1, t0]),
        client_id: &[],
        leases: ArrayVec::new(),
    };
    for option in Options(options) {
        let (code, value) = option?;
        match code {
            OPTION_CLIENT_ID if value.is_empty() || value.len() > MAX_DUID_LEN => {
                return Err(Reason::BadHeader);
            }
            OPTION_CLIENT_ID => message.client_id = value,
            OPTION_IA_NA => read_association(value, IA_NA_FIXED_LEN, &mut message)?,
            OPTION_IA_TA => read_association(value, IA_TA_FIXED_LEN, &mut message)?,
            _ => {}
        }
    }
    Ok(message)
}

fn read_association(
    value: &[u8],
    fixed_len: usize,
    message: &mut DhcpV6Message<'_>,
) -> Result<(), Reason> {
    let options = value.get(fixed_len..).ok_or(Reason::Truncated)?;
    for option in Options(options) {
        if let (OPTION_IA_ADDRESS, value) = option? {
            let (address, rest) = value.split_first_chunk::<16>().ok_or(Reason::Truncated)?;
            // Preferred lifetime, valid lifetime, options of the address.
            let (lifetimes, options) = rest.split_first_chunk::<8>().ok_or(Reason::Truncated)?;
            let [.., v3, v2, v1, v0] = *lifetimes;
            let lease = Lease {
                address: Ipv6Addr::from(*address),
                valid_s: u32::from_be_bytes([v3, v2, v1, v0]),
            };
            if !is_refused(options)? {
                // More than the array holds are left out: the device then binds them by ND.
                let _ = message.leases.try_push(lease);
            }
        }
    }
    Ok(())
}

/// A status other than success says that the address was not given.
fn is_refused(options: &[u8]) -> Result<bool, Reason> {
    for option in Options(options) {
        if let (OPTION_STATUS, [high, low, ..]) = option? {
            return Ok((*high, *low) != (0, 0));
        }
    }
    Ok(false)
}

/// Walks options; a cut one ends the walk with an error.
struct Options<'a>(&'a [u8]);

impl<'a> Options<'a> {
    fn split_first(&mut self) -> Option<(u16, &'a [u8])> {
        let (&[c1, c0, l1, l0], rest) = self.0.split_first_chunk::<4>()?;
        let len = usize::from(u16::from_be_bytes([l1, l0]));
        let (value, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((u16::from_be_bytes([c1, c0]), value))
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Result<(u16, &'a [u8]), Reason>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let option = self.split_first().ok_or(Reason::Truncated);
        if option.is_err() {
            self.0 = &[];
        }
        Some(option)
    }
}
