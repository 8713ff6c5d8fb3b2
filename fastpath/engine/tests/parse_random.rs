//! The readers against input nobody wrote by hand: random well-formed packets, arbitrary bytes,
//! mutated messages, and the kept frames of `tests/fixtures`.
//!
//! The mutation test prints its seed; `WARDLINE_SEED=<number>` repeats or varies it. A frame
//! that fails belongs into `tests/fixtures` as `<what went wrong>.hex`: hexadecimal bytes,
//! white space and lines that begin with `#` ignored.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod parse_support;

use std::path::Path;

use etherparse::{PacketBuilder, SlicedPacket};
use parse_support::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use wardline_engine::{Fragment, L3, L4};
use wardline_policy::VlanKey;

/// A random well-formed packet, and what it was made of.
#[derive(Debug, Clone)]
struct Made {
    macs: ([u8; 6], [u8; 6]),
    vids: Vec<u16>,
    version: u8,
    addresses: ([u8; 16], [u8; 16]),
    hop_limit: u8,
    transport: Transport,
    payload: Vec<u8>,
    padding: usize,
}

#[derive(Debug, Clone)]
enum Transport {
    Tcp {
        ports: (u16, u16),
        seq: u32,
        window: u16,
    },
    Udp {
        ports: (u16, u16),
    },
    Echo {
        id: u16,
        seq: u16,
    },
}

fn transport() -> impl Strategy<Value = Transport> {
    let ports = || any::<(u16, u16)>();
    prop_oneof![
        (ports(), any::<u32>(), any::<u16>()).prop_map(|(ports, seq, window)| Transport::Tcp {
            ports,
            seq,
            window
        }),
        ports().prop_map(|ports| Transport::Udp { ports }),
        any::<(u16, u16)>().prop_map(|(id, seq)| Transport::Echo { id, seq }),
    ]
}

fn made() -> impl Strategy<Value = Made> {
    let link = (any::<([u8; 6], [u8; 6])>(), vec(1u16..4095, 0..=2));
    let network = (
        prop_oneof![Just(4u8), Just(6u8)],
        any::<([u8; 16], [u8; 16])>(),
        any::<u8>(),
    );
    (
        link,
        network,
        transport(),
        vec(any::<u8>(), 0..200),
        0..40usize,
    )
        .prop_map(
            |(
                (mut macs, vids),
                (version, mut addresses, hop_limit),
                transport,
                payload,
                padding,
            )| {
                // Sources that a station may have.
                macs.0[0] &= !1;
                addresses.0[0] &= 0x3f;
                Made {
                    macs,
                    vids,
                    version,
                    addresses,
                    hop_limit,
                    transport,
                    payload,
                    padding,
                }
            },
        )
}

impl Made {
    fn frame(&self) -> Vec<u8> {
        let (source, destination) = self.addresses;
        let (ethertype, ip) = match self.version {
            4 => {
                let ip = PacketBuilder::ipv4(four(source), four(destination), self.hop_limit);
                (IPV4, ip)
            }
            _ => (
                IPV6,
                PacketBuilder::ipv6(source, destination, self.hop_limit),
            ),
        };
        let mut packet = Vec::new();
        let written = match self.transport {
            Transport::Tcp { ports, seq, window } => {
                let tcp = ip.tcp(ports.0, ports.1, seq, window).ack(1);
                tcp.write(&mut packet, &self.payload)
            }
            Transport::Udp { ports } => ip.udp(ports.0, ports.1).write(&mut packet, &self.payload),
            Transport::Echo { id, seq } if self.version == 4 => ip
                .icmpv4_echo_request(id, seq)
                .write(&mut packet, &self.payload),
            Transport::Echo { id, seq } => ip
                .icmpv6_echo_request(id, seq)
                .write(&mut packet, &self.payload),
        };
        written.unwrap();
        let tags: Vec<_> = self.vids.iter().map(|vid| (0x8100, *vid)).collect();
        let mut frame = tagged(&tags, ethertype, &packet);
        frame[..6].copy_from_slice(&self.macs.1);
        frame[6..12].copy_from_slice(&self.macs.0);
        frame.extend(std::iter::repeat_n(0xa5, self.padding));
        frame
    }

    fn mapped(&self, address: [u8; 16]) -> [u8; 16] {
        if self.version == 6 {
            return address;
        }
        std::net::Ipv4Addr::from(four(address))
            .to_ipv6_mapped()
            .octets()
    }
}

