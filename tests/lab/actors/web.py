"""A web server that notes each path asked for: a vendor's update server on "the internet".

Arguments: port.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from wardlib import report


class Note(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"no update today\n"
        report(token=self.path.rsplit("/", 1)[-1], host=self.headers.get("Host"),
               peer=self.client_address[0])
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """One JSON line is enough."""


ThreadingHTTPServer(("", int(sys.argv[1])), Note).serve_forever()
