"""Infusion pump that keeps one MLLP connection open and reports over it all the time.

    hl7_link.py ADDRESS PORT SENDER SECONDS

A message leaves when the one before it is acknowledged, at most fifty a second. Says "connected"
first; at the end it reports how many were acknowledged and, if the connection broke or fell
silent, why. It never connects again.
"""

import socket
import sys
import time

from wardlib import report

INTERVAL_S = 0.02
SILENCE_S = 4.0
START, END = b"\x0b", b"\x1c\r"


def message(sender, number):
    now = time.strftime("%Y%m%d%H%M%S")
    header = f"MSH|^~\\&|{sender}|WARD|ENGINE|HOSPITAL|{now}||ORU^R01^ORU_R01|L{number}|P|2.6"
    status = "OBX|1|ST|184508^MDC_PUMP_STAT^MDC|1.1.1.2|pump-status-infusing||||||R"
    return START + "\r".join([header, status, ""]).encode() + END


def answer(link):
    data = b""
    while not data.endswith(END):
        part = link.recv(4096)
        if not part:
            raise ConnectionError("the far end closed the connection")
        data += part
    return data


def main():
    address, port, sender, seconds = sys.argv[1:]
    acknowledged, broke = 0, None
    with socket.create_connection((address, int(port)), timeout=SILENCE_S) as link:
        report(connected=True)
        end = time.monotonic() + float(seconds)
        try:
            while time.monotonic() < end:
                link.sendall(message(sender, acknowledged))
                if b"MSA|AA" not in answer(link):
                    raise ConnectionError("the engine refused a message")
                acknowledged += 1
                time.sleep(INTERVAL_S)
        except OSError as error:
            broke = str(error)
    report(acknowledged=acknowledged, broke=broke)


main()
