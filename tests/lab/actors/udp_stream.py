"""Numbered datagrams between two hosts, to count what is lost on an allowed conversation.

    udp_stream.py echo PORT                      sends everything back, for ever
    udp_stream.py send ADDRESS PORT RATE SECONDS  RATE datagrams a second, reports sent and returned
"""

import socket
import struct
import sys
import threading
import time

from wardlib import fail, report

SETTLE_S = 1.0


def echo(port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("", port))
    while True:
        packet, peer = sock.recvfrom(2048)
        sock.sendto(packet, peer)


def send(address, port, rate, seconds):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((address, port))
    sock.settimeout(SETTLE_S)
    returned, worst, done = set(), 0.0, threading.Event()

    def collect():
        nonlocal worst
        while not done.is_set():
            try:
                number, sent_at = struct.unpack("!Qd", sock.recv(2048)[:16])
            except OSError:
                continue
            returned.add(number)
            worst = max(worst, time.monotonic() - sent_at)

    collector = threading.Thread(target=collect)
    collector.start()
    start, count = time.monotonic(), 0
    while (now := time.monotonic()) < start + seconds:
        try:
            sock.send(struct.pack("!Qd", count, now) + bytes(100))
        except ConnectionRefusedError:
            pass  # an ICMP error for an earlier datagram: the loss shows in the count
        count += 1
        time.sleep(max(0, start + count / rate - time.monotonic()))
    time.sleep(SETTLE_S)
    done.set()
    collector.join()
    report(sent=count, returned=len(returned), worst_round_trip_ms=round(worst * 1000, 2))


match sys.argv[1:]:
    case ["echo", port]:
        echo(int(port))
    case ["send", address, port, rate, seconds]:
        send(address, int(port), float(rate), float(seconds))
    case _:
        fail(__doc__)
