//! The common frame, read at fixed offsets: Ethernet with at most one 802.1Q tag, IPv4 without
//! options or IPv6 without extension headers, no fragment, UDP or a TCP segment past its SYN.
//!
//! Nearly every frame is one, and walking the layers costs more than all the rest of a verdict.
//! Whatever is in any way unusual is left to the walk; a property test holds that both agree.

use etherparse::{Ethernet2Header, Ipv4Header, Ipv6Header, TcpHeader, UdpHeader};
use wardline_policy::{MacAddr, VlanKey};

use super::ipv4::mapped;
use crate::feature::Protocol;
use crate::flow::key::{Ends, FlowKey, Narrow, Wide};
use crate::flow::tcp::Segment;
use crate::meta::{Fragment, L3, L4, PacketMeta};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const TAG: u16 = 0x8100;
const VID: u16 = 0x0fff;
const VID_RESERVED: u16 = 0x0fff;
const TAG_LEN: usize = 4;
/// Version 4 and a header of five words.
const VERSION_4_PLAIN: u8 = 0x45;
/// "More fragments" and the fragment offset.
const FRAGMENT_BITS: u16 = 0x3fff;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SYN: u8 = 2;
/// Window scale of a segment that carries none.
const NO_SCALE: u8 = 255;
const CONTROL_BITS: u8 = 0x3f;
/// 01-80-c2-00-00-01, never forwarded by a bridge.
const PAUSE_GROUP: u64 = 0x0180_c200_0001;
/// The first twelve bytes of a mapped address.
const MAPPED: ([u8; 8], [u8; 4]) = ([0; 8], [0, 0, 0xff, 0xff]);

/// Where things are in a common frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Common {
    /// The identifier in its tag; 0 without one.
    pub(crate) vid: u16,
    pub(crate) tagged: bool,
    pub(crate) is_ipv6: bool,
    pub(crate) is_tcp: bool,
    pub(crate) l4: u16,
    pub(crate) payload: u16,
    pub(crate) end: u16,
}

impl Common {
    pub(crate) const BLANK: Self = Self {
        vid: 0,
        tagged: false,
        is_ipv6: false,
        is_tcp: false,
        l4: 0,
        payload: 0,
        end: 0,
    };

    /// The part of its conversation's key that fits into a line, and whether its source is endpoint
    /// `a`; `None` for a station that talks to itself. IPv6 has a [`wide`](Self::wide) part as well.
    #[inline(always)]
    pub(crate) fn narrow(&self, frame: &[u8]) -> Option<(Narrow, bool)> {
        if self.is_ipv6 {
            let (key, source_is_a) = self.ipv6_key(frame)?;
            return Some((key.narrow, source_is_a));
        }
        // Both addresses and both ports follow each other.
        let words: &[u8; 12] = frame.get(usize::from(self.l4) - 8..)?.first_chunk()?;
        let (addresses, ports) = (be64(words, 0), be32(words, 8));
        let differ = addresses.rotate_left(32) != addresses;
        let kind = u16::from_be_bytes([self.protocol(), 0]);
        differ.then(|| Narrow::ipv4(addresses, ports, self.vlan(), kind))
    }

    /// The rest of the key.
    #[inline(always)]
    pub(crate) fn wide(&self, frame: &[u8]) -> Wide {
        let key = self.is_ipv6.then(|| self.ipv6_key(frame)).flatten();
        key.map_or_else(Wide::default, |(key, _)| key.wide)
    }

    fn ipv6_key(&self, frame: &[u8]) -> Option<(FlowKey, bool)> {
        let l4 = usize::from(self.l4);
        let (source, destination) = ipv6_addresses(frame, l4)?;
        let ports: &[u8; 4] = frame.get(l4..)?.first_chunk()?;
        let ends = Ends {
            source,
            destination,
            source_port: be16(ports, 0),
            destination_port: be16(ports, 2),
        };
        let kind = [self.protocol(), 0];
        (source != destination).then(|| FlowKey::ipv6(&ends, self.vlan(), kind))
    }

