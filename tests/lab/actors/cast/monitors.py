"""Two monitoring networks. Emulated from what is published about them.

Philips-like data export: connect indications by broadcast to UDP 24005, then association, MDS
create, polls and results on UDP 24105 (the vendor's programming guide). Unity-like: announcements
by broadcast to UDP 7000, time to UDP 2000, waves to the port the other announced (see `unity.py`).
"""

import asyncio
import socket
import struct
import time

INDICATION, EXPORT = 24005, 24105
MDS, MDS_CREATE, CONNECT, POLL, EXTENDED_POLL = 0x0021, 0x0D06, 0x0D16, 0x0C16, 0xF13B
# The guide's association request: session, presentation and user data headers.
REQUEST = bytes.fromhex(
    "0dec0508130100160102800014020002c1dc3180a0808001010000a280a003000001a48030800201010604520100"
    "01308006025101000000003080020102060c2a8648ce14020100000001013080060c2a8648ce1402010000000201"
    "00000000000061803080020101a0806080a180060c2a8648ce14020100000003010000be802880060c2a8648ce14"
    "0201000000010102010281488000000040000000000000008000000020000000000000000001002c000100288000"
    "0000000009c4000009c4000003e8ffffffff600000000001000cf00100088c000000000000000000000000000000"
    "0000000000000000")
ACCEPT = b"\x0e\xec" + REQUEST[2:]


def attributes(pairs):
    body = b"".join(struct.pack("!HH", number, len(value)) + value for number, value in pairs)
    return struct.pack("!HH", len(pairs), len(body)) + body


def label(text):
    data = text.encode() + b"\0"
    data += b"\0" * (len(data) % 2)
    return struct.pack("!H", len(data)) + data


def identity(player, model, bed):
    return attributes([
        (0x0986, bytes.fromhex("00010021")),
        (0x0984, bytes.fromhex("0006") + bytes.fromhex(player.mac.replace(":", ""))),
        (0x0928, label("Philips") + label(model)),
        (0x091E, label(bed)),
        (0xF100, bytes.fromhex(player.mac.replace(":", "")) + b"\0\0"
         + socket.inet_aton(player.address) + b"\xff\xff\xfc\0"),
        (0xF101, struct.pack("!HHHHHH", 1, 8, 1, 5, EXPORT, 0)),
    ])


def remote(operation, invoke, command, body):
    """Session id, context, operation and command headers around a body."""
    inner = struct.pack("!HHH", invoke, command, len(body)) + body
    return struct.pack("!HHHH", 0xE100, 2, operation, len(inner)) + inner


def report_of(event, body):
    ticks = int(time.monotonic() * 8000) & 0xFFFFFFFF
    return struct.pack("!HHHIHH", MDS, 0, 0, ticks, event, len(body)) + body


async def export_monitor(player, model, bed, size=700, indications_s=10.0):
    """A monitor: says that it can be connected to, is associated, answers polls."""
    loop = asyncio.get_running_loop()
    sock = player.udp(EXPORT, broadcast=True)
    associated = None

    async def indicate():
        indication = struct.pack("!HH", 1, 0) + remote(
            1, 1, 0, report_of(CONNECT, identity(player, model, bed)))[4:]
        async for _ in player.beats(indications_s, 0.03):
            if associated is None:
                await loop.sock_sendto(sock, indication, ("255.255.255.255", INDICATION))

    async def serve():
        nonlocal associated
        while True:
            data, peer = await loop.sock_recvfrom(sock, 4096)
            if data[:1] == b"\x0d":
                await loop.sock_sendto(sock, ACCEPT, peer)
                created = struct.pack("!HHH", MDS, 0, 0) + identity(player, model, bed)
                await loop.sock_sendto(
                    sock, remote(1, 1, 1, report_of(MDS_CREATE, created)), peer)
                associated = peer
            elif data[4:6] == b"\0\1" and len(data) > 30:
                poll = struct.unpack("!H", data[24:26])[0]
                values = player.rng.randbytes(int(size * player.rng.uniform(0.8, 1.2)))
                await loop.sock_sendto(sock, remote(
                    2, 1, 7, struct.pack("!HHHHH", MDS, 0, 0, poll, len(values)) + values), peer)

    await asyncio.gather(indicate(), serve())


