//! What passing DHCP and DNS messages teach about devices.

use core::net::IpAddr;

use core::hash::BuildHasher;
use foldhash::fast::FixedState;
use wardline_policy::{DeviceKey, Side};

use super::{Engine, Frame, Subject};
use crate::EventKind;
use crate::binding::{Claim, Evidence, Owner};
use crate::device::{Dhcp, Question, ip};
use crate::flow::NONE;
use crate::meta::{L3, L4};
use crate::snoop::dhcp::{DhcpKind, DhcpMessage};
use crate::snoop::dhcpv6::{DhcpV6Kind, DhcpV6Message};
use crate::snoop::{dhcp, dhcpv6, dns};
use crate::talk::mapped;

impl Engine {
    /// Reads a message that was let pass. `device`: the slot it is from or for.
    pub(super) fn learn(&mut self, frame: &Frame<'_>, device: u32) {
        if dhcp::is_dhcp(frame.meta) {
            let Ok(message) = dhcp::parse(frame.payload()) else {
                return;
            };
            match frame.from {
                Side::Ward => self.learn_request(frame, device, &message),
                Side::Core => self.learn_grant(frame, &message),
            }
        } else if dhcpv6::is_dhcpv6(frame.meta) {
            let Ok(message) = dhcpv6::parse(frame.payload()) else {
                return;
            };
            self.learn_dhcpv6(frame, device, &message);
        } else if dns::is_dns(frame.meta) && device != NONE {
            let Ok(message) = dns::parse(frame.payload()) else {
                return;
            };
            match frame.from {
                Side::Ward => self.learn_question(frame, device, &message),
                Side::Core => self.learn_answer(frame, device, &message),
            }
        }
    }

    fn learn_request(&mut self, frame: &Frame<'_>, slot: u32, message: &DhcpMessage) {
        let Some(key) = self.devices.key(slot) else {
            return;
        };
        if message.client_mac != key.mac {
            return;
        }
        if message.kind == Some(DhcpKind::Release) {
            let address = mapped(message.client_ip);
            self.bindings.release(slot, address, key.vlan, frame.now);
        }
        let Some(device) = self.devices.get_mut(slot) else {
            return;
        };
        device.dhcp_transaction = Some(message.transaction);
        let facts = device.dhcp.get_or_insert_with(Dhcp::default);
        if !message.host_name.is_empty() {
            facts.host_name = message.host_name;
        }
        if !message.vendor_class.is_empty() {
            facts.vendor_class = message.vendor_class;
        }
        if !message.parameters.is_empty() {
            facts.parameters = message.parameters.clone();
        }
    }

    /// An ACK binds if the device asked with this transaction; it may come by broadcast.
    fn learn_grant(&mut self, frame: &Frame<'_>, message: &DhcpMessage) {
        let grants = message.kind == Some(DhcpKind::Ack) && !message.your_ip.is_unspecified();
        let key = DeviceKey {
            mac: message.client_mac,
            vlan: frame.meta.vlan,
        };
        let slot = self.known_slot(&key);
        let asked = self.devices.get(slot).and_then(|d| d.dhcp_transaction);
        if grants && asked == Some(message.transaction) {
            let evidence = Evidence::Lease(message.lease_s.unwrap_or(0));
            self.grant(frame, slot, mapped(message.your_ip), evidence);
        }
    }

    fn learn_dhcpv6(&mut self, frame: &Frame<'_>, slot: u32, message: &DhcpV6Message<'_>) {
        let Some(device) = self.devices.get_mut(slot) else {
            return;
        };
        match (frame.from, message.kind) {
            (Side::Ward, DhcpV6Kind::Client(_)) => {
                device.dhcpv6_transaction = Some(message.transaction);
            }
            (Side::Core, DhcpV6Kind::Reply)
                if device.dhcpv6_transaction == Some(message.transaction) =>
            {
                for lease in message.leases.iter().filter(|l| l.valid_s > 0) {
                    let evidence = Evidence::Lease(lease.valid_s);
                    self.grant(frame, slot, lease.address.octets(), evidence);
                }
            }
            _ => {}
        }
    }

    /// A server gave a device an address.
    fn grant(&mut self, frame: &Frame<'_>, slot: u32, address: [u8; 16], evidence: Evidence) {
        let Some(key) = self.devices.key(slot) else {
            return;
        };
        let fixed = self.snapshot.fixed_owner(ip(address), key.vlan);
        if fixed.is_some_and(|entry| entry != self.snapshot.lookup(&key)) {
            return;
        }
        let owner = Owner::Device(slot);
        let claim = self
            .bindings
            .claim(owner, address, key.vlan, evidence, frame.now);
        if claim == Claim::Bound {
            let address = ip(address);
            self.tell(frame.now_ns, Some(key), EventKind::AddressBound { address });
        }
    }

    fn learn_question(&mut self, frame: &Frame<'_>, slot: u32, message: &dns::DnsMessage) {
        let Some(question) = question(frame, message) else {
            return;
        };
        let Some(key) = self.devices.key(slot) else {
            return;
        };
        let Subject { entry, .. } = self.subject(slot, key);
        let wanted = self.snapshot.dns_name(entry, &message.name).is_some();
        if wanted
            && !message.response
            && let Some(device) = self.devices.get_mut(slot)
        {
            device.ask(question);
        }
    }

    fn learn_answer(&mut self, frame: &Frame<'_>, slot: u32, message: &dns::DnsMessage) {
        let Some(question) = question(frame, message) else {
            return;
        };
        let asked = self
            .devices
            .get_mut(slot)
            .is_some_and(|d| message.response && d.asked(&question));
        if !asked {
            return;
        }
        for answer in &message.answers {
            let address = match answer.address {
                IpAddr::V4(address) => mapped(address),
                IpAddr::V6(address) => address.octets(),
            };
            self.names
                .learn(slot, &message.name, address, answer.ttl_s, frame.now);
        }
    }
}

/// What joins a question and its answer, seen from the device.
fn question(frame: &Frame<'_>, message: &dns::DnsMessage) -> Option<Question> {
    let (
        L3::Ip {
            source,
            destination,
            ..
        },
        L4::Udp {
            source: from,
            destination: to,
        },
    ) = (frame.meta.l3, frame.meta.l4)
    else {
        return None;
    };
    let (port, server) = match frame.from {
        Side::Ward => (from, destination),
        Side::Core => (to, source),
    };
    // Collisions do no harm: identifier, port and server agree as well.
    let name_hash = FixedState::with_seed(0).hash_one(message.name.as_str());
    Some(Question {
        id: message.id,
        port,
        server,
        name_hash,
    })
}
