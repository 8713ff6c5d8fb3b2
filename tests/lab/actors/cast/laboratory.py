"""Laboratory and point of care: ASTM/LIS2-A in both directions of connecting, POCT1-A.

Emulated from the published standards' framing (ASTM E1381 link, E1394 records, POCT1-A messages).
"""

import asyncio
import re
import time

ENQ, ACK, EOT, STX, ETX = b"\x05", b"\x06", b"\x04", b"\x02", b"\x03"
PATIENCE_S = 6


def records(player, sender):
    now = time.strftime("%Y%m%d%H%M%S")
    tests = player.rng.sample(["GLU", "NA", "K", "CREA", "TNT", "CRP", "HGB", "PO2", "PCO2", "PH"],
                              player.rng.randrange(1, 8))
    lines = [f"H|\\^&|||{sender}|||||LIS||P|LIS2-A2|{now}", "P|1||TEST0001",
             f"O|1|SP{player.rng.randrange(10**6)}||^^^{tests[0]}|R"]
    for number, test in enumerate(tests, 1):
        lines.append(f"R|{number}|^^^{test}|{player.rng.uniform(1, 100):.1f}|mmol/L||N||F|||"
                     f"{now}")
    return [*lines, "L|1|N"]


async def send_records(reader, writer, lines):
    async def acknowledged(data):
        writer.write(data)
        await asyncio.wait_for(reader.readexactly(1), PATIENCE_S)

    await acknowledged(ENQ)
    for number, line in enumerate(lines, 1):
        body = str(number % 8).encode() + line.encode() + b"\r" + ETX
        await acknowledged(STX + body + f"{sum(body) & 0xFF:02X}".encode() + b"\r\n")
    writer.write(EOT)
    await writer.drain()


async def receive_records(reader, writer):
    while await reader.readexactly(1) == ENQ:
        writer.write(ACK)
        while await reader.readexactly(1) == STX:
            await reader.readuntil(b"\r\n")
            writer.write(ACK)


async def astm(player, peer, sender, every_s, port=5000, keep=False):
    """An analyser that calls its information system and reports results."""
    link = None
    async for _ in player.beats(every_s, 0.3):
        try:
            link = link or await asyncio.wait_for(asyncio.open_connection(peer, port), PATIENCE_S)
            await send_records(*link, records(player, sender))
        except (OSError, EOFError, TimeoutError):
            link = None
        if not keep and link:
            link[1].close()
            link = None


async def astm_listen(player, sender, every_s, port):
    """An analyser that waits for its information system to call, then reports over that link."""
    async def peer(reader, writer):
        try:
            async for _ in player.beats(every_s, 0.3):
                await send_records(reader, writer, records(player, sender))
        except (OSError, EOFError, TimeoutError):
            writer.close()

    async with await asyncio.start_server(peer, "", port) as server:
        await server.serve_forever()


async def astm_collect(player, peers, port):
    """An information system that calls its analysers and stays connected."""
    async def one(peer):
        reader, writer = await asyncio.open_connection(peer, port)
        await receive_records(reader, writer)

    await asyncio.gather(*(player.keep(one, peer) for peer in peers))


async def poct1a(player, peer, vendor, model, serial, software, every_s, port=3100):
    """A dock or analyser at the point of care: says who it is, hands over results, asks for lists."""
    async for _ in player.beats(every_s, 0.3):
        results = player.rng.randrange(1, 5)
        messages = [
            ("HEL.R01", f'<DEV><DEV.device_id V="{serial}"/><DEV.vendor_id V="{vendor}"/>'
             f'<DEV.model_id V="{model}"/><DEV.serial_id V="{serial}"/>'
             f'<DEV.sw_version V="{software}"/><DEV.device_name V="{model}"/>'
             '<DCP><DCP.application_timeout V="60"/></DCP><DSC><DSC.connection_profile_cd V="SA"/>'
             '</DSC></DEV>'),
            ("DST.R01", f'<DST><DST.status_dttm V="{time.strftime("%Y-%m-%dT%H:%M:%S+00:00")}"/>'
             f'<DST.new_observations_qty V="{results}"/><DST.condition_cd V="R"/></DST>'),
            *[("OBS.R01", '<SVC><SVC.role_cd V="OBS"/><PT><PT.patient_id V="TEST0001"/>'
               f'<OBS><OBS.observation_id V="2339-0"/><OBS.value V="{player.rng.uniform(3, 9):.1f}"'
               ' U="mmol/L"/><OBS.method_cd V="M"/></OBS></PT></SVC>') for _ in range(results)],
            ("EOT.R01", '<EOT><EOT.topic_cd V="OBS"/></EOT>'),
        ]
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(peer, port), PATIENCE_S)
            for number, (kind, body) in enumerate(messages, 1):
                head = (f'<HDR><HDR.control_id V="{number}"/><HDR.version_id V="POCT1"/>'
                        f'<HDR.creation_dttm V="{time.strftime("%Y-%m-%dT%H:%M:%S+00:00")}"/></HDR>')
                writer.write(f"<{kind}>{head}{body}</{kind}>".encode())
                await asyncio.wait_for(reader.readuntil(b"</ACK.R01>"), PATIENCE_S)
            writer.close()
        except (OSError, EOFError, TimeoutError):
            continue


async def poct1a_review(player, port):
    """The observation reviewer: acknowledges each message."""
    async def peer(reader, writer):
        number, data = 0, b""
        try:
            while part := await reader.read(4096):
                data += part
                while found := re.match(rb"\s*<(\w+\.R0\d)>.*?</\1>", data, re.DOTALL):
                    data = data[found.end():]
                    control = re.search(rb'HDR.control_id V="(\w+)"', found.group(0)).group(1)
                    number += 1
                    writer.write((
                        f'<ACK.R01><HDR><HDR.control_id V="{number}"/><HDR.version_id V="POCT1"/>'
                        '</HDR><ACK><ACK.type_cd V="AA"/>'
                        f'<ACK.ack_control_id V="{control.decode()}"/></ACK></ACK.R01>').encode())
        except OSError:
            pass
        writer.close()

    async with await asyncio.start_server(peer, "", port) as server:
        await server.serve_forever()
