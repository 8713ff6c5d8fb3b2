"""Printers and who prints: raw port 9100 with PJL, LPD (RFC 1179), IPP (CUPS' ippeveprinter)."""

import asyncio

from cast.management import QUIET, folder

PATIENCE_S = 6


async def jetdirect(player, model):
    """Takes jobs on port 9100 and says who it is when asked in PJL."""
    async def peer(reader, writer):
        try:
            while data := await reader.read(65536):
                if b"@PJL INFO ID" in data:
                    writer.write(f'@PJL INFO ID\r\n"{model}"\r\n\x0c'.encode())
                elif b"@PJL INFO STATUS" in data:
                    writer.write(b"@PJL INFO STATUS\r\nCODE=10001\r\nDISPLAY=\"Ready\"\r\n"
                                 b"ONLINE=TRUE\r\n\x0c")
        except OSError:
            pass
        writer.close()

    async with await asyncio.start_server(peer, "", 9100) as server:
        await server.serve_forever()


async def lpd(player):
    """Takes jobs as a line printer daemon: every step is acknowledged by a zero byte."""
    async def peer(reader, writer):
        try:
            await reader.readuntil(b"\n")
            writer.write(b"\0")
            while line := await reader.readuntil(b"\n"):
                writer.write(b"\0")
                if line[:1] in b"\x02\x03":
                    await reader.readexactly(int(line[1:].split()[0]) + 1)
                    writer.write(b"\0")
        except (OSError, EOFError):
            pass
        writer.close()

    async with await asyncio.start_server(peer, "", 515) as server:
        await server.serve_forever()


async def ipp(player, maker, model):
    """CUPS' sample printer, with a message bus of its own for its DNS-SD entry."""
    place = folder(player, "jobs")
    process = await asyncio.create_subprocess_exec(
        "dbus-run-session", "--", "sh", "-c",
        'export DBUS_SYSTEM_BUS_ADDRESS=$DBUS_SESSION_BUS_ADDRESS; exec ippeveprinter -p 631 '
        f'-r off -c /bin/true -M "{maker}" -m "{model}" -d "{place}" '
        f'-f application/pdf,text/plain "{player.hostname or player.name}"', **QUIET)
    await process.wait()
    raise RuntimeError("ippeveprinter ended")


async def raw_job(player, peer, size):
    reader, writer = await asyncio.wait_for(asyncio.open_connection(peer, 9100), PATIENCE_S)
    writer.write(b"\x1b%-12345X@PJL INFO ID\r\n")
    await asyncio.wait_for(reader.read(512), PATIENCE_S)
    writer.write(b"@PJL JOB NAME=\"wristband\"\r\n@PJL ENTER LANGUAGE=PCL\r\n"
                 + player.rng.randbytes(size) + b"\x1b%-12345X@PJL EOJ\r\n\x1b%-12345X")
    await writer.drain()
    writer.close()


async def lpd_job(player, peer, size):
    reader, writer = await asyncio.wait_for(asyncio.open_connection(peer, 515), PATIENCE_S)
    control = b"Hdesk\nPnurse\nJlabel\nldfA001desk\n"
    for part in (b"\x02labels\n", f"\x02{len(control)} cfA001desk\n".encode(), control + b"\0",
                 f"\x03{size} dfA001desk\n".encode(), player.rng.randbytes(size) + b"\0"):
        writer.write(part)
        await asyncio.wait_for(reader.readexactly(1), PATIENCE_S)
    writer.close()


async def ipp_job(player, peer, size):
    place = folder(player, "print") / "page.txt"
    place.write_text("wristband\n" * (size // 10))
    process = await asyncio.create_subprocess_exec(
        "timeout", "8", "ipptool", "-T", "6", "-d", "filetype=text/plain", "-f", str(place),
        f"ipp://{peer}:631/ipp/print",
        "print-job.test" if player.rng.random() < 0.5 else "get-printer-attributes.test", **QUIET)
    await process.wait()


JOBS = {"raw": raw_job, "lpd": lpd_job, "ipp": ipp_job}


async def print_jobs(player, peers, way, every_s, size=6000):
    """A desk or server that prints on each printer now and then."""
    if not peers:
        return
    async for _ in player.beats(every_s, 0.5):
        try:
            await JOBS[way](player, player.rng.choice(peers),
                            int(size * player.rng.uniform(0.2, 2)))
        except (OSError, EOFError, TimeoutError):
            continue
