//! What the reader makes of well-formed files of every format, and of damaged ones.

use std::io::{Cursor, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use wardline_capture::{Error, ErrorKind, MAX_PACKET_BYTES, Packet, PcapngWriter, Reader};

/// A packet that outlives its reader.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owned {
    time_ns: u64,
    data: Vec<u8>,
    original_bytes: u32,
    interface: u32,
}

fn read_stream(input: impl Read + 'static) -> (Vec<Owned>, Option<Error>) {
    let mut packets = Vec::new();
    let mut reader = match Reader::new(input) {
        Ok(reader) => reader,
        Err(e) => return (packets, Some(e)),
    };
    loop {
        match reader.next_packet() {
            Ok(Some(p)) => packets.push(Owned {
                time_ns: p.time_ns,
                data: p.data.to_vec(),
                original_bytes: p.original_bytes,
                interface: p.interface,
            }),
            Ok(None) => return (packets, None),
            Err(e) => {
                assert!(
                    matches!(reader.next_packet(), Ok(None)),
                    "an error ends the stream"
                );
                return (packets, Some(e));
            }
        }
    }
}

fn read(bytes: &[u8]) -> (Vec<Owned>, Option<Error>) {
    read_stream(Cursor::new(bytes.to_vec()))
}

fn written(packets: &[Owned]) -> Vec<u8> {
    let mut writer = PcapngWriter::new(Vec::new(), "test", &["ward", "core"]).expect("memory");
    for p in packets {
        let packet = Packet {
            time_ns: p.time_ns,
            data: &p.data,
            original_bytes: p.original_bytes,
            interface: p.interface,
        };
        writer
            .write(&packet, Some("reason: no-rule"))
            .expect("memory");
    }
    writer.finish().expect("memory")
}

/// Writes numbers in either byte order.
#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, n: u16) -> [u8; 2] {
        match self {
            Self::Little => n.to_le_bytes(),
            Self::Big => n.to_be_bytes(),
        }
    }

    fn u32(self, n: u32) -> [u8; 4] {
        match self {
            Self::Little => n.to_le_bytes(),
            Self::Big => n.to_be_bytes(),
        }
    }
}

fn pcap(order: Order, magic: u32, link_type: u32, records: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let mut out = order.u32(magic).to_vec();
    out.extend([order.u16(2), order.u16(4)].concat());
    for field in [0, 0, 65_535, link_type] {
        out.extend(order.u32(field));
    }
    for &(seconds, fraction, data) in records {
        let len = data.len() as u32;
        for field in [seconds, fraction, len, len] {
            out.extend(order.u32(field));
        }
        out.extend(data);
    }
    out
}

fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(4), 0);
    let len = order.u32(body.len() as u32 + 12);
    [&order.u32(kind)[..], &len, &body, &len].concat()
}

fn section(order: Order) -> Vec<u8> {
    let body = [
        &order.u32(0x1a2b_3c4d)[..],
        &order.u16(1),
        &order.u16(0),
        &[0xff; 8],
    ]
    .concat();
    block(order, 0x0a0d_0d0a, &body)
}

fn interface(order: Order, link_type: u16, snap: u32, options: &[u8]) -> Vec<u8> {
    let body = [
        &order.u16(link_type)[..],
        &order.u16(0),
        &order.u32(snap),
        options,
    ]
    .concat();
    block(order, 1, &body)
}

fn enhanced(order: Order, interface: u32, units: u64, data: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    let len = data.len() as u32;
    for field in [interface, (units >> 32) as u32, units as u32, len, len] {
        body.extend(order.u32(field));
    }
    body.extend(data);
    block(order, 6, &body)
}

const FRAME: &[u8] = b"\xff\xff\xff\xff\xff\xff\x00\x09\xfb\x00\x00\x01\x88\xb5hello";

#[test]
fn pcap_of_both_byte_orders_and_resolutions() {
    for order in [Order::Little, Order::Big] {
        for (magic, time_ns) in [(0xa1b2_c3d4, 7_000_005_000), (0xa1b2_3c4d, 7_000_000_005)] {
            let file = pcap(order, magic, 1, &[(7, 5, FRAME), (8, 0, &FRAME[..14])]);
            let (packets, error) = read(&file);
            assert!(error.is_none(), "{error:?}");
            assert_eq!(packets.len(), 2);
            assert_eq!((packets[0].time_ns, &packets[0].data[..]), (time_ns, FRAME));
            assert_eq!(packets[1].original_bytes, 14);
        }
    }
}

#[test]
fn times_beyond_2038_and_fractions_above_a_second_are_carried() {
    let file = pcap(
        Order::Little,
        0xa1b2_c3d4,
        1,
        &[(u32::MAX, u32::MAX, FRAME)],
    );
    let expected = u64::from(u32::MAX) * 1_000_000_000 + u64::from(u32::MAX) * 1_000;
    assert_eq!(read(&file).0[0].time_ns, expected);
}

