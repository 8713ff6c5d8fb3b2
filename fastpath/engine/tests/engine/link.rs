//! Tags, EtherTypes and headers.

use etherparse::IpNumber;
use wardline_policy::{Reason, Side};

use crate::lab::*;

fn tagged(tags: &[u16], ports: (u16, u16)) -> Vec<u8> {
    let segment = tcp_segment(ports, SYN, (1000, 0), b"");
    let packet = ipv4(MODALITY.ip, PACS.ip, IpNumber::TCP, &segment);
    ethernet(MODALITY.mac, PACS.mac, tags, 0x0800, &packet)
}

#[test]
fn row_8021q_tag() {
    let mut lab = Lab::new();
    passes(lab.ward(&tagged(&[10], (40_000, 104))), Reason::Allowed);
    // The same addresses in another VLAN are another device and another conversation.
    drops(lab.ward(&tagged(&[11], (40_000, 104))), Reason::NoRule);
    passes(lab.ward(&tagged(&[], (40_000, 104))), Reason::Allowed);
    assert_eq!(lab.engine.flows().count(), 2);
    // Priority bits are not part of the VLAN.
    passes(
        lab.ward(&tagged(&[10 | 5 << 13], (40_000, 104))),
        Reason::Established,
    );
}

#[test]
fn row_priority_tag() {
    let mut lab = Lab::new();
    passes(
        lab.ward(&tagged(&[6 << 13], (40_000, 104))),
        Reason::Allowed,
    );
    passes(lab.ward(&tagged(&[], (40_000, 104))), Reason::Established);
}

#[test]
fn row_qinq() {
    let mut lab = Lab::new();
    drops(
        lab.ward(&tagged(&[10, 20], (40_000, 104))),
        Reason::VlanStack,
    );
    // Hopping with the priority tag, too.
    drops(
        lab.ward(&tagged(&[0, 10], (40_000, 104))),
        Reason::VlanStack,
    );
    drops(
        lab.ward(&tagged(&[10, 20, 30], (40_000, 104))),
        Reason::VlanStack,
    );
    drops(
        lab.core(&tagged(&[10, 20], (40_000, 104))),
        Reason::VlanStack,
    );
}

#[test]
fn row_padding_and_trailers() {
    let mut lab = Lab::new();
    let mut padded = syn(&MODALITY, &PACS, (40_000, 104));
    padded.extend([0xaa; 40]);
    passes(lab.ward(&padded), Reason::Allowed);
    let mut short = syn(&MODALITY, &PACS, (40_001, 104));
    short.truncate(short.len() - 1);
    drops(lab.ward(&short), Reason::Truncated);
}

#[test]
fn row_runts() {
    let mut lab = Lab::in_mode("observe");
    for len in 0..14 {
        let verdict = lab.ward(&[0; 14][..len]);
        drops(verdict, Reason::Runt);
    }
}

#[test]
fn row_llc_snap() {
    let mut lab = Lab::new();
    let packet = ipv4(
        MODALITY.ip,
        ATTACKER.ip,
        IpNumber::TCP,
        &tcp_segment((1, 22), SYN, (1, 0), b""),
    );
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], packet.as_slice()].concat();
    let frame = ethernet(MODALITY.mac, ATTACKER.mac, &[], snap.len() as u16, &snap);
    drops(lab.ward(&frame), Reason::NoRule);
    // What it carries is judged as if it came without the envelope.
    let packet = ipv4(
        MODALITY.ip,
        PACS.ip,
        IpNumber::TCP,
        &tcp_segment((1, 104), SYN, (1, 0), b""),
    );
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], packet.as_slice()].concat();
    let frame = ethernet(MODALITY.mac, PACS.mac, &[], snap.len() as u16, &snap);
    passes(lab.ward(&frame), Reason::Allowed);
}

#[test]
fn row_unknown_ethertype() {
    let mut lab = Lab::new();
    for ethertype in [0x0842, 0x8137, 0x22f0, 0x9000] {
        let frame = ethernet(MODALITY.mac, PACS.mac, &[], ethertype, &[0; 46]);
        drops(lab.ward(&frame), Reason::BaselineDenied);
        let frame = ethernet(PACS.mac, MODALITY.mac, &[], ethertype, &[0; 46]);
        drops(lab.core(&frame), Reason::BaselineDenied);
    }
}

