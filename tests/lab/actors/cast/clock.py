"""The small talk of every joined device: time, names, log lines."""

import asyncio
import socket
import struct
import time

EPOCH_1900 = 2208988800


async def sntp(player, peer, every_s, version=4):
    """Asks for the time, as a simple client (RFC 4330)."""
    loop = asyncio.get_running_loop()
    async for _ in player.beats(every_s):
        sock = player.udp()
        sent = struct.pack("!I", int(time.time()) + EPOCH_1900)
        await loop.sock_sendto(sock, bytes([version << 3 | 3]) + bytes(39) + sent + bytes(4),
                               (peer, 123))
        try:
            await asyncio.wait_for(loop.sock_recv(sock, 512), 1)
        except (TimeoutError, OSError):
            pass
        sock.close()


async def names(player, names, every_s):
    """Looks names up through the resolver of this host."""
    loop = asyncio.get_running_loop()
    async for _ in player.beats(every_s, 0.4):
        try:
            await loop.getaddrinfo(player.rng.choice(names), None, family=socket.AF_INET)
        except OSError:
            pass


async def syslog(player, peer, every_s, tag, lines):
    """Log lines by UDP (RFC 3164)."""
    loop, sock = asyncio.get_running_loop(), player.udp()
    async for _ in player.beats(every_s, 0.5):
        now = time.strftime("%b %e %H:%M:%S")
        line = f"<134>{now} {player.hostname or player.name} {tag}: {player.rng.choice(lines)}"
        await loop.sock_sendto(sock, line.encode(), (peer, 514))
