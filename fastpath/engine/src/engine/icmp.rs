//! ICMP and ICMPv6 beyond queries: errors, redirects, neighbour discovery and the rest.

use wardline_policy::{Reason, Side};

use super::miss::of;
use super::{Engine, Frame, Ruling, Subject};
use crate::flow::INITIATOR_IS_A;
use crate::flow::key::{Tuple, query_type};
use crate::meta::L3;
use crate::parse::{Quote, quote};
use crate::snoop::nd;
use crate::talk::Talk;

/// Least MTU of IPv4 (RFC 791) and IPv6 (RFC 8200); smaller ones are attacks (RFC 5927 §7.3).
const LEAST_MTU_4: u32 = 68;
const LEAST_MTU_6: u32 = 1280;

/// What a message other than a query is.
enum Kind {
    Error,
    /// Packet too big, with the MTU it names.
    TooBig {
        mtu: u32,
        least: u32,
    },
    Redirect,
    NeighbourDiscovery,
    Other,
}

impl Engine {
    pub(super) fn icmp(
        &mut self,
        frame: &Frame<'_>,
        subject: &Subject,
        talk: &Talk,
        [kind, code]: [u8; 2],
        rest: u32,
    ) -> Ruling {
        let version = match frame.meta.l3 {
            L3::Ip { version, .. } => version,
            L3::Arp | L3::Other => 0,
        };
        match classify(version, kind, code, rest) {
            Kind::Redirect => Ruling::new(Reason::IcmpRedirect),
            Kind::TooBig { mtu, least } if mtu < least => Ruling::new(Reason::IcmpMtu),
            Kind::Error | Kind::TooBig { .. } => self.icmp_error(frame, subject, version),
            Kind::NeighbourDiscovery => self.neighbour_discovery(frame, subject, talk),
            Kind::Other => of(&self.ask(subject, talk, false, frame.now)),
        }
    }

    /// An error passes if it is about a live conversation, and goes to the one who sent what it
    /// quotes.
    fn icmp_error(&mut self, frame: &Frame<'_>, subject: &Subject, version: u8) -> Ruling {
        let unrelated = Ruling::new(Reason::IcmpUnrelated);
        let Some(quote) = quote(frame.bytes, frame.meta) else {
            return unrelated;
        };
        let Some(tuple) = quoted_tuple(&quote, version) else {
            return unrelated;
        };
        let keyed = self.keyed(tuple, frame.meta);
        let Some(slot) = self.flows.find(&keyed.key, keyed.hash) else {
            return unrelated;
        };
        let live = !self.flows.expired(slot, frame.now) && self.is_current(slot, frame);
        if !live {
            return unrelated;
        }
        let hot = *self.flows.hot(slot);
        let L3::Ip { destination, .. } = frame.meta.l3 else {
            return unrelated;
        };
        let [ward, core] = self.flows.sides(slot);
        let receiver = match frame.from {
            Side::Ward => core,
            Side::Core => ward,
        };
        let goes_back = quote.source == destination && quote.source == receiver;
        let forth = keyed.source_is_a == hot.has(INITIATOR_IS_A);
        let tracker = self.flows.warm(slot).progress.tcp();
        let in_flight = |seq| tracker.is_some_and(|t| t.in_flight(seq, usize::from(!forth)));
        let sent = quote.tcp_seq().is_none_or(in_flight);
        if !goes_back || !sent || subject.key.mac != hot.mac {
            return unrelated;
        }
        if let Some(reason) = hot.would_drop {
            return Ruling::new(reason);
        }
        Ruling {
            rule: hot.rule,
            ..Ruling::new(Reason::RelatedIcmp)
        }
    }

    fn neighbour_discovery(&mut self, frame: &Frame<'_>, subject: &Subject, talk: &Talk) -> Ruling {
        let message = match nd::parse(frame.meta, frame.bytes) {
            Ok(message) => message,
            Err(reason) => return Ruling::new(reason),
        };
        if frame.from == Side::Ward
            && let Err(reason) = self.honest_nd(frame, subject, &message)
        {
            return Ruling::new(reason);
        }
        let ruling = of(&self.ask(subject, talk, false, frame.now));
        if ruling.reason.forwards() || !subject.mode.drops() {
            self.learn_nd(frame, subject, &message);
        }
        ruling
    }
}

fn classify(version: u8, kind: u8, code: u8, rest: u32) -> Kind {
    /// Code of type 3: fragmentation needed.
    const TOO_BIG_4: u8 = 4;
    match (version, kind) {
        (4, 3) if code == TOO_BIG_4 => Kind::TooBig {
            mtu: rest & 0xffff,
            least: LEAST_MTU_4,
        },
        (4, 3 | 11 | 12) | (6, 1 | 3 | 4) => Kind::Error,
        (6, 2) => Kind::TooBig {
            mtu: rest,
            least: LEAST_MTU_6,
        },
        (4, 5) | (6, 137) => Kind::Redirect,
        (6, 133..=136) => Kind::NeighbourDiscovery,
        _ => Kind::Other,
    }
}

/// The quoted packet's tuple, in the direction it was sent.
fn quoted_tuple(quote: &Quote, version: u8) -> Option<Tuple> {
    let (source_port, destination_port, query) = match (quote.ports(), quote.icmp()) {
        (Some((source, destination)), _) => (source, destination, 0),
        (None, Some((kind, _, id))) => (id, id, query_type(quote.protocol, kind)?.0),
        (None, None) => (0, 0, 0),
    };
    Some(Tuple {
        source: quote.source,
        destination: quote.destination,
        version,
        protocol: quote.protocol,
        source_port,
        destination_port,
        query,
    })
}