#[test]
fn upper_bits_of_the_link_type_tell_of_checksums_not_of_the_link() {
    let file = pcap(Order::Little, 0xa1b2_c3d4, 0xf400_0001, &[(1, 0, FRAME)]);
    assert_eq!(read(&file).0.len(), 1);
}

#[test]
fn pcapng_with_all_kinds_of_packets_and_blocks_between() {
    for order in [Order::Little, Order::Big] {
        // if_tsresol: 2^-10 s; if_tsoffset: 100 s.
        let mut options = [order.u16(9), order.u16(1)].concat();
        options.extend([0x8a, 0, 0, 0]);
        options.extend([order.u16(14), order.u16(8)].concat());
        options.extend(match order {
            Order::Little => 100i64.to_le_bytes(),
            Order::Big => 100i64.to_be_bytes(),
        });
        let mut obsolete = [order.u16(1), order.u16(0)].concat();
        for field in [0, 512, FRAME.len() as u32, 60] {
            obsolete.extend(order.u32(field));
        }
        obsolete.extend(FRAME);
        let simple = [&order.u32(60)[..], &FRAME[..16]].concat();
        let file = [
            section(order),
            interface(order, 1, 16, &[]),
            interface(order, 1, 0, &options),
            block(order, 4, b"names"),
            enhanced(order, 0, 2_000_001, FRAME),
            block(order, 0x0bad, &[7; 500_000]),
            enhanced(order, 1, 1536, FRAME),
            block(order, 2, &obsolete),
            block(order, 3, &simple),
            block(order, 5, &[0; 12]),
        ]
        .concat();
        let (packets, error) = read(&file);
        assert!(error.is_none(), "{error:?}");
        let summary: Vec<_> = packets
            .iter()
            .map(|p| (p.interface, p.time_ns, p.data.len(), p.original_bytes))
            .collect();
        assert_eq!(
            summary,
            [
                (0, 2_000_001_000, 19, 19),
                (1, 101_500_000_000, 19, 19),
                (1, 100_500_000_000, 19, 60),
                (0, 100_500_000_000, 16, 60),
            ]
        );
    }
}

#[test]
fn a_new_section_may_turn_the_byte_order_and_forgets_interfaces() {
    let mut file = [
        section(Order::Little),
        interface(Order::Little, 1, 0, &[]),
        enhanced(Order::Little, 0, 1, FRAME),
        section(Order::Big),
        interface(Order::Big, 1, 0, &[]),
        enhanced(Order::Big, 0, 2, FRAME),
        section(Order::Little),
    ]
    .concat();
    let end = file.len() as u64;
    file.extend(enhanced(Order::Little, 0, 3, FRAME));
    let (packets, error) = read(&file);
    assert_eq!(packets.len(), 2);
    let error = error.unwrap();
    assert_eq!(error.offset, end);
    assert!(matches!(error.kind, ErrorKind::Malformed(_)), "{error}");
}

#[test]
fn other_link_types_are_refused_by_name() {
    let error = read(&pcap(Order::Big, 0xa1b2_c3d4, 113, &[])).1.unwrap();
    assert!(
        error
            .to_string()
            .contains("interface 0 has link type LINUX_SLL"),
        "{error}"
    );
    let file = [
        section(Order::Little),
        interface(Order::Little, 1, 0, &[]),
        interface(Order::Little, 127, 0, &[]),
        enhanced(Order::Little, 0, 1, FRAME),
        enhanced(Order::Little, 1, 1, FRAME),
    ]
    .concat();
    let (packets, error) = read(&file);
    assert_eq!(packets.len(), 1, "what was Ethernet came out");
    let error = error.unwrap().to_string();
    assert!(
        error.contains("interface 1 has link type IEEE802_11_RADIOTAP"),
        "{error}"
    );
}

#[test]
fn a_truncated_file_yields_what_was_whole_and_names_the_place() {
    let whole = pcap(
        Order::Little,
        0xa1b2_c3d4,
        1,
        &[(1, 0, FRAME), (2, 0, FRAME)],
    );
    let second = 24 + 16 + FRAME.len();
    for cut in second + 1..whole.len() {
        let (packets, error) = read(&whole[..cut]);
        assert_eq!(packets.len(), 1);
        let error = error.unwrap();
        assert_eq!(error.offset, second as u64);
        let ErrorKind::Truncated { missing, .. } = error.kind else {
            panic!("{error}");
        };
        assert!(missing > 0);
    }
    assert!(
        read(&whole[..second]).1.is_none(),
        "the end between records is no error"
    );
}

#[test]
fn a_length_from_hell_allocates_nothing() {
    let mut file = pcap(Order::Little, 0xa1b2_c3d4, 1, &[(1, 0, FRAME)]);
    let at = file.len() as u64;
    for field in [2u32, 0, 0xffff_fff0, 60] {
        file.extend(field.to_le_bytes());
    }
    let (packets, error) = read(&file);
    assert_eq!(packets.len(), 1);
    let error = error.unwrap();
    assert_eq!(error.offset, at);
    assert!(matches!(error.kind, ErrorKind::TooLarge { .. }), "{error}");
}

