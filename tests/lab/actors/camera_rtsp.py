"""IP camera: ffmpeg makes the picture (H.264 over RTP on loopback), this small RTSP server hands it
out interleaved in the RTSP connection (RFC 2326, section 10.12). One viewer at a time each thread.

Arguments: own address.
"""

import re
import socket
import socketserver
import subprocess
import sys
import threading
from urllib.parse import parse_qs, urlparse

from wardlib import report

RTP_PORT = 5004
ENCODER = [
    "ffmpeg", "-nostdin", "-loglevel", "error", "-re", "-f", "lavfi",
    "-i", "testsrc=size=160x120:rate=10", "-c:v", "libx264", "-preset", "ultrafast",
    "-tune", "zerolatency", "-g", "5", "-pix_fmt", "yuv420p", "-threads", "1",
    "-f", "rtp", f"rtp://127.0.0.1:{RTP_PORT}",
]
SDP = (
    "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=ward camera\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n"
    "a=control:track1\r\n"
)
viewers, lock = set(), threading.Lock()


def relay():
    """Copies each RTP packet of the encoder to every viewer that plays."""
    rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    rtp.bind(("127.0.0.1", RTP_PORT))
    while True:
        packet = rtp.recv(2048)
        frame = b"$\x00" + len(packet).to_bytes(2, "big") + packet
        with lock:
            for viewer in list(viewers):
                try:
                    viewer.sendall(frame)
                except OSError:
                    viewers.discard(viewer)


class Rtsp(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            while (line := self.rfile.readline()):
                if line.startswith(b"$"):
                    continue  # the viewer's RTCP, which may hold anything up to the next request
                if words := re.match(rb"(\w+) (\S+) RTSP/1\.0", line):
                    self.answer(words.group(1).decode(), words.group(2).decode())
        except OSError:
            pass
        finally:
            with lock:
                viewers.discard(self.request)

    def answer(self, method, url):
        headers = {}
        while (line := self.rfile.readline().strip()):
            name, _, value = line.decode(errors="replace").partition(":")
            headers[name.lower()] = value.strip()
        reply = [f"RTSP/1.0 200 OK\r\nCSeq: {headers.get('cseq', '0')}\r\nServer: WardCam/1"]
        body = ""
        if method == "OPTIONS":
            reply.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
        elif method == "DESCRIBE":
            body = SDP.format(address=self.server.server_address[0])
            reply.append(f"Content-Base: {url}/\r\nContent-Type: application/sdp")
        elif method == "SETUP":
            reply.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1")
        elif method == "PLAY":
            reply.append("Session: 1\r\nRange: npt=0-")
            token = parse_qs(urlparse(url).query).get("token", [""])[0].rstrip("/")
            report(token=token, method=method, peer=self.client_address[0])
        reply.append(f"Content-Length: {len(body)}")
        with lock:
            self.request.sendall(("\r\n".join(reply) + "\r\n\r\n" + body).encode())
            if method == "PLAY":
                viewers.add(self.request)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


threading.Thread(target=relay, daemon=True).start()
encoder = subprocess.Popen(ENCODER, stdin=subprocess.DEVNULL)
Server((sys.argv[1], 554), Rtsp).serve_forever()
