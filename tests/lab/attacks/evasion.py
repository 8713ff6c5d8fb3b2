"""Attacks that hide what they are: tags, fragments, extension headers, segments of no connection."""

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import Dot1Q, Ether

from parties import Parties

REPEATS = 5
# Marks fragments, since those after the first carry no port.
FRAGMENT_ID = 0x9C31
# A service each device is allowed, so that only the trick can be the reason to drop.
ALLOWED_UDP_PORT = 53
# HL7 over MLLP, which a pump may open to the integration engine.
ALLOWED_TCP_PORT = 2575
DENIED_PORT = 445


def ether(parties: Parties) -> Ether:
    return Ether(src=parties.attacker.mac, dst=parties.target.mac)


def ipv4(parties: Parties, **fields) -> IP:
    return IP(src=parties.attacker.ip, dst=parties.target.ip, **fields)


def vlan_hopping(parties: Parties) -> int:
    """Two tags, the outer one for the switch to take off; and a tag of a VLAN not ours."""
    payload = ipv4(parties) / UDP(sport=39010, dport=DENIED_PORT) / b"hop"
    double = ether(parties) / Dot1Q(vlan=1) / Dot1Q(vlan=20) / payload
    provider = Ether(src=parties.attacker.mac, dst=parties.target.mac, type=0x88A8)
    provider /= Dot1Q(vlan=1) / Dot1Q(vlan=20) / payload
    single = ether(parties) / Dot1Q(vlan=20) / payload
    return parties.send([bytes(frame) for frame in (double, provider, single)] * REPEATS)


def hidden_port(parties: Parties) -> int:
    """Fragments that never show a port, because the first one is never sent."""
    frames = []
    for number in range(REPEATS):
        packet = ipv4(parties, id=FRAGMENT_ID + number, proto=6, frag=3) / (b"x" * 64)
        frames.append(bytes(ether(parties) / packet))
    return parties.send(frames)


def tiny_first(parties: Parties) -> int:
    """A first fragment too short for the TCP flags, the rest following (RFC 1858)."""
    segment = bytes(ipv4(parties) / TCP(sport=39011, dport=DENIED_PORT, flags="S"))[20:]
    first = ipv4(parties, id=FRAGMENT_ID, proto=6, flags="MF") / segment[:8]
    rest = ipv4(parties, id=FRAGMENT_ID, proto=6, frag=1) / segment[8:]
    return parties.send([bytes(ether(parties) / part) for part in (first, rest)] * REPEATS)


def overlap(parties: Parties) -> int:
    """An allowed first fragment, then others that write a denied port and content over it."""
    frames = []
    for number in range(REPEATS):
        fields = dict(id=FRAGMENT_ID + number, proto=17)
        allowed = UDP(sport=39012, dport=ALLOWED_UDP_PORT, len=72, chksum=0) / (b"a" * 24)
        denied = UDP(sport=39012, dport=DENIED_PORT, len=72, chksum=0) / (b"b" * 24)
        frames += [
            ether(parties) / ipv4(parties, flags="MF", **fields) / allowed,
            ether(parties) / ipv4(parties, flags="MF", **fields) / denied,
            ether(parties) / ipv4(parties, frag=1, **fields) / (b"c" * 64),
        ]
    return parties.send([bytes(frame) for frame in frames])


def extension_headers(parties: Parties) -> int:
    """Chains of IPv6 headers behind which a filter loses the port."""
    packet = IPv6(src=parties.attacker.link_local, dst=parties.target.link_local)
    payload = TCP(sport=39013, dport=DENIED_PORT, flags="S")
    long_chain = packet
    for _ in range(12):
        long_chain = long_chain / IPv6ExtHdrDestOpt()
    chains = [
        packet / IPv6ExtHdrRouting(type=0, addresses=[parties.target.link_local]) / payload,
        packet / IPv6ExtHdrDestOpt() / IPv6ExtHdrHopByHop() / payload,
        packet / IPv6ExtHdrFragment(id=FRAGMENT_ID, m=1, offset=0) / IPv6ExtHdrDestOpt(),
        packet / IPv6ExtHdrFragment(id=FRAGMENT_ID, offset=1) / (b"x" * 32),
        packet / IPv6ExtHdrDestOpt() / payload,
        long_chain / payload,
    ]
    return parties.send([bytes(ether(parties) / chain) for chain in chains] * REPEATS)


def no_handshake(parties: Parties) -> int:
    """Segments of connections that never began, and flags that cannot be, to an allowed port."""
    frames = []
    for number, flags in enumerate(["A", "PA", "FA", "R", "SA", "SF", "SR", "FPU", ""]):
        segment = TCP(sport=39100 + number, dport=ALLOWED_TCP_PORT, flags=flags, seq=7, ack=9)
        frames.append(bytes(ether(parties) / ipv4(parties) / segment / b"half a conversation"))
    return parties.send(frames * 2)


ATTACKS = {
    "vlan-hopping": vlan_hopping,
    "fragments-hidden-port": hidden_port,
    "fragments-tiny-first": tiny_first,
    "fragments-overlap": overlap,
    "ipv6-extension-headers": extension_headers,
    "tcp-no-handshake": no_handshake,
}