#[test]
fn what_is_no_capture_is_said() {
    let kind = |bytes: &[u8]| read(bytes).1.unwrap().kind;
    assert!(matches!(kind(b""), ErrorKind::Empty));
    assert!(matches!(kind(b"PK"), ErrorKind::NotACapture(_)));
    assert!(matches!(kind(b"#!/bin/sh\n"), ErrorKind::NotACapture(_)));
}

#[test]
fn gzip_is_unpacked_and_a_damaged_one_is_an_error() {
    let packets = vec![
        Owned {
            time_ns: 5,
            data: FRAME.to_vec(),
            original_bytes: 19,
            interface: 1
        };
        50
    ];
    let plain = written(&packets);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&plain).unwrap();
    let gzip = encoder.finish().unwrap();
    let (unpacked, error) = read(&gzip);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(unpacked, packets);
    let (_, error) = read(&gzip[..gzip.len() - 9]);
    assert!(matches!(error.unwrap().kind, ErrorKind::Io(_)));
}

#[test]
fn the_writer_puts_the_comment_where_tools_look_for_it() {
    let file = written(&[Owned {
        time_ns: 1,
        data: FRAME.to_vec(),
        original_bytes: 19,
        interface: 0,
    }]);
    // Option 1 (opt_comment), 15 bytes, behind the padded packet.
    let option = [&[1, 0, 15, 0][..], b"reason: no-rule\0", &[0, 0, 0, 0]].concat();
    assert!(file.windows(option.len()).any(|w| w == option));
}

#[test]
fn the_writer_refuses_what_no_reader_takes() {
    let data = vec![0; MAX_PACKET_BYTES as usize + 1];
    let packet = Packet {
        time_ns: 0,
        data: &data,
        original_bytes: 1,
        interface: 0,
    };
    let mut writer = PcapngWriter::new(Vec::new(), "test", &["ward"]).unwrap();
    assert!(writer.write(&packet, None).is_err());
}

/// Gives one byte at a time, as a slow pipe may.
struct Trickle(Cursor<Vec<u8>>);

impl Read for Trickle {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let one = buf.len().min(1);
        self.0.read(&mut buf[..one])
    }
}

fn packets() -> impl Strategy<Value = Vec<Owned>> {
    let packet = (
        any::<u64>(),
        prop::collection::vec(any::<u8>(), 0..200),
        0u32..2,
        any::<u16>(),
    );
    prop::collection::vec(packet, 0..12).prop_map(|list| {
        list.into_iter()
            .map(|(time_ns, data, interface, more)| Owned {
                time_ns,
                original_bytes: data.len() as u32 + u32::from(more),
                data,
                interface,
            })
            .collect()
    })
}

fn any_file() -> impl Strategy<Value = Vec<u8>> {
    let classic = (any::<bool>(), packets()).prop_map(|(big, list)| {
        let order = if big { Order::Big } else { Order::Little };
        let records: Vec<_> = list.iter().map(|p| (1, 2, &p.data[..])).collect();
        pcap(order, 0xa1b2_c3d4, 1, &records)
    });
    let blocks = (any::<bool>(), packets()).prop_map(|(big, list)| {
        let order = if big { Order::Big } else { Order::Little };
        let mut file = [
            section(order),
            interface(order, 1, 0, &[]),
            interface(order, 1, 0, &[]),
        ]
        .concat();
        for p in &list {
            file.extend(enhanced(order, p.interface, p.time_ns, &p.data));
            file.extend(block(order, 0x0bad, &p.data));
        }
        file
    });
    prop_oneof![classic, blocks, packets().prop_map(|list| written(&list))]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(list in packets()) {
        let (read, error) = read(&written(&list));
        prop_assert!(error.is_none(), "{:?}", error);
        prop_assert_eq!(read, list);
    }

    #[test]
    fn the_size_of_reads_does_not_matter(file in any_file(), cut in any::<prop::sample::Index>()) {
        let file = file[..=cut.index(file.len())].to_vec();
        let (at_once, e1) = read(&file);
        let (trickled, e2) = read_stream(Trickle(Cursor::new(file)));
        prop_assert_eq!(at_once, trickled);
        prop_assert_eq!(e1.map(|e| e.to_string()), e2.map(|e| e.to_string()));
    }

    #[test]
    fn damaged_files_end_in_packets_and_at_most_one_error(
        mut file in any_file(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        for (at, value) in damage {
            let at = at.index(file.len());
            file[at] = value;
        }
        let len = file.len() as u64;
        let (packets, error) = read(&file);
        let held: usize = packets.iter().map(|p| p.data.len()).sum();
        prop_assert!(held as u64 <= len);
        if let Some(error) = error {
            prop_assert!(error.offset <= len, "{}", error);
        }
    }

    #[test]
    fn noise_behind_a_magic_is_survived(
        magic in prop::sample::select(vec![
            &b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0"[..],
            b"\x34\xcd\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0",
            b"\x0a\x0d\x0d\x0a",
            b"\x1f\x8b\x08\0",
            b"",
        ]),
        noise in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        read(&[magic, &noise].concat());
    }
}
