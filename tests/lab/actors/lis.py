"""Laboratory information system: ASTM/LIS2-A on port 5000, POCT1-A on port 3100.

Emulated from the published standards' framing (no maintained public stack): the ASTM E1381 link
(ENQ, ACK, frames with checksum, EOT) and POCT1-A's XML conversation (HEL, DST, OBS, EOT, each
acknowledged by ACK).
"""

import re
import socketserver
import threading

from wardlib import report

ENQ, ACK, NAK, EOT, STX, ETX, CR, LF = (bytes([code]) for code in (5, 6, 21, 4, 2, 3, 13, 10))


def checksum(content):
    """ASTM E1381: modulo 256 over frame number, text and ETX, two capital hexadecimal digits."""
    return f"{sum(content) & 0xFF:02X}".encode()


class Astm(socketserver.StreamRequestHandler):
    """The receiving end of the link: one message between ENQ and EOT."""

    def handle(self):
        while self.rfile.read(1) == ENQ:
            self.wfile.write(ACK)
            records = []
            while (start := self.rfile.read(1)) == STX:
                content = self.rfile.readline()[:-2]  # ends with CR LF
                body, check = content[:-2], content[-2:]
                good = checksum(body) == check
                self.wfile.write(ACK if good else NAK)
                if good:
                    records.append(body[1:-1].rstrip(CR).decode("ascii"))
            if start == EOT and records:
                order = next(record for record in records if record.startswith("O|"))
                report(token=order.split("|")[2], protocol="astm", records=len(records),
                       peer=self.client_address[0])


class Poct(socketserver.StreamRequestHandler):
    """The observation reviewer of POCT1-A: acknowledges each message of the device."""

    def handle(self):
        number, kinds, token = 0, [], None
        for message in self.messages():
            kind = re.match(rb"<(\w+)\.R0\d>", message).group(1).decode()
            control = re.search(rb'<HDR.control_id V="(\w+)"/>', message).group(1).decode()
            if found := re.search(rb'<PT.patient_id V="(\w+)"/>', message):
                token = found.group(1).decode()
            number += 1
            kinds.append(kind)
            self.wfile.write((
                f'<ACK.R01><HDR><HDR.control_id V="{number}"/><HDR.version_id V="POCT1"/></HDR>'
                f'<ACK><ACK.type_cd V="AA"/><ACK.ack_control_id V="{control}"/></ACK></ACK.R01>'
            ).encode())
        report(token=token, protocol="poct1-a", messages=kinds, peer=self.client_address[0])

    def messages(self):
        """Splits the stream after each closing tag of a message; ends after EOT or a close."""
        data = b""
        while part := self.request.recv(4096):
            data += part
            while found := re.match(rb"\s*(<(\w+\.R0\d)>.*?</\2>)", data, re.DOTALL):
                data = data[found.end():]
                yield found.group(1)
                if found.group(2).startswith(b"EOT"):
                    return


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


threading.Thread(target=Server(("", 3100), Poct).serve_forever, daemon=True).start()
Server(("", 5000), Astm).serve_forever()
