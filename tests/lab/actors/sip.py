"""A voice badge, a telephone and the call server between them: SIP over UDP (RFC 3261), audio as
RTP straight from one to the other. A small implementation of what one call needs.

    sip.py server                               registers telephones, passes requests on
    sip.py phone NAME ADDRESS SERVER            answers, sends back the audio it hears
    sip.py call NAME ADDRESS SERVER PEER TOKEN  registers, calls PEER, speaks for a second
"""

import re
import socket
import struct
import sys
import threading
import time
from collections import Counter

from wardlib import fail, report

SIP, RTP = 5060, 16384
FRAMES, FRAME_S = 50, 0.02


def header(text, name):
    found = re.search(rf"^{name}:\s*(.*?)\r?$", text, re.MULTILINE | re.IGNORECASE)
    return found.group(1) if found else ""


def udp(address, port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    return sock


def request(method, name, address, peer, call, sequence, body=""):
    return (
        f"{method} sip:{peer}@ward.test SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {address}:{SIP};branch=z9hG4bK{call}{sequence}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:{name}@ward.test>;tag={call}\r\n"
        f"To: <sip:{peer}@ward.test>\r\nCall-ID: {call}\r\nCSeq: {sequence} {method}\r\n"
        f"Contact: <sip:{name}@{address}:{SIP}>\r\nUser-Agent: WardBadge/1\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )


def response(to, code, phrase, address, name, body=""):
    kept = "".join(f"{line}\r\n" for line in to.split("\r\n")
                   if re.match(r"(Via|From|To|Call-ID|CSeq):", line, re.IGNORECASE))
    return (f"SIP/2.0 {code} {phrase}\r\n{kept}Contact: <sip:{name}@{address}:{SIP}>\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}")


def sdp(address):
    return (f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=call\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
            f"m=audio {RTP} RTP/AVP 0\r\n")


def audio_of(text):
    return (re.search(r"c=IN IP4 (\S+)", text).group(1),
            int(re.search(r"m=audio (\d+)", text).group(1)))


def serve():
    """A registrar and stateless proxy: its own Via goes on top of requests, off from answers."""
    sock, places = udp("", SIP), {}
    while True:
        data, peer = sock.recvfrom(4096)
        text = data.decode()
        if text.startswith("SIP/2.0"):
            below = re.sub(r"^Via:.*\r\n", "", text, count=1, flags=re.MULTILINE)
            host, port = re.search(r"UDP ([\d.]+):(\d+)", header(below, "Via")).groups()
            sock.sendto(below.encode(), (host, int(port)))
        elif text.startswith("REGISTER"):
            name = re.search(r"sip:(\w+)@", header(text, "From")).group(1)
            places[name] = peer
            sock.sendto(response(text, 200, "OK", peer[0], name).encode(), peer)
        else:
            name = re.match(r"\w+ sip:(\w+)@", text).group(1)
            if text.startswith("INVITE"):
                report(token=header(text, "Call-ID"), called=name, peer=peer[0])
            if name not in places:
                sock.sendto(response(text, 404, "Not Found", peer[0], name).encode(), peer)
                continue
            via = "Via: SIP/2.0/UDP %s:%d;branch=z9hG4bKproxy\r\n" % (own_address(places[name]), SIP)
            start, rest = text.split("\r\n", 1)
            sock.sendto(f"{start}\r\n{via}{rest}".encode(), places[name])


def own_address(peer):
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.connect(peer)
    return probe.getsockname()[0]


def register(sock, name, address, server):
    for attempt in range(3):
        sock.sendto(request("REGISTER", name, address, name, f"reg{name}", attempt + 1).encode(),
                    (server, SIP))
        try:
            if sock.recv(4096).startswith(b"SIP/2.0 200"):
                return
        except TimeoutError:
            continue
    fail("the call server does not answer REGISTER")


def phone(name, address, server):
    # Frames heard by who sends them, and who that is by call: two may call at once.
    sock, rtp, heard, callers = udp(address, SIP), udp(address, RTP), Counter(), {}
    sock.settimeout(2)
    register(sock, name, address, server)
    report(token="registered")
    sock.settimeout(None)

    def echo():
        while True:
            packet, peer = rtp.recvfrom(2048)
            heard[peer[0]] += 1
            rtp.sendto(packet, peer)

    threading.Thread(target=echo, daemon=True).start()
    while True:
        data, peer = sock.recvfrom(4096)
        text = data.decode()
        if text.startswith("INVITE"):
            caller = callers[header(text, "Call-ID")] = audio_of(text)[0]
            heard[caller] = 0
            sock.sendto(response(text, 200, "OK", address, name, sdp(address)).encode(), peer)
        elif text.startswith("BYE"):
            caller = callers.pop(header(text, "Call-ID"), None)
            report(token=header(text, "Call-ID"), frames_heard=heard[caller])
            sock.sendto(response(text, 200, "OK", address, name).encode(), peer)


def call(name, address, server, peer, token):
    sock, rtp = udp(address, SIP), udp(address, RTP)
    sock.settimeout(2)
    register(sock, name, address, server)
    ask = lambda method, sequence, body="": sock.sendto(
        request(method, name, address, peer, token, sequence, body).encode(), (server, SIP))
    ask("INVITE", 2, sdp(address))
    answer = sock.recv(4096).decode()
    if not answer.startswith("SIP/2.0 200"):
        fail(f"the call was answered with {answer.splitlines()[0]}")
    ask("ACK", 2)
    audio, back = audio_of(answer), 0
    rtp.settimeout(FRAME_S)
    for frame in range(FRAMES):
        # G.711: 160 bytes for 20 ms.
        rtp.sendto(struct.pack("!BBHII", 0x80, 0, frame, frame * 160, 1) + b"\xff" * 160, audio)
        end = time.monotonic() + FRAME_S
        try:
            rtp.recv(2048)
            back += 1
        except TimeoutError:
            continue
        time.sleep(max(0, end - time.monotonic()))
    ask("BYE", 3)
    sock.recv(4096)
    report(token=token, sent=FRAMES, heard_back=back, peer=audio[0])


match sys.argv[1:]:
    case ["server"]:
        serve()
    case ["phone", name, address, server]:
        phone(name, address, server)
    case ["call", name, address, server, peer, token]:
        call(name, address, server, peer, token)
    case _:
        fail(__doc__)
