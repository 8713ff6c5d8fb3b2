"""Infusion pump: heartbeat and drug library from the pump server over TLS (see pump_server.py).

Arguments: server address, certificate directory, token.
"""

import hashlib
import json
import socket
import ssl
import sys

from wardlib import fail, report

address, certs, token = sys.argv[1:]
context = ssl.create_default_context(cafile=f"{certs}/ca.pem")
with socket.create_connection((address, 3613), 5) as plain, \
        context.wrap_socket(plain, server_hostname=address) as tls:
    stream = tls.makefile("rwb")
    for ask in ("heartbeat", "library"):
        stream.write(json.dumps({"ask": ask, "token": token}).encode() + b"\n")
        stream.flush()
        answer = json.loads(stream.readline())
    library = stream.read(answer["size"])
if hashlib.sha256(library).hexdigest() != answer["library"]:
    fail("the drug library arrived damaged")
report(token=token, library_bytes=len(library), tls=tls.version())
