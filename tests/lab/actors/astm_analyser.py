"""Laboratory analyser: sends one result over ASTM/LIS2-A. Emulated, see lis.py.

Arguments: address of the laboratory information system, specimen id.
"""

import socket
import sys

from wardlib import fail, read_exactly, report

ENQ, ACK, EOT, STX, ETX = b"\x05", b"\x06", b"\x04", b"\x02", b"\x03"

address, specimen = sys.argv[1:]
records = [
    "H|\\^&|||ANALYSER^1|||||LIS||P|LIS2-A|20250101120000",
    "P|1||TEST0001",
    f"O|1|{specimen}||^^^GLU|R",
    "R|1|^^^GLU|5.4|mmol/L|3.9^5.8|N||F",
    "L|1|N",
]


def acknowledged(sock, what):
    if read_exactly(sock, 1) != ACK:
        fail(f"{what} was not acknowledged")


with socket.create_connection((address, 5000), 5) as sock:
    sock.settimeout(5)
    sock.sendall(ENQ)
    acknowledged(sock, "ENQ")
    for number, record in enumerate(records, 1):
        body = str(number % 8).encode() + record.encode("ascii") + b"\r" + ETX
        sock.sendall(STX + body + f"{sum(body) & 0xFF:02X}".encode() + b"\r\n")
        acknowledged(sock, f"frame {number}")
    sock.sendall(EOT)
report(token=specimen, frames=len(records))