    /// The segment of a TCP frame.
    #[inline]
    pub(crate) fn segment(&self, frame: &[u8]) -> Option<Segment> {
        let header: &[u8; TcpHeader::MIN_LEN] = frame.get(usize::from(self.l4)..)?.first_chunk()?;
        Some(Segment {
            flags: header[13],
            seq: be32(header, 4),
            ack: be32(header, 8),
            window: be16(header, 14),
            scale: NO_SCALE,
            len: u32::from(self.end - self.payload),
        })
    }

    #[inline]
    pub(crate) const fn carries(&self) -> Protocol {
        if self.is_tcp {
            Protocol::Tcp
        } else {
            Protocol::Udp
        }
    }

    /// Everything there is to know of the frame.
    pub(crate) fn meta(&self, frame: &[u8]) -> Option<PacketMeta> {
        let (l4, l3_len) = (usize::from(self.l4), self.l3_len());
        let [d5, d4, d3, d2, d1, d0, s5, s4, s3, s2, s1, s0] = *frame.first_chunk()?;
        let header = frame.get(l4 - l3_len..l4)?;
        let (source, destination, hop_limit) = if self.is_ipv6 {
            let (source, destination) = ipv6_addresses(frame, l4)?;
            (source, destination, header[7])
        } else {
            let (source, destination) = ipv4_addresses(frame, l4)?;
            (mapped(source), mapped(destination), header[8])
        };
        let [p3, p2, p1, p0] = *frame.get(l4..)?.first_chunk()?;
        let (source_port, destination_port) =
            (u16::from_be_bytes([p3, p2]), u16::from_be_bytes([p1, p0]));
        Some(PacketMeta {
            destination_mac: MacAddr([d5, d4, d3, d2, d1, d0]),
            source_mac: MacAddr([s5, s4, s3, s2, s1, s0]),
            vlan: self.vlan(),
            tags: u8::from(self.tagged),
            ethertype: if self.is_ipv6 { IPV6 } else { IPV4 },
            l3: L3::Ip {
                source,
                destination,
                version: if self.is_ipv6 { 6 } else { 4 },
            },
            protocol: self.protocol(),
            hop_limit,
            fragment: Fragment::Whole,
            l4: self.transport(frame, source_port, destination_port)?,
            l3_offset: self.l4 - l3_len as u16,
            l4_offset: self.l4,
            payload_offset: self.payload,
            end: self.end,
        })
    }

    fn transport(&self, frame: &[u8], source: u16, destination: u16) -> Option<L4> {
        if !self.is_tcp {
            return Some(L4::Udp {
                source,
                destination,
            });
        }
        let Segment {
            flags,
            seq,
            ack,
            window,
            scale,
            ..
        } = self.segment(frame)?;
        Some(L4::Tcp {
            source,
            destination,
            flags,
            seq,
            ack,
            window,
            scale,
        })
    }

    #[inline]
    const fn vlan(&self) -> VlanKey {
        VlanKey {
            outer: self.vid,
            inner: 0,
        }
    }

    #[inline]
    const fn protocol(&self) -> u8 {
        if self.is_tcp { TCP } else { UDP }
    }

    const fn l3_len(&self) -> usize {
        if self.is_ipv6 {
            Ipv6Header::LEN
        } else {
            Ipv4Header::MIN_LEN
        }
    }
}

/// Source and destination end where the transport header begins.
#[inline]
fn ipv4_addresses(frame: &[u8], l4: usize) -> Option<([u8; 4], [u8; 4])> {
    let [s3, s2, s1, s0, d3, d2, d1, d0] = *frame.get(l4 - 8..)?.first_chunk()?;
    Some(([s3, s2, s1, s0], [d3, d2, d1, d0]))
}

#[inline]
fn ipv6_addresses(frame: &[u8], l4: usize) -> Option<([u8; 16], [u8; 16])> {
    let both: &[u8; 32] = frame.get(l4 - 32..)?.first_chunk()?;
    let (source, destination) = both.split_at(16);
    Some((*source.first_chunk()?, *destination.first_chunk()?))
}

