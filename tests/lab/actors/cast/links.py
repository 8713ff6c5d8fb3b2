"""Plain conversations: over TCP or UDP, who calls whom, in which rhythm, with which frames.

A frame is named after its function in `frames.py`; of a list, one is taken at random each time.
"""

import asyncio
import socket
import struct

from cast import frames

PATIENCE_S = 4


def frame(player, names, number):
    return frames.make(player, names if isinstance(names, str) else player.rng.choice(names),
                       number)


async def call(player, peer, port, every_s, send, keep=True, answered=True, tls=False, name="",
               version=None, jitter=0.05, first=None):
    """Calls a server and sends a frame in a steady rhythm."""
    context = player.client_tls(version=version) if tls else None
    link = None
    async for number in player.beats(every_s, jitter):
        try:
            if link is None:
                link = await asyncio.wait_for(asyncio.open_connection(
                    peer, port, ssl=context, server_hostname=(name or peer) if tls else None),
                    PATIENCE_S)
                if first:
                    link[1].write(frame(player, first, 0))
                    await asyncio.wait_for(link[0].read(8192), PATIENCE_S)
            link[1].write(frame(player, send, number))
            if answered and not await asyncio.wait_for(link[0].read(8192), PATIENCE_S):
                raise EOFError
        except (OSError, EOFError, TimeoutError):
            link = None
        if not keep and link:
            link[1].close()
            link = None


async def serve(player, port, answer=None, push=None, every_s=1.0, tls=False, greeting=None):
    """Accepts connections, answers what comes, and may push frames of its own meanwhile."""
    async def pushing(writer):
        async for number in player.beats(every_s):
            writer.write(frame(player, push, number))
            await writer.drain()

    async def peer(reader, writer):
        task = asyncio.create_task(pushing(writer)) if push else None
        number = 0
        try:
            if greeting:
                writer.write(frame(player, greeting, 0))
            while await reader.read(8192):
                if answer:
                    writer.write(frame(player, answer, number))
                    await writer.drain()
                number += 1
        except OSError:
            pass
        if task:
            task.cancel()
        writer.close()

    context = player.server_tls() if tls else None
    async with await asyncio.start_server(peer, "", port, ssl=context) as server:
        await server.serve_forever()


async def poll(player, peers, port, every_s, send=None, answered=True):
    """Calls devices, stays connected, asks in a steady rhythm; or only listens."""
    async def one(peer):
        if send:
            await call(player, peer, port, every_s, send, answered=answered)
        reader, writer = await asyncio.open_connection(peer, port)
        while await reader.read(8192):
            pass
        writer.close()

    await asyncio.gather(*(player.keep(one, peer) for peer in peers))


async def beat(player, peer, port, every_s, send, source=0, dscp=0, jitter=0.05):
    """Datagrams in a steady rhythm to a host, a group or everybody; answers are ignored."""
    group = peer.startswith(("224.", "225.", "239."))
    sock = player.udp(source, broadcast=peer.endswith(".255"), dscp=dscp)
    if group:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 4)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(player.address))
    loop = asyncio.get_running_loop()
    async for number in player.beats(every_s, jitter):
        try:
            await loop.sock_sendto(sock, frame(player, send, number), (peer, port))
        except OSError:
            continue  # an ICMP error for an earlier datagram


async def hear(player, port, answer=None, group=None, answers_each=1.0):
    """Hears datagrams, joins a group for them if there is one, answers some."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("", port))
    if group:
        member = struct.pack("4s4s", socket.inet_aton(group), socket.inet_aton(player.address))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    loop, number = asyncio.get_running_loop(), 0
    while True:
        _, peer = await loop.sock_recvfrom(sock, 4096)
        number += 1
        if answer and player.rng.random() < answers_each:
            await loop.sock_sendto(sock, frame(player, answer, number), peer)


async def talk(player, peer, port, every_s, lasts_s, send, each_s, source=0, dscp=46):
    """Bursts of a stream, as calls are: frames each `each_s` for `lasts_s`, then silence."""
    sock = player.udp(source, dscp=dscp)
    loop, number = asyncio.get_running_loop(), 0
    while True:
        await player.pause(every_s, 0.5)
        start = loop.time()
        for step in range(int(player.rng.uniform(0.5, 1.5) * lasts_s / each_s)):
            await asyncio.sleep(max(0, start + step * each_s - loop.time()))
            number += 1
            try:
                await loop.sock_sendto(sock, frame(player, send, number), (peer, port))
            except OSError:
                continue
