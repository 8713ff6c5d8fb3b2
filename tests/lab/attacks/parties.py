"""Who takes part in an attack, and how frames leave the attacker."""

import socket
import time
from dataclasses import dataclass
from typing import Iterable, Optional

ETH_P_ALL = 0x0003


@dataclass(frozen=True)
class Host:
    """A station by its hardware and IPv4 address."""

    mac: str
    ip: str

    @staticmethod
    def parse(text: str) -> "Host":
        mac, _, ip = text.partition(",")
        return Host(mac, ip)

    @property
    def link_local(self) -> str:
        """The IPv6 address the station makes of its hardware address (RFC 4291, appendix A)."""
        octets = [int(octet, 16) for octet in self.mac.split(":")]
        octets[0] ^= 2
        words = octets[:3] + [0xFF, 0xFE] + octets[3:]
        pairs = (f"{words[i]:02x}{words[i + 1]:02x}" for i in range(0, 8, 2))
        return "fe80::" + ":".join(pairs)


@dataclass(frozen=True)
class Parties:
    """The attacker's interface, the attacker, the target, and whoever is impersonated or misused."""

    interface: str
    attacker: Host
    target: Host
    other: Optional[Host]

    def send(self, frames: Iterable[bytes], pause_s: float = 0.01) -> int:
        """Sends frames as they are and returns how many there were."""
        sent = 0
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as wire:
            wire.bind((self.interface, 0))
            for frame in frames:
                wire.send(bytes(frame))
                sent += 1
                time.sleep(pause_s)
        return sent
