//! ARP, neighbour discovery and frames that are not IP.

use wardline_policy::{Reason, Side};

use super::miss::of;
use super::{Engine, Frame, Ruling, Subject};
use crate::binding::Evidence;
use crate::snoop::arp::{self, ArpMessage, ArpOp};
use crate::snoop::nd::{NdKind, NdMessage};
use crate::talk::{is_unspecified, mapped};

/// ARP replies and announcements of one device a second. Many stations ask a device that serves
/// them for its address at once; none needs it told more often than that.
const ARP_REPLIES_PER_S: u32 = 20;

impl Engine {
    pub(super) fn other_ethertype(&self, frame: &Frame<'_>) -> Ruling {
        let meta = frame.meta;
        of(&self
            .snapshot
            .decide_ethertype(frame.from, meta.ethertype, meta.destination_mac))
    }

    pub(super) fn arp(&mut self, frame: &Frame<'_>, subject: &Subject) -> Ruling {
        let payload = frame
            .bytes
            .get(usize::from(frame.meta.l3_offset)..)
            .unwrap_or_default();
        let message = match arp::parse(payload) {
            Ok(message) => message,
            Err(reason) => return Ruling::new(reason),
        };
        if frame.from == Side::Ward && !self.honest_arp(frame, subject, &message) {
            return Ruling::new(Reason::SpoofedArp);
        }
        if frame.from == Side::Ward && !self.within_arp_replies(frame, subject, &message) {
            return Ruling::new(Reason::StormArp);
        }
        let ruling = self.other_ethertype(frame);
        let learns = ruling.reason.forwards() || !subject.mode.drops();
        if learns && !message.sender_ip.is_unspecified() {
            self.bind(frame, subject, mapped(message.sender_ip), Evidence::Use);
        }
        ruling
    }

    /// Whether a device tells its address no more often than a station needs to.
    fn within_arp_replies(
        &mut self,
        frame: &Frame<'_>,
        subject: &Subject,
        message: &ArpMessage,
    ) -> bool {
        let tells = message.op == ArpOp::Reply || message.is_announcement();
        let device = self.devices.get_mut(subject.slot).filter(|_| tells);
        device.is_none_or(|d| d.arp_replies.take(ARP_REPLIES_PER_S, frame.now_ns))
    }

    /// The sender speaks for itself, about an address it may use. A probe claims nothing: who
    /// has the address defends it (RFC 5227).
    fn honest_arp(&self, frame: &Frame<'_>, subject: &Subject, message: &ArpMessage) -> bool {
        message.sender_mac == frame.meta.source_mac
            && (message.sender_ip.is_unspecified()
                || self.may_use(subject, mapped(message.sender_ip), frame.now))
    }

    /// The same for neighbour discovery: link-layer addresses are the sender's own, and an
    /// advertised address is one it may use.
    pub(super) fn honest_nd(
        &self,
        frame: &Frame<'_>,
        subject: &Subject,
        message: &NdMessage,
    ) -> Result<(), Reason> {
        let own = |link: Option<_>| link.is_none_or(|mac| mac == frame.meta.source_mac);
        let honest = own(message.source_link)
            && match message.kind {
                NdKind::NeighbourAdvertisement { target, .. } => {
                    own(message.target_link) && self.may_use(subject, target.octets(), frame.now)
                }
                _ => true,
            };
        if honest {
            Ok(())
        } else {
            Err(Reason::SpoofedNd)
        }
    }

    /// Duplicate address detection starts a binding unless somebody has the address, an
    /// advertisement is one.
    pub(super) fn learn_nd(&mut self, frame: &Frame<'_>, subject: &Subject, message: &NdMessage) {
        let crate::meta::L3::Ip { source, .. } = frame.meta.l3 else {
            return;
        };
        match message.kind {
            NdKind::NeighbourAdvertisement { target, .. } => {
                self.bind(frame, subject, target.octets(), Evidence::Use);
            }
            NdKind::NeighbourSolicitation { target } if is_unspecified(source) => {
                self.bind(frame, subject, target.octets(), Evidence::Use);
            }
            _ => {}
        }
    }
}
