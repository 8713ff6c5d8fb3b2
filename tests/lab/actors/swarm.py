"""Light extra devices for scale: each its own hardware address on one cable, an address by DHCP,
then an ARP request and an NTP question now and then. Raw frames, no interface each.

Arguments: --devices N.
"""

import argparse
import random
import select
import socket
import struct
import time

from wardlib import report

BROADCAST = b"\xff" * 6
NTP_SERVER = socket.inet_aton("10.20.0.2")
RHYTHM_S = 10


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp_frame(source, target, source_ip, target_ip, source_port, target_port, payload):
    udp = struct.pack("!HHHH", source_port, target_port, 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), random.getrandbits(16), 0, 64, 17,
                       0, source_ip, target_ip)
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return target + source + b"\x08\x00" + head + udp


class Device:
    """One light device and where it stands: no address, offered one, or at work."""

    def __init__(self, number):
        self.mac = bytes.fromhex("0016a4") + struct.pack("!I", 0x400000 + number)[1:]
        self.transaction = random.getrandbits(32)
        self.ip = self.server_mac = None
        self.answers = 0
        self.due = random.uniform(0, 2)

    def dhcp(self, kind, options=b""):
        body = struct.pack("!BBBBIHH4s4s4s4s16s192x", 1, 1, 6, 0, self.transaction, 0, 0x8000,
                           bytes(4), bytes(4), bytes(4), bytes(4), self.mac + bytes(10))
        body += b"\x63\x82\x53\x63\x35\x01" + bytes([kind]) + options
        body += b"\x0c\x05extra\x37\x03\x01\x03\x2a\xff"
        return udp_frame(self.mac, BROADCAST, bytes(4), b"\xff" * 4, 68, 67, body)

    def frames(self):
        """What it sends when its time has come."""
        if self.ip is None:
            return [self.dhcp(1)]
        arp = BROADCAST + self.mac + b"\x08\x06" + struct.pack(
            "!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, self.mac, self.ip, bytes(6), NTP_SERVER)
        question = b"\x23" + bytes(47)
        return [arp, udp_frame(self.mac, self.server_mac, self.ip, NTP_SERVER, 123, 123, question)]

    def hear(self, frame):
        """Returns a frame to send at once, if any."""
        if frame[12:14] != b"\x08\x00" or frame[23] != 17:
            return None
        start = 14 + (frame[14] & 15) * 4
        source_port = int.from_bytes(frame[start:start + 2], "big")
        if source_port == 123:
            self.answers += 1
        elif source_port == 67:
            body = frame[start + 8:]
            if int.from_bytes(body[4:8], "big") != self.transaction:
                return None
            offered, kind = body[16:20], body[body.index(b"\x35\x01") + 2]
            if kind == 2:
                server = b"\x36\x04" + frame[26:30]
                return self.dhcp(3, b"\x32\x04" + offered + server)
            if kind == 5:
                self.ip, self.server_mac, self.due = offered, frame[6:12], 0
        return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--devices", type=int, required=True)
    devices = [Device(number) for number in range(parser.parse_args().devices)]
    by_mac = {device.mac: device for device in devices}
    by_transaction = {device.transaction: device for device in devices}
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    sock.bind(("eth0", 0))
    sock.setsockopt(263, 1, struct.pack("iHH8s", socket.if_nametoindex("eth0"), 1, 6, bytes(8)))
    next_report = 0
    while True:
        now = time.monotonic()
        for device in devices:
            if device.due <= now:
                for frame in device.frames():
                    sock.send(frame)
                device.due = now + (RHYTHM_S if device.ip else 2) * random.uniform(0.9, 1.1)
        if now > next_report:
            next_report = now + 5
            report(devices=len(devices), addressed=sum(d.ip is not None for d in devices),
                   answered=sum(d.answers > 0 for d in devices))
        while select.select([sock], [], [], 0.02)[0]:
            frame = sock.recv(2048)
            device = by_mac.get(frame[:6])
            if device is None and frame[:6] == BROADCAST and len(frame) > 50:
                device = by_transaction.get(int.from_bytes(frame[46:50], "big"))
            if device and (reply := device.hear(frame)):
                sock.send(reply)


main()