async def export_centre(player, every_s=1.0, waves_s=0.256, extended=True):
    """The information centre: hears indications, associates, polls numbers and waves."""
    loop = asyncio.get_running_loop()
    hears, sock = player.udp(INDICATION, broadcast=True), player.udp(0)
    known = {}

    async def poll(peer, kind, code, pause_s):
        number = 0
        async for _ in player.beats(pause_s, 0.02):
            number += 1
            body = struct.pack("!HHHIHHHHH", MDS, 0, 0, 0, kind, 8, number & 0xFFFF, 1, code) \
                + struct.pack("!HI", 0, 0)
            await loop.sock_sendto(sock, remote(1, number & 0xFFFF, 7, body), peer)

    async def indications():
        while True:
            _, (address, _) = await loop.sock_recvfrom(hears, 4096)
            if address not in known:
                known[address] = []
                await loop.sock_sendto(sock, REQUEST, (address, EXPORT))

    async def answers():
        while True:
            data, peer = await loop.sock_recvfrom(sock, 4096)
            if data[:1] == b"\x0e" and not known.get(peer[0]):
                kind = EXTENDED_POLL if extended else POLL
                known[peer[0]] = [asyncio.create_task(poll(peer, kind, 6, every_s))]
                if waves_s:
                    known[peer[0]].append(asyncio.create_task(poll(peer, kind, 9, waves_s)))
            elif data[24:26] == struct.pack("!H", MDS_CREATE):
                await loop.sock_sendto(
                    sock, remote(2, 1, 1, report_of(MDS_CREATE, b"")), peer)

    await asyncio.gather(indications(), answers())


ANNOUNCE, CLOCK, ALARM, WAVES = 7000, 2000, 7001, 7002
EVERYBODY = "126.255.255.255"


async def unity(player, unit, room, central=False, every_s=10.0, waves_s=0.25, wave_size=480,
                alarms_s=0.0):
    """A node of the broadcast network; a bedside one sends its waves to the central one heard."""
    loop = asyncio.get_running_loop()
    sender = player.udp(0, dscp=26)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    heard = player.udp(ANNOUNCE, broadcast=True, dscp=26)
    alarms, waves = player.udp(ALARM, broadcast=True), player.udp(WAVES, broadcast=True)
    centre = None

    def announcement():
        packet = bytearray(64)
        packet[6:10] = socket.inet_aton(player.address)
        name = f"{unit}|{room}".encode()[:32]
        packet[24:24 + len(name)] = name
        packet[60:62] = struct.pack("!H", ALARM)
        packet[62:64] = struct.pack("!H", 1 if central else 0)
        return bytes(packet)

    async def announce():
        async for number in player.beats(every_s, 0.01):
            await loop.sock_sendto(sender, announcement(), (EVERYBODY, ANNOUNCE))
            if central and number % 6 == 0:
                await loop.sock_sendto(sender, struct.pack("!Q98x", int(time.time())),
                                       (EVERYBODY, CLOCK))

    async def listen():
        nonlocal centre
        while True:
            packet, (address, _) = await loop.sock_recvfrom(heard, 2048)
            if packet[62:64] == b"\0\1" and address != player.address and centre is None:
                centre = address

    async def absorb(sock):
        while True:
            await loop.sock_recvfrom(sock, 2048)

    async def stream(pause_s, port, size):
        async for number in player.beats(pause_s, 0.02):
            if centre and not central:
                data = struct.pack("!IQ", number, int(time.time() * 1000)) \
                    + player.rng.randbytes(size)
                await loop.sock_sendto(sender, data, (centre, port))

    tasks = [announce(), listen(), absorb(alarms), absorb(waves)]
    if not central:
        tasks.append(stream(waves_s, WAVES, wave_size))
        if alarms_s:
            tasks.append(stream(alarms_s, ALARM, 96))
    await asyncio.gather(*tasks)
