"""A node of a GE-Unity-like monitoring network. Emulated from what is published: every node
announces itself by subnet broadcast to UDP 7000 ("RWHAT"), the central one broadcasts the time to
UDP 2000, alarms go by unicast UDP to the port that the other's announcement names.

The announcement keeps the published places: device address in bytes 7 to 10, `unit|room` from byte
25 on; the alarm port follows. The rest of the layout is not public and left zero.

    unity.py node NAME ADDRESS [--central]     runs, notes what it hears
    unity.py alarm NAME ADDRESS PEER TOKEN     listens for PEER's announcement, then sends an alarm
    unity.py announce NAME ADDRESS TOKEN       one announcement with TOKEN as its room
"""

import socket
import struct
import sys
import threading
import time

from wardlib import fail, report

ANNOUNCE, TIME, ALARM = 7000, 2000, 7001
RHYTHM_S = 2  # about 10 s in the real network
BROADCAST = "126.255.255.255"


def udp(port=0, address=""):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 26 << 2)  # the DSCP these monitors use
    sock.bind((address, port))
    return sock


def announcement(address, unit, room):
    packet = bytearray(64)
    packet[6:10] = socket.inet_aton(address)
    label = f"{unit}|{room}".encode()[:32]
    packet[24:24 + len(label)] = label
    packet[60:62] = struct.pack("!H", ALARM)
    return bytes(packet)


def understand(packet):
    label = packet[24:60].rstrip(b"\0").decode()
    unit, _, room = label.partition("|")
    return socket.inet_ntoa(packet[6:10]), unit, room, struct.unpack("!H", packet[60:62])[0]


def hear(port, note):
    sock = udp(port)
    while True:
        packet, peer = sock.recvfrom(2048)
        note(packet, peer[0])


def node(name, address, central):
    def heard_node(packet, peer):
        if peer != address:
            _, unit, room, _ = understand(packet)
            report(token=room, heard="announcement", unit=unit, peer=peer)

    def heard_alarm(packet, peer):
        report(token=packet.decode(), heard="alarm", peer=peer)

    def heard_time(packet, peer):
        if peer != address:
            report(token="time", heard="time", unix=struct.unpack("!Q", packet[:8])[0], peer=peer)

    for port, note in ((ANNOUNCE, heard_node), (ALARM, heard_alarm), (TIME, heard_time)):
        threading.Thread(target=hear, args=(port, note), daemon=True).start()
    sender = udp(address=address)
    while True:
        sender.sendto(announcement(address, "WARD", name), (BROADCAST, ANNOUNCE))
        if central:
            # The published packet has 106 bytes; its fields are not public.
            sender.sendto(struct.pack("!Q98x", int(time.time())), (BROADCAST, TIME))
        time.sleep(RHYTHM_S)


def alarm(address, wanted, token):
    listener, sender = udp(ANNOUNCE), udp(address=address)
    end = time.monotonic() + 3 * RHYTHM_S
    while (left := end - time.monotonic()) > 0:
        listener.settimeout(left)
        try:
            peer, _, room, port = understand(listener.recvfrom(2048)[0])
        except TimeoutError:
            break
        if room == wanted:
            sender.sendto(token.encode(), (peer, port))
            return report(token=token, sent_to=peer, port=port)
    return fail(f"no announcement of {wanted} heard")


match sys.argv[1:]:
    case ["node", name, address, *rest]:
        node(name, address, "--central" in rest)
    case ["alarm", _, address, wanted, token]:
        alarm(address, wanted, token)
    case ["announce", name, address, token]:
        udp(address=address).sendto(announcement(address, name, token), (BROADCAST, ANNOUNCE))
        report(token=token)
    case _:
        fail(__doc__)
