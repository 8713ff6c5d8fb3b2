"""Vital-signs monitor with a hard-coded public address, as a real product had: at start, and then
from time to time, it calls that address; what comes of it is noted.

Arguments: the address.
"""

import socket
import sys
import time

from wardlib import report

while True:
    try:
        # The real product mounted a share there (NFS).
        socket.create_connection((sys.argv[1], 2049), 3).close()
        report(called=sys.argv[1], outcome="connected")
    except OSError as error:
        report(called=sys.argv[1], outcome=str(error))
    time.sleep(5)
