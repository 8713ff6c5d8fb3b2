"""Telephones: SIP over UDP with RTP straight to the other end (RFC 3261); voice badges whose server
only tells them where to talk to.
"""

import asyncio
import re

from cast import frames

SIP = 5060


def message(player, method, name, server, call, sequence, agent, audio=0, to=None):
    body = "" if not audio else (
        f"v=0\r\no=- 1 1 IN IP4 {player.address}\r\ns=call\r\nc=IN IP4 {player.address}\r\nt=0 0\r\n"
        f"m=audio {audio} RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n")
    return (
        f"{method} sip:{to or server}{'@' + server if to else ''} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {player.address}:{SIP};branch=z9hG4bK{call}{sequence}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:{name}@ward.test>;tag={call}\r\n"
        f"To: <sip:{to or name}@ward.test>\r\nCall-ID: {call}\r\nCSeq: {sequence} {method}\r\n"
        f"Contact: <sip:{name}@{player.address}:{SIP}>\r\nUser-Agent: {agent}\r\n"
        + ("Content-Type: application/sdp\r\n" if body else "Expires: 60\r\n")
        + f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


async def sip_phone(player, server, agent, register_s, calls_s, talk_s, extension, callee="phone",
                    rtp=16400):
    """Registers again and again, calls the nurse station now and then and talks for a while."""
    loop = asyncio.get_running_loop()
    signals, audio, answers = player.udp(SIP, dscp=24), player.udp(rtp, dscp=46), asyncio.Queue()
    sequence = 0

    async def hear():
        while True:
            data, _ = await loop.sock_recvfrom(signals, 4096)
            await answers.put(data.decode(errors="replace"))

    async def absorb():
        while True:
            await loop.sock_recvfrom(audio, 2048)

    async def ask(method, call, audio_port=0, to=None, answered=True):
        nonlocal sequence
        sequence += 1
        await loop.sock_sendto(signals, message(
            player, method, extension, server, call, sequence, agent, audio_port, to), (server, SIP))
        return await asyncio.wait_for(answers.get(), 2) if answered else ""

    async def register():
        async for number in player.beats(register_s, 0.05):
            try:
                await ask("REGISTER", f"reg{player.name}{number}")
            except TimeoutError:
                continue

    async def call():
        while True:
            await player.pause(calls_s, 0.6)
            identity = f"{player.name}{player.rng.randrange(10**8)}"
            try:
                answer = await ask("INVITE", identity, rtp, callee)
            except TimeoutError:
                continue
            found = re.search(r"c=IN IP4 (\S+).*?m=audio (\d+)", answer, re.DOTALL)
            if not found:
                continue
            await ask("ACK", identity, to=callee, answered=False)
            start = loop.time()
            for number in range(int(player.rng.uniform(0.5, 1.5) * talk_s / 0.02)):
                await asyncio.sleep(max(0, start + number * 0.02 - loop.time()))
                await loop.sock_sendto(audio, frames.g711(player, number),
                                       (found.group(1), int(found.group(2))))
            try:
                await ask("BYE", identity, to=callee)
            except TimeoutError:
                continue

    await asyncio.gather(hear(), absorb(), register(), call())


async def badge(player, server, peers, signal_s, calls_s, talk_s, signal_port=5002, server_port=5200,
                audio_port=5300):
    """A voice badge: keeps in touch with its server, then talks straight to another badge or the
    server's bridge, a packet each 18 ms behind a header of its own."""
    loop = asyncio.get_running_loop()
    signals, audio = player.udp(signal_port, dscp=24), player.udp(audio_port, dscp=46)

    async def absorb(sock):
        while True:
            await loop.sock_recvfrom(sock, 2048)

    async def signal():
        async for number in player.beats(signal_s, 0.1):
            await loop.sock_sendto(signals, frames.badge_signal(player, number),
                                   (server, server_port))

    async def talk():
        while True:
            await player.pause(calls_s, 0.6)
            peer = player.rng.choice([server, *peers])
            for number in range(3):
                await loop.sock_sendto(signals, frames.badge_signal(player, 1000 + number),
                                       (server, server_port))
                await asyncio.sleep(0.05)
            start = loop.time()
            for number in range(int(player.rng.uniform(0.5, 1.5) * talk_s / 0.018)):
                await asyncio.sleep(max(0, start + number * 0.018 - loop.time()))
                await loop.sock_sendto(audio, frames.vocera(player, number), (peer, audio_port))

    await asyncio.gather(absorb(signals), absorb(audio), signal(), talk())


async def badge_server(player, signal_port=5200, audio_port=5300, talks_back=0.9):
    """Acknowledges badges; audio sent to it is sent back, as the other party's."""
    loop = asyncio.get_running_loop()

    async def acknowledge():
        sock, number = player.udp(signal_port), 0
        while True:
            _, peer = await loop.sock_recvfrom(sock, 2048)
            number += 1
            await loop.sock_sendto(sock, frames.badge_signal(player, number), peer)

    async def bridge():
        sock = player.udp(audio_port, dscp=46)
        while True:
            data, peer = await loop.sock_recvfrom(sock, 2048)
            if player.rng.random() < talks_back:
                await loop.sock_sendto(sock, data, peer)

    await asyncio.gather(acknowledge(), bridge())