/// The places of a common frame, or `None` for any other.
#[inline(always)]
pub(crate) fn read(frame: &[u8]) -> Option<Common> {
    let head: &[u8; Ethernet2Header::LEN + TAG_LEN] = frame.first_chunk()?;
    // The destination, and the first byte of the source, which is no group.
    let stations = be64(head, 0);
    if stations >> 16 == PAUSE_GROUP || stations & 0x100 != 0 || frame.len() > usize::from(u16::MAX)
    {
        return None;
    }
    let mut common = Common::BLANK;
    let mut ethertype = be16(head, 12);
    let mut packet = &frame[Ethernet2Header::LEN..];
    common.l4 = Ethernet2Header::LEN as u16;
    if ethertype == TAG {
        common.vid = be16(head, 14) & VID;
        common.tagged = true;
        if common.vid == VID_RESERVED {
            return None;
        }
        ethertype = be16(head, 16);
        packet = &frame[Ethernet2Header::LEN + TAG_LEN..];
        common.l4 += TAG_LEN as u16;
    }
    match ethertype {
        IPV4 => ipv4(packet, common),
        IPV6 => ipv6(packet, common),
        _ => None,
    }
}

#[inline(always)]
fn ipv4(packet: &[u8], mut common: Common) -> Option<Common> {
    let header: &[u8; Ipv4Header::MIN_LEN] = packet.first_chunk()?;
    let fragment = be16(header, 6) & FRAGMENT_BITS;
    let len = usize::from(be16(header, 2));
    let source = be32(header, 12);
    // Multicast (224.0.0.0/4) or limited broadcast.
    let group = source >> 28 == 0xe || source == u32::MAX;
    if header[0] != VERSION_4_PLAIN || fragment != 0 || group || !sums_up(header) {
        return None;
    }
    let segment = packet.get(Ipv4Header::MIN_LEN..len)?;
    common.l4 += Ipv4Header::MIN_LEN as u16;
    transport(header[9], segment, common)
}

/// Fills in what the transport layer says.
#[inline(always)]
fn transport(protocol: u8, segment: &[u8], mut common: Common) -> Option<Common> {
    let header_len = match protocol {
        UDP => udp(segment)?,
        TCP => tcp(segment)?,
        _ => return None,
    };
    common.is_tcp = protocol == TCP;
    common.payload = common.l4 + header_len;
    common.end = common.l4 + segment.len() as u16;
    Some(common)
}

/// The ones' complement sum over a right header, checksum included, has every bit set.
#[inline(always)]
fn sums_up(header: &[u8; Ipv4Header::MIN_LEN]) -> bool {
    // Byte order and width do not matter to it (RFC 1071 §2).
    let words = u128::from(be64(header, 0)) + u128::from(be64(header, 8));
    let sum = u64::from(be32(header, 16)) + (words as u64 >> 32) + (words as u64 & 0xffff_ffff);
    let sum = sum + (words >> 64) as u64;
    let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    (sum & 0xffff) + (sum >> 16) == 0xffff
}

#[inline(always)]
fn ipv6(packet: &[u8], mut common: Common) -> Option<Common> {
    let header: &[u8; Ipv6Header::LEN] = packet.first_chunk()?;
    let len = Ipv6Header::LEN + usize::from(be16(header, 4));
    let multicast = header[8] == 0xff;
    if header[0] >> 4 != 6 || multicast {
        return None;
    }
    let is_mapped =
        |at: usize| header[at..at + 8] == MAPPED.0 && header[at + 8..at + 12] == MAPPED.1;
    if is_mapped(8) || is_mapped(24) {
        return None;
    }
    let segment = packet.get(Ipv6Header::LEN..len)?;
    common.is_ipv6 = true;
    common.l4 += Ipv6Header::LEN as u16;
    transport(header[6], segment, common)
}

#[inline]
fn udp(segment: &[u8]) -> Option<u16> {
    let header: &[u8; UdpHeader::LEN] = segment.first_chunk()?;
    let len = usize::from(be16(header, 4));
    let sound = (UdpHeader::LEN..=segment.len()).contains(&len);
    sound.then_some(UdpHeader::LEN as u16)
}

#[inline]
fn tcp(segment: &[u8]) -> Option<u16> {
    let header: &[u8; TcpHeader::MIN_LEN] = segment.first_chunk()?;
    let len = usize::from(header[12] >> 4) * 4;
    let flags = header[13];
    // The window scale of a SYN is an option to be searched.
    let plain = flags & SYN == 0 && flags & CONTROL_BITS != 0;
    let sound = (TcpHeader::MIN_LEN..=segment.len()).contains(&len);
    (plain && sound).then_some(len as u16)
}