fn four(address: [u8; 16]) -> [u8; 4] {
    *address.first_chunk().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2048,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/parse_random.proptest-regressions",
        ))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn well_formed_packets_are_read_as_they_were_made(made in made()) {
        let frame = made.frame();
        let meta = accepted(&frame);
        check_invariants(&frame, &meta);
        prop_assert_eq!(meta.source_mac.0, made.macs.0);
        prop_assert_eq!(meta.destination_mac.0, made.macs.1);
        let vid = |i| made.vids.get(i).copied().unwrap_or(0);
        prop_assert_eq!(meta.vlan, VlanKey { outer: vid(0), inner: vid(1) });
        prop_assert_eq!(usize::from(meta.tags), made.vids.len());
        let (source, destination) = made.addresses;
        let (source, destination) = (made.mapped(source), made.mapped(destination));
        prop_assert_eq!(meta.l3, L3::Ip { source, destination, version: made.version });
        prop_assert_eq!(meta.hop_limit, made.hop_limit);
        prop_assert_eq!(meta.fragment, Fragment::Whole);
        let payload = &frame[usize::from(meta.payload_offset)..usize::from(meta.end)];
        prop_assert_eq!(payload, &made.payload);
        match (made.transport, meta.l4) {
            (Transport::Tcp { ports, seq: s, window: w }, L4::Tcp { source, destination, seq, window, .. }) => {
                prop_assert_eq!((ports, s, w), ((source, destination), seq, window));
            }
            (Transport::Udp { ports }, L4::Udp { source, destination }) => {
                prop_assert_eq!(ports, (source, destination));
            }
            (Transport::Echo { id: expected, .. }, L4::Icmp { id, .. }) => {
                prop_assert_eq!(expected, id);
            }
            (made, read) => prop_assert!(false, "{made:?} read as {read:?}"),
        }
        let sliced = SlicedPacket::from_ethernet(&frame).unwrap();
        prop_assert_eq!(sliced.vlan_ids().len(), made.vids.len());
        prop_assert!(sliced.transport.is_some());
        exercise(&frame);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        exercise(&bytes);
        exercise_messages(&bytes);
    }

    #[test]
    fn arbitrary_bytes_behind_a_known_type_never_panic(
        ethertype in prop_oneof![
            Just(IPV4), Just(IPV6), Just(0x0806), Just(0x8100), Just(0x88a8), 0u16..1500,
        ],
        bytes in vec(any::<u8>(), 0..300),
    ) {
        exercise(&ethernet(ethertype, &bytes));
    }

    #[test]
    fn arbitrary_extension_chains_never_panic(
        chain in vec((prop_oneof![Just(0u8), Just(43), Just(44), Just(51), Just(60), any::<u8>()], 0u8..4), 0..10),
        tail in vec(any::<u8>(), 0..64),
    ) {
        let first = chain.first().map_or(17, |c| c.0);
        let mut packet = Vec::new();
        for (i, &(_, units)) in chain.iter().enumerate() {
            let next = chain.get(i + 1).map_or(6, |c| c.0);
            packet.extend([next, units]);
            packet.resize(packet.len() + 6 + 8 * usize::from(units), units);
        }
        packet.extend(tail);
        exercise(&ethernet(IPV6, &ipv6(first, &packet)));
    }
}

/// SplitMix64: small, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

/// Flips, sets, inserts, removes and repeats bytes.
fn mutate(frame: &mut Vec<u8>, random: &mut Random) {
    const TELLING: [u8; 8] = [0, 1, 0x7f, 0x80, 0xc0, 0xfe, 0xff, 0x2c];
    for _ in 0..=random.below(4) {
        let at = random.below(frame.len());
        let len = random.below(16).min(frame.len() - at);
        match random.below(6) {
            0 if !frame.is_empty() => frame[at] ^= 1 << random.below(8),
            1 if !frame.is_empty() => frame[at] = TELLING[random.below(TELLING.len())],
            2 => frame.insert(at, TELLING[random.below(TELLING.len())]),
            3 => drop(frame.drain(at..at + len)),
            4 => {
                let copy = frame[at..at + len].to_vec();
                frame.splice(at..at, copy);
            }
            _ => frame.truncate(frame.len() - len / 4),
        }
    }
}

/// Puts the IPv4 header checksum right, so that mutations are seen by what stands behind it.
fn repair(frame: &mut [u8]) {
    if frame.len() < 34 || frame[12..14] != IPV4.to_be_bytes() {
        return;
    }
    let len = usize::from(frame[14] & 15) * 4;
    if let Some(header) = frame.get_mut(14..14 + len).filter(|h| h.len() >= 20) {
        header[10..12].fill(0);
        let sum = etherparse::checksum::Sum16BitWords::new()
            .add_slice(header)
            .ones_complement();
        header[10..12].copy_from_slice(&sum.to_ne_bytes());
    }
}

#[test]
fn mutated_frames_never_panic() {
    const ROUNDS: usize = 100_000;
    let seed = match std::env::var("WARDLINE_SEED") {
        Ok(text) => text
            .parse()
            .expect("WARDLINE_SEED is a decimal number of 64 bits"),
        Err(_) => 0x57a2_d11e,
    };
    println!("WARDLINE_SEED={seed}");
    let mut random = Random(seed);
    let seeds = [
        specimens(),
        fixtures().into_iter().map(|(_, frame)| frame).collect(),
    ]
    .concat();
    let mut accepted = 0;
    for _ in 0..ROUNDS {
        let mut frame = seeds[random.below(seeds.len())].clone();
        mutate(&mut frame, &mut random);
        if random.below(4) > 0 {
            repair(&mut frame);
        }
        exercise(&frame);
        accepted += usize::from(wardline_engine::parse::parse(&frame).is_ok());
    }
    // Otherwise the mutations would only ever meet the first check.
    assert!(
        accepted > ROUNDS / 20,
        "only {accepted} of {ROUNDS} frames were accepted"
    );
}

#[test]
fn specimens_are_well_formed() {
    for frame in specimens() {
        accepted(&frame);
        exercise(&frame);
    }
}

#[test]
fn kept_frames_never_panic() {
    let fixtures = fixtures();
    assert!(!fixtures.is_empty());
    for (name, frame) in fixtures {
        println!("{name}");
        exercise(&frame);
        exercise_messages(&frame);
    }
}

/// Names and bytes of the files in `tests/fixtures`.
fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "hex"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path.display().to_string(), from_hex(&text))
        })
        .collect();
    found.sort();
    found
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::bytes)
        .filter(u8::is_ascii_hexdigit)
        .collect();
    let digit = |b: u8| u8::try_from(char::from(b).to_digit(16).unwrap()).unwrap();
    digits
        .chunks_exact(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}
