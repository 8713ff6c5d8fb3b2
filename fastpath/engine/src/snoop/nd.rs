//! Neighbour discovery (RFC 4861, 4862, 6980).

use core::net::Ipv6Addr;

use wardline_policy::{MacAddr, Reason};

use crate::meta::{Fragment, L3, L4, PacketMeta};
use crate::parse::has_fragment_header;

/// A router forwards nothing with this hop limit, so it proves the sender is on the link.
const ON_LINK_HOP_LIMIT: u8 = 255;
const OPTION_SOURCE_LINK: u8 = 1;
const OPTION_TARGET_LINK: u8 = 2;
/// Options count their length in these.
const OPTION_UNIT: usize = 8;

/// One neighbour discovery message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NdMessage {
    /// What it is, with the fields of its kind.
    pub kind: NdKind,
    /// Source link-layer address option.
    pub source_link: Option<MacAddr>,
    /// Target link-layer address option.
    pub target_link: Option<MacAddr>,
}

/// What a neighbour discovery message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NdKind {
    /// A host asks for routers.
    RouterSolicitation,
    /// A router announces itself.
    RouterAdvertisement,
    /// Who has this address? With the source `::` it is a question whether the address is free
    /// (duplicate address detection).
    NeighbourSolicitation {
        /// The address asked for.
        target: Ipv6Addr,
    },
    /// The sender has this address.
    NeighbourAdvertisement {
        /// The address.
        target: Ipv6Addr,
        /// Whether it answers a solicitation.
        solicited: bool,
        /// Whether it replaces what the receiver knows.
        override_known: bool,
    },
    /// There is a better way to a destination.
    Redirect {
        /// The better first hop.
        target: Ipv6Addr,
        /// The destination.
        destination: Ipv6Addr,
    },
}

/// Whether the frame is a neighbour discovery message, by its ICMPv6 type.
pub fn is_nd(meta: &PacketMeta) -> bool {
    matches!(meta.l3, L3::Ip { version: 6, .. })
        && matches!(
            meta.l4,
            L4::Icmp {
                kind: 133..=137,
                ..
            }
        )
}

/// Reads the message of a frame for which [`is_nd`] holds.
///
/// # Errors
/// `NdOffLink` if the hop limit is not 255 or the datagram carries a fragment header, an atomic
/// one included (RFC 6980 §5); `BadHeader` if code, addresses or options break RFC 4861;
/// `Truncated` if it ends early.
pub fn parse(meta: &PacketMeta, frame: &[u8]) -> Result<NdMessage, Reason> {
    let (
        L3::Ip {
            source,
            destination,
            ..
        },
        L4::Icmp {
            kind, code, rest, ..
        },
    ) = (meta.l3, meta.l4)
    else {
        return Err(Reason::BadHeader);
    };
    let fragmented = meta.fragment != Fragment::Whole || has_fragment_header(frame, meta);
    if meta.hop_limit != ON_LINK_HOP_LIMIT || fragmented {
        return Err(Reason::NdOffLink);
    }
    if code != 0 {
        return Err(Reason::BadHeader);
    }
    let body = frame
        .get(usize::from(meta.payload_offset)..usize::from(meta.end))
        .ok_or(Reason::Truncated)?;
    let (kind, options) = read_kind(kind, rest, body)?;
    let (source_link, target_link) = read_options(options)?;
    let message = NdMessage {
        kind,
        source_link,
        target_link,
    };
    check_addresses(&message, source.into(), destination.into())?;
    Ok(message)
}

/// The fields behind the first eight bytes, and the options behind them.
fn read_kind(kind: u8, rest: u32, body: &[u8]) -> Result<(NdKind, &[u8]), Reason> {
    match kind {
        133 => Ok((NdKind::RouterSolicitation, body)),
        134 => {
            // Reachable time and retransmission timer.
            let (_, options) = body.split_first_chunk::<8>().ok_or(Reason::Truncated)?;
            Ok((NdKind::RouterAdvertisement, options))
        }
        135 => {
            let (target, options) = address(body)?;
            Ok((NdKind::NeighbourSolicitation { target }, options))
        }
        136 => {
            let (target, options) = address(body)?;
            let kind = NdKind::NeighbourAdvertisement {
                target,
                solicited: rest & 1 << 30 != 0,
                override_known: rest & 1 << 29 != 0,
            };
            Ok((kind, options))
        }
        137 => {
            let (target, body) = address(body)?;
            let (destination, options) = address(body)?;
            Ok((
                NdKind::Redirect {
                    target,
                    destination,
                },
                options,
            ))
        }
        _ => Err(Reason::BadHeader),
    }
}

fn address(body: &[u8]) -> Result<(Ipv6Addr, &[u8]), Reason> {
    let (address, rest) = body.split_first_chunk::<16>().ok_or(Reason::Truncated)?;
    Ok((Ipv6Addr::from(*address), rest))
}

/// The link-layer addresses among the options; of several of one kind the last counts, as in
/// the stacks that receive them. An option of length zero makes the message void (§4.6).
fn read_options(mut options: &[u8]) -> Result<(Option<MacAddr>, Option<MacAddr>), Reason> {
    let (mut source_link, mut target_link) = (None, None);
    while let [kind, units, ..] = *options {
        let len = usize::from(units) * OPTION_UNIT;
        if len == 0 {
            return Err(Reason::BadHeader);
        }
        let (option, rest) = options.split_at_checked(len).ok_or(Reason::Truncated)?;
        if let [_, _, a, b, c, d, e, f] = *option {
            let link = MacAddr([a, b, c, d, e, f]);
            match kind {
                OPTION_SOURCE_LINK => source_link = Some(link),
                OPTION_TARGET_LINK => target_link = Some(link),
                _ => {}
            }
        }
        options = rest;
    }
    if options.is_empty() {
        Ok((source_link, target_link))
    } else {
        Err(Reason::Truncated)
    }
}

/// The validity checks of RFC 4861 §6.1, §7.1 and §8.1 that concern addresses.
fn check_addresses(
    message: &NdMessage,
    source: Ipv6Addr,
    destination: Ipv6Addr,
) -> Result<(), Reason> {
    let unspecified = source.is_unspecified();
    let valid = match message.kind {
        NdKind::RouterSolicitation => !unspecified || message.source_link.is_none(),
        NdKind::RouterAdvertisement => source.is_unicast_link_local(),
        NdKind::NeighbourSolicitation { target } => {
            let asks_freely = is_solicited_node(destination) && message.source_link.is_none();
            !target.is_multicast() && (!unspecified || asks_freely)
        }
        NdKind::NeighbourAdvertisement {
            target, solicited, ..
        } => !target.is_multicast() && (!solicited || !destination.is_multicast()),
        NdKind::Redirect { destination, .. } => {
            source.is_unicast_link_local() && !destination.is_multicast()
        }
    };
    if valid {
        Ok(())
    } else {
        Err(Reason::BadHeader)
    }
}

/// `ff02::1:ffXX:XXXX`
fn is_solicited_node(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [0xff02, 0, 0, 0, 0, 1, low, _] if low >> 8 == 0xff)
}