#[inline]
fn be16<const N: usize>(bytes: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[inline]
fn be32<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[inline]
fn be64<const N: usize>(bytes: &[u8; N], at: usize) -> u64 {
    u64::from(be32(bytes, at)) << 32 | u64::from(be32(bytes, at + 4))
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::engine::segment;
    use crate::flow::key::tuple;
    use crate::parse::walk;

    fn frame() -> impl Strategy<Value = Vec<u8>> {
        let addresses = (any::<[u8; 15]>(), any::<[u8; 15]>());
        let shape = (
            any::<bool>(),
            any::<bool>(),
            proptest::option::of(0u16..4095),
        );
        let damage = proptest::option::weighted(0.5, (0usize..100, any::<u8>()));
        (
            addresses,
            shape,
            any::<(u16, u16)>(),
            vec(any::<u8>(), 0..40),
            damage,
        )
            .prop_map(
                |((source, destination), (v6, tcp, vid), ports, payload, damage)| {
                    let [source, destination] = [source, destination].map(|a| {
                        let mut address = [0x20; 16];
                        address[1..].copy_from_slice(&a);
                        address
                    });
                    let four = |a: [u8; 16]| [a[0], a[1], a[2], a[3]];
                    let link = PacketBuilder::ethernet2([2; 6], [4; 6]);
                    let mut frame = Vec::new();
                    let written = match (vid, v6, tcp) {
                        (None, true, true) => {
                            let ip = link.ipv6(source, destination, 9);
                            ip.tcp(ports.0, ports.1, 7, 8)
                                .ack(9)
                                .write(&mut frame, &payload)
                        }
                        (None, true, false) => link
                            .ipv6(source, destination, 9)
                            .udp(ports.0, ports.1)
                            .write(&mut frame, &payload),
                        (None, false, true) => {
                            let ip = link.ipv4(four(source), four(destination), 9);
                            ip.tcp(ports.0, ports.1, 7, 8)
                                .ack(9)
                                .write(&mut frame, &payload)
                        }
                        (None, false, false) => link
                            .ipv4(four(source), four(destination), 9)
                            .udp(ports.0, ports.1)
                            .write(&mut frame, &payload),
                        (Some(vid), ..) => link
                            .single_vlan(vid.try_into().unwrap_or_default())
                            .ipv4(four(source), four(destination), 9)
                            .udp(ports.0, ports.1)
                            .write(&mut frame, &payload),
                    };
                    written.expect("a vector takes everything");
                    if let Some((at, bits)) = damage
                        && let Some(byte) = frame.get_mut(at)
                    {
                        *byte ^= bits;
                    }
                    frame
                },
            )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn what_is_read_at_fixed_offsets_is_what_the_walk_reads(frame in frame()) {
            let Some(common) = read(&frame) else { return Ok(()) };
            let meta = walk(&frame).expect("a common frame breaks no rule");
            prop_assert_eq!(common.meta(&frame), Some(meta));
            let key = common.narrow(&frame).map(|(narrow, source_is_a)| {
                let wide = common.wide(&frame);
                (FlowKey { narrow, wide }, source_is_a)
            });
            prop_assert_eq!(key, tuple(&meta).map(|t| t.key(meta.vlan)));
            if common.is_tcp {
                prop_assert_eq!(common.segment(&frame), segment(&meta));
            }
        }
    }

    #[test]
    fn the_frames_hospitals_are_full_of_are_common() {
        let mut frame = Vec::new();
        let ip = PacketBuilder::ethernet2([2; 6], [4; 6]).single_vlan(7.try_into().expect("fits"));
        let tcp = ip
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(104, 40_000, 1, 1);
        let tcp = tcp
            .ack(1)
            .options_raw(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
        tcp.expect("ten words at most")
            .write(&mut frame, b"data")
            .expect("fits");
        let common = read(&frame).expect("a tagged segment with time stamps is common");
        assert_eq!(
            (common.vid, common.is_tcp, common.is_ipv6),
            (7, true, false)
        );
        assert_eq!(
            &frame[usize::from(common.payload)..usize::from(common.end)],
            b"data"
        );
    }
}
