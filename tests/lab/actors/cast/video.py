"""IP cameras and recorders: RTSP (RFC 2326) with H.264-like RTP, interleaved or over UDP. What is in
the pictures is noise; their sizes and rhythm are an encoder's: a large picture, then small ones.
"""

import asyncio
import re
import struct

CHUNK = 1400


def picture(player, first, key_size, delta_size):
    size = int((key_size if first else delta_size) * player.rng.uniform(0.6, 1.5))
    return player.rng.randbytes(max(size, 60))


async def camera(player, server, rate=12, group=24, key_size=9000, delta_size=1100, realm=""):
    """Serves one stream to each viewer."""
    loop = asyncio.get_running_loop()

    async def play(send):
        number, sequence, start = 0, player.rng.randrange(65536), loop.time()
        while True:
            data = picture(player, number % group == 0, key_size, delta_size)
            for at in range(0, len(data), CHUNK):
                last = at + CHUNK >= len(data)
                head = struct.pack("!BBHII", 0x80, 96 | (0x80 if last else 0), sequence & 0xFFFF,
                                   number * 90000 // rate & 0xFFFFFFFF, 0x57415244)
                await send(head + b"\x7c" + data[at:at + CHUNK])
                sequence += 1
            number += 1
            await asyncio.sleep(max(0, start + number / rate - loop.time()))

    async def peer(reader, writer):
        task, target = None, None
        sock = player.udp(0)

        async def interleaved(packet):
            writer.write(b"$\0" + struct.pack("!H", len(packet)) + packet)
            await writer.drain()

        async def datagram(packet):
            await loop.sock_sendto(sock, packet, target)

        try:
            while True:
                text = (await reader.readuntil(b"\r\n\r\n")).decode(errors="replace")
                method, url = re.search(r"(\w+) (\S+) RTSP", text).groups()
                sequence_of = re.search(r"CSeq: *(\d+)", text).group(1)
                lines = ["RTSP/1.0 200 OK", f"CSeq: {sequence_of}", f"Server: {server}"]
                body = ""
                if method == "OPTIONS":
                    lines.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER")
                elif method == "DESCRIBE":
                    body = (f"v=0\r\no=- 1 1 IN IP4 {player.address}\r\ns=Session\r\nt=0 0\r\n"
                            "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n")
                    lines += [f"Content-Base: {url}/", "Content-Type: application/sdp"]
                elif method == "SETUP":
                    lines.append(re.search(r"Transport: [^\r]+", text).group(0))
                    lines.append("Session: 12345678;timeout=60")
                    if found := re.search(r"client_port=(\d+)", text):
                        target = (writer.get_extra_info("peername")[0], int(found.group(1)))
                elif method == "PLAY":
                    lines.append("Session: 12345678")
                    task = asyncio.create_task(play(datagram if target else interleaved))
                lines.append(f"Content-Length: {len(body)}")
                writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
                if method == "TEARDOWN":
                    break
        except (OSError, EOFError, AttributeError):
            pass
        if task:
            task.cancel()
        sock.close()
        writer.close()

    async with await asyncio.start_server(peer, "", 554) as listener:
        await listener.serve_forever()


async def recorder(player, peers, agent, udp=False, alive_s=15.0):
    """Watches all cameras."""
    async def one(peer):
        reader, writer = await asyncio.open_connection(peer, 554)
        number, base = 0, f"rtsp://{peer}:554/stream1"
        sock = player.udp(0) if udp else None

        def ask(method, url, *more):
            nonlocal number
            number += 1
            lines = [f"{method} {url} RTSP/1.0", f"CSeq: {number}", f"User-Agent: {agent}", *more]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())

        async def answer():
            text = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode()
            await reader.readexactly(int(re.search(r"Content-Length: (\d+)", text).group(1)))

        if sock:
            port = sock.getsockname()[1]
            transport = f"Transport: RTP/AVP;unicast;client_port={port}-{port + 1}"
        else:
            transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
        for method, url, *more in (
                ("OPTIONS", base), ("DESCRIBE", base, "Accept: application/sdp"),
                ("SETUP", f"{base}/track1", transport)):
            ask(method, url, *more)
            await answer()
        ask("PLAY", base, "Session: 12345678", "Range: npt=0.000-")

        async def keep_alive():
            while True:
                await player.pause(alive_s)
                ask("GET_PARAMETER", base, "Session: 12345678")

        task = asyncio.create_task(keep_alive())
        try:
            while await reader.read(65536):
                pass
        finally:
            task.cancel()
            writer.close()
            if sock:
                sock.close()

    async with asyncio.TaskGroup() as group:
        for peer in peers:
            group.create_task(player.keep(one, peer))
