"""Infusion pump server: TLS on port 3613, one JSON request and answer a line.

Emulated: the vendors' protocols are not public. Published are the port (3613), who calls (the pump)
and what for: heartbeat, status and drug library.
"""

import hashlib
import json
import socketserver
import ssl
import sys

from wardlib import report

LIBRARY = "".join(f"drug-{number};limit={number * 10}\n" for number in range(2000)).encode()


class Pump(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            request = json.loads(line)
            answer = {"library": hashlib.sha256(LIBRARY).hexdigest(), "size": len(LIBRARY)}
            self.wfile.write(json.dumps(answer).encode() + b"\n")
            if request["ask"] == "library":
                self.wfile.write(LIBRARY)
            report(token=request["token"], asked=request["ask"], peer=self.client_address[0])


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def get_request(self):
        connection, peer = super().get_request()
        connection.settimeout(10)
        return self.context.wrap_socket(connection, server_side=True), peer


certs = sys.argv[1]
server = Server(("", 3613), Pump)
server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.context.load_cert_chain(f"{certs}/pumpsrv.pem", f"{certs}/pumpsrv.key")
server.serve_forever()
