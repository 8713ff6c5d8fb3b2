"""Raw Ethernet frames in and out of one interface, for the tests.

frames.py send INTERFACE      sends what comes on standard input
frames.py receive INTERFACE   writes what arrives to standard output

A frame is its length as 4 bytes, big-endian, then its bytes. The receiver puts back the VLAN tag
that the kernel takes off on the way to a packet socket, and says so by an empty frame when it is
ready.
"""

import socket
import struct
import sys

SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_IGNORE_OUTGOING = 23
ETH_P_ALL = 3
TP_STATUS_VLAN_VALID = 0x10
TP_STATUS_VLAN_TPID_VALID = 0x40


def send(interface):
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind((interface, 0))
    while head := sys.stdin.buffer.read(4):
        sender.send(sys.stdin.buffer.read(struct.unpack("!I", head)[0]))


def receive(interface):
    receiver = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    receiver.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    receiver.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    receiver.bind((interface, ETH_P_ALL))
    write(b"")
    while True:
        frame, auxiliary, _, _ = receiver.recvmsg(65536, 64)
        write(with_tag(frame, auxiliary))


def with_tag(frame, auxiliary):
    for level, kind, data in auxiliary:
        if (level, kind) != (SOL_PACKET, PACKET_AUXDATA):
            continue
        status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", data[:20])
        if status & TP_STATUS_VLAN_VALID:
            tpid = tpid if status & TP_STATUS_VLAN_TPID_VALID else 0x8100
            return frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]
    return frame


def write(frame):
    sys.stdout.buffer.write(struct.pack("!I", len(frame)) + frame)
    sys.stdout.buffer.flush()


{"send": send, "receive": receive}[sys.argv[1]](sys.argv[2])