#[test]
fn row_ipv4_options() {
    let mut lab = Lab::new();
    let segment = tcp_segment((40_000, 104), SYN, (1000, 0), b"");
    // Loose and strict source route, record route.
    for option in [131, 137, 7] {
        let mut packet = ipv4(MODALITY.ip, PACS.ip, IpNumber::TCP, &segment);
        packet.splice(20..20, [option, 7, 4, 10, 0, 0, 66, 0]);
        packet[0] = 0x47;
        let len = packet.len() as u16;
        packet[2..4].copy_from_slice(&len.to_be_bytes());
        packet[10..12].copy_from_slice(&[0, 0]);
        let sum = packet[..28]
            .chunks(2)
            .map(|c| u32::from(c[0]) << 8 | u32::from(c[1]))
            .sum::<u32>();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        let frame = ethernet(MODALITY.mac, PACS.mac, &[], 0x0800, &packet);
        drops(lab.ward(&frame), Reason::Ipv4Options);
    }
}

#[test]
fn row_extension_headers() {
    let mut lab = Lab::new();
    let segment = tcp_segment((40_000, 104), SYN, (1000, 0), b"");
    let send = |lab: &mut Lab, first: u8, headers: &[u8]| {
        let packet = [headers, segment.as_slice()].concat();
        let packet = ipv6(MODALITY.ip6, PACS.ip6, IpNumber(first), 64, &packet);
        lab.ward(&ethernet(MODALITY.mac, PACS.mac, &[], 0x86dd, &packet))
    };
    // One destination options header is odd, but legal.
    passes(
        send(&mut lab, 60, &[6, 0, 1, 4, 0, 0, 0, 0]),
        Reason::Allowed,
    );
    // Routing type 0.
    let routing = [&[6, 2, 0, 1, 0, 0, 0, 0][..], &PACS.ip6.octets()].concat();
    drops(send(&mut lab, 43, &routing), Reason::Ipv6Routing);
    // Hop-by-hop behind another header.
    let late = [0, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0];
    drops(send(&mut lab, 60, &late), Reason::Ipv6ExtHeader);
}

#[test]
fn row_link_local_control() {
    let mut lab = Lab::new();
    let stp = ethernet(PACS.mac, [1, 0x80, 0xc2, 0, 0, 0], &[], 38, &[0x42; 46]);
    let lacp = ethernet(PACS.mac, [1, 0x80, 0xc2, 0, 0, 2], &[], 0x8809, &[1; 46]);
    let eapol = ethernet(
        MODALITY.mac,
        [1, 0x80, 0xc2, 0, 0, 3],
        &[],
        0x888e,
        &[1; 46],
    );
    let lldp = ethernet(
        MODALITY.mac,
        [1, 0x80, 0xc2, 0, 0, 0x0e],
        &[],
        0x88cc,
        &[1; 46],
    );
    let ptp = ethernet(
        MODALITY.mac,
        [1, 0x80, 0xc2, 0, 0, 0x0e],
        &[],
        0x88f7,
        &[1; 46],
    );
    for frame in [&stp, &lacp, &eapol, &lldp, &ptp] {
        passes(
            lab.ward(&[&frame[..6], &MODALITY.mac, &frame[12..]].concat()),
            Reason::Baseline,
        );
        passes(
            lab.core(&[&frame[..6], &PACS.mac, &frame[12..]].concat()),
            Reason::Baseline,
        );
    }
    // PAUSE and priority flow control never cross, whatever the mode is.
    let pause = ethernet(
        PACS.mac,
        [1, 0x80, 0xc2, 0, 0, 1],
        &[],
        0x8808,
        &[0, 1, 0, 0],
    );
    for side in [Side::Ward, Side::Core] {
        drops(lab.send(side, &pause), Reason::PauseFrame);
        drops(
            Lab::in_mode("observe").send(side, &pause),
            Reason::PauseFrame,
        );
    }
}
