//! ARP for IPv4 over Ethernet (RFC 826, 5227).

use core::net::Ipv4Addr;

use etherparse::{ArpHardwareId, ArpOperation, ArpPacketSlice, EtherType};
use wardline_policy::{MacAddr, Reason};

/// One ARP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArpMessage {
    /// Request or reply.
    pub op: ArpOp,
    /// Hardware address of the sender; must be the Ethernet source for the message to be honest.
    pub sender_mac: MacAddr,
    /// Protocol address of the sender; 0.0.0.0 in a probe.
    pub sender_ip: Ipv4Addr,
    /// Hardware address of the target; meaningless in a request.
    pub target_mac: MacAddr,
    /// Protocol address of the target.
    pub target_ip: Ipv4Addr,
}

/// What an ARP message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArpOp {
    /// Who has the target address?
    Request,
    /// The sender has it.
    Reply,
}

impl ArpMessage {
    /// A question whether an address is free, asked before taking it (RFC 5227 §1.1).
    pub fn is_probe(&self) -> bool {
        self.op == ArpOp::Request && self.sender_ip.is_unspecified()
    }

    /// The sender tells everybody its own address.
    pub fn is_announcement(&self) -> bool {
        self.sender_ip == self.target_ip && !self.sender_ip.is_unspecified()
    }
}

/// Reads the ARP message behind the Ethernet header; padding may follow it.
///
/// # Errors
/// `Truncated`; `BadHeader` if it is not about IPv4 over Ethernet, is neither request nor reply
/// (reverse and inverse ARP have no use on a clinical network), or claims that a group of
/// stations has the sender's address.
pub fn parse(payload: &[u8]) -> Result<ArpMessage, Reason> {
    let packet = ArpPacketSlice::from_slice(payload).map_err(|_| Reason::Truncated)?;
    // Some stations number Ethernet as IEEE 802, and receivers take both.
    let ethernet = matches!(
        packet.hw_addr_type(),
        ArpHardwareId::ETHERNET | ArpHardwareId::IEEE802
    );
    if !ethernet || packet.proto_addr_type() != EtherType::IPV4 {
        return Err(Reason::BadHeader);
    }
    let message = ArpMessage {
        op: match packet.operation() {
            ArpOperation::REQUEST => ArpOp::Request,
            ArpOperation::REPLY => ArpOp::Reply,
            _ => return Err(Reason::BadHeader),
        },
        sender_mac: mac(packet.sender_hw_addr())?,
        sender_ip: ipv4(packet.sender_protocol_addr())?,
        target_mac: mac(packet.target_hw_addr())?,
        target_ip: ipv4(packet.target_protocol_addr())?,
    };
    let honest = !message.sender_mac.is_group()
        && !message.sender_ip.is_multicast()
        && !message.sender_ip.is_broadcast();
    if honest {
        Ok(message)
    } else {
        Err(Reason::BadHeader)
    }
}

fn mac(bytes: &[u8]) -> Result<MacAddr, Reason> {
    bytes.try_into().map(MacAddr).map_err(|_| Reason::BadHeader)
}

fn ipv4(bytes: &[u8]) -> Result<Ipv4Addr, Reason> {
    <[u8; 4]>::try_from(bytes)
        .map(Ipv4Addr::from)
        .map_err(|_| Reason::BadHeader)
}
