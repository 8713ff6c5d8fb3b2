//! Datagrams in fragments.

use wardline_engine::Limits;
use wardline_policy::{Reason::*, Side};

use crate::frames::*;
use crate::ward::*;

const LOG: (u16, u16) = (40_000, 514);

/// A first fragment with 32 bytes of data.
fn first(ports: (u16, u16), id: u16) -> Vec<u8> {
    let mut datagram = udp_datagram(ports, &[1; 56]);
    datagram.truncate(32);
    fragment4(&PUMP, &SERVER, 17, (id, 0, true), &datagram)
}

fn later(id: u16, offset: u16, len: usize, more: bool) -> Vec<u8> {
    fragment4(&PUMP, &SERVER, 17, (id, offset, more), &vec![2; len])
}

#[test]
fn row_later_fragments_follow_an_allowed_first() {
    let mut w = Ward::new();
    w.ward(&first(LOG, 9), Allowed);
    w.ward(&later(9, 32, 16, true), FragmentFollows);
    w.ward(&later(9, 48, 16, false), FragmentFollows);
    // Of the established conversation as well.
    w.ward(&first(LOG, 10), Established);
    w.ward(&later(10, 32, 32, false), FragmentFollows);
}

#[test]
fn row_later_fragments_follow_a_denied_first() {
    let mut w = Ward::new();
    w.ward(&first((40_000, 9999), 9), NoRule);
    w.ward(&later(9, 32, 32, false), NoRule);
}

#[test]
fn row_fragment_before_first() {
    let mut w = Ward::new();
    w.ward(&later(9, 32, 32, false), FragmentBeforeFirst);
    w.ward(&first(LOG, 9), Allowed);
    // Another datagram, the other direction, another pair.
    w.ward(&later(8, 32, 32, false), FragmentBeforeFirst);
    w.core(
        &fragment4(&SERVER, &PUMP, 17, (9, 32, false), &[2; 32]),
        FragmentBeforeFirst,
    );
    w.ward(
        &fragment4(&PUMP, &SECOND, 17, (9, 32, false), &[2; 32]),
        FragmentBeforeFirst,
    );
    w.ward(
        &fragment4(&PUMP, &SERVER, 6, (9, 32, false), &[2; 32]),
        FragmentBeforeFirst,
    );
}

#[test]
fn row_overlap_kills_the_datagram() {
    for (offset, len) in [(24, 16), (0, 8), (8, 8), (16, 48)] {
        let mut w = Ward::new();
        w.ward(&first(LOG, 9), Allowed);
        if offset == 0 {
            // A second, different first fragment.
            let mut shorter = udp_datagram(LOG, &[1; 56]);
            shorter.truncate(24);
            w.ward(
                &fragment4(&PUMP, &SERVER, 17, (9, 0, true), &shorter),
                FragmentOverlap,
            );
        } else {
            w.ward(&later(9, offset, len, false), FragmentOverlap);
        }
        w.ward(&later(9, 64, 8, false), FragmentOverlap);
    }
}

#[test]
fn row_exact_duplicate_is_harmless() {
    let mut w = Ward::new();
    w.ward(&first(LOG, 9), Allowed);
    w.ward(&first(LOG, 9), Established);
    w.ward(&later(9, 32, 16, true), FragmentFollows);
    w.ward(&later(9, 32, 16, true), FragmentFollows);
    w.ward(&later(9, 48, 16, false), FragmentFollows);
}

#[test]
fn row_denied_twin_of_the_first_ends_the_datagram() {
    let mut w = Ward::new();
    w.ward(&first(LOG, 9), Allowed);
    w.ward(&first((40_000, 9999), 9), NoRule);
    w.ward(&later(9, 32, 32, false), NoRule);
}

#[test]
fn row_datagram_is_forgotten_after_30_s() {
    let mut w = Ward::new();
    w.ward(&first(LOG, 9), Allowed);
    w.wait_s(29);
    w.ward(&later(9, 32, 16, true), FragmentFollows);
    w.wait_s(2);
    w.ward(&later(9, 48, 16, false), FragmentBeforeFirst);
}

#[test]
fn row_fragment_table_is_bounded() {
    let limits = Limits {
        fragments: 4,
        ..no_grace()
    };
    let mut w = Ward::with(POLICY, limits);
    w.ward(&first(LOG, 1), Allowed);
    for id in 2..=4 {
        w.ward(&first(LOG, id), Established);
    }
    w.ward(&first(LOG, 5), FragmentTableFull);
    w.ward(&later(1, 32, 32, false), FragmentFollows);
    w.wait_s(31);
    w.idle();
    w.ward(&first(LOG, 6), Established);
}

#[test]
fn row_fragments_of_a_revoked_permission_do_not_follow() {
    let mut w = Ward::new();
    w.ward(&first(LOG, 9), Allowed);
    w.swap(&POLICY.replace("ports = 514", "ports = 515"));
    w.ward(&first(LOG, 10), Revoked);
    w.ward(&later(10, 32, 32, false), Revoked);
}

#[test]
fn row_spoofed_later_fragment_does_not_follow() {
    let mut w = Ward::new();
    w.ward(&first(LOG, 9), Allowed);
    let spoofed = fragment4(&MONITOR.at(PUMP.ip), &SERVER, 17, (9, 32, false), &[2; 32]);
    w.ward(&spoofed, SpoofedIpv4);
}

#[test]
fn row_ipv6_fragments_and_atomic_ones() {
    let mut w = Ward::new();
    let datagram = udp_datagram(LOG, &[1; 56]);
    let header = |id: u8, offset: u16, more: bool| {
        let mut bytes = vec![17, 0];
        bytes.extend((offset | u16::from(more)).to_be_bytes());
        bytes.extend([0, 0, 0, id]);
        bytes
    };
    let frame = |header: Vec<u8>, data: &[u8]| {
        let payload = [&header, data].concat();
        ip6(
            (PUMP.mac, SERVER.mac),
            PUMP.ip6(),
            SERVER.ip6(),
            (44, 64),
            &payload,
        )
    };
    w.ward(
        &frame(header(1, 32, false), &datagram[32..]),
        FragmentBeforeFirst,
    );
    w.ward(&frame(header(1, 0, true), &datagram[..32]), Allowed);
    w.ward(
        &frame(header(1, 32, false), &datagram[32..]),
        FragmentFollows,
    );
    // An atomic fragment is a whole packet (RFC 6946), whatever its identification.
    w.ward(&frame(header(1, 0, false), &datagram), Established);
}

#[test]
fn row_fragments_of_an_observed_device_all_pass() {
    let mut w = Ward::under(&pump_in("observe"));
    let frames = [
        later(9, 32, 16, true),
        first(LOG, 9),
        later(9, 24, 16, false),
        later(9, 64, 8, false),
    ];
    let verdicts = w.burst(Side::Ward, &frames);
    let would: Vec<_> = verdicts.iter().map(|v| v.would_drop).collect();
    assert!(verdicts.iter().all(|v| v.reason == Observed));
    assert_eq!(
        would,
        [
            Some(FragmentBeforeFirst),
            None,
            Some(FragmentOverlap),
            Some(FragmentOverlap)
        ]
    );
}
