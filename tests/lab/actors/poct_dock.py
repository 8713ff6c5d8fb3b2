"""Glucometer dock: one observation over POCT1-A. Emulated, see lis.py.

Arguments: address of the observation reviewer, patient id.
"""

import re
import socket
import sys

from wardlib import fail, report

address, patient = sys.argv[1:]
MESSAGES = [
    ("HEL.R01", '<DEV><DEV.device_id V="GLUCO-DOCK-1"/><DEV.vendor_id V="WARDTEST"/></DEV>'),
    ("DST.R01", '<DST><DST.new_observations_qty V="1"/></DST>'),
    ("OBS.R01", f'<SVC><PT><PT.patient_id V="{patient}"/>'
                '<OBS><OBS.observation_id V="2339-0"/><OBS.value V="5.4" U="mmol/L"/></OBS>'
                '</PT></SVC>'),
    ("EOT.R01", '<EOT><EOT.topic_cd V="OBS"/></EOT>'),
]

with socket.create_connection((address, 3100), 5) as sock:
    sock.settimeout(5)
    for number, (kind, body) in enumerate(MESSAGES, 1):
        header = f'<HDR><HDR.control_id V="{number}"/><HDR.version_id V="POCT1"/></HDR>'
        sock.sendall(f"<{kind}>{header}{body}</{kind}>".encode())
        answer = b""
        while b"</ACK.R01>" not in answer:
            part = sock.recv(4096)
            if not part:
                fail(f"closed before {kind} was acknowledged")
            answer += part
        if not re.search(rb'ack_control_id V="%d"' % number, answer) or b'V="AA"' not in answer:
            fail(f"{kind} was answered with {answer.decode()}")
report(token=patient, acknowledged=len(MESSAGES))
