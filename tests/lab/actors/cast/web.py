"""HTTP and HTTPS of devices: pumps that ask their server, pages that devices show, FHIR."""

import asyncio
import re

PATIENCE_S = 8


async def head(reader):
    """The first line and the headers of a request or answer, and its body."""
    text = (await reader.readuntil(b"\r\n\r\n")).decode(errors="replace")
    found = re.search(r"^content-length:\s*(\d+)", text, re.IGNORECASE | re.MULTILINE)
    body = await reader.readexactly(int(found.group(1))) if found else b""
    return text, body


async def ask(player, peer, every_s, paths, agent, host="", port=80, tls=False, method="GET",
              size=0, keep=False, alpn=None, version=None, jitter=0.08):
    """Asks a server for a path in a steady rhythm, or posts `size` bytes to it."""
    context = player.client_tls(alpn, version) if tls else None
    paths = [paths] if isinstance(paths, str) else paths
    link = None
    async for _ in player.beats(every_s, jitter):
        body = bytes(player.rng.randrange(32, 126) for _ in range(int(size * player.rng.random())))
        lines = [f"{method} {player.rng.choice(paths)} HTTP/1.1", f"Host: {host or peer}",
                 f"User-Agent: {agent}", "Accept: */*"]
        if not keep:
            lines.append("Connection: close")
        if method == "POST":
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        try:
            if link is None:
                link = await asyncio.wait_for(asyncio.open_connection(
                    peer, port, ssl=context, server_hostname=(host or peer) if tls else None),
                    PATIENCE_S)
            link[1].write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
            await asyncio.wait_for(head(link[0]), PATIENCE_S)
        except (OSError, EOFError, TimeoutError):
            link = None
        if not keep and link:
            link[1].close()
            link = None


async def serve(player, server, port=80, tls=False, title="", size=600, kind="text/html", realm=""):
    """Shows one page; with a realm it asks for a password instead."""
    async def peer(reader, writer):
        try:
            while True:
                first, _ = await head(reader)
                body = f"<html><head><title>{title}</title></head>".encode()
                body += b"<!-- " + b"." * int(size * player.rng.random()) + b" --></html>"
                status = "401 Unauthorized" if realm else "200 OK"
                lines = [f"HTTP/1.1 {status}", f"Server: {server}", f"Content-Type: {kind}",
                         f"Content-Length: {len(body)}"]
                if realm:
                    lines.append(f'WWW-Authenticate: Basic realm="{realm}"')
                closes = "connection: close" in first.lower()
                writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
                await writer.drain()
                if closes:
                    break
        except (OSError, EOFError):
            pass
        writer.close()

    context = player.server_tls() if tls else None
    async with await asyncio.start_server(peer, "", port, ssl=context) as listener:
        await listener.serve_forever()


async def poll(player, peers, every_s, paths, agent, port=80, tls=False):
    """A server that looks at pages of devices in turn."""
    await asyncio.gather(*(ask(player, peer, every_s, paths, agent, port=port, tls=tls)
                           for peer in peers))
