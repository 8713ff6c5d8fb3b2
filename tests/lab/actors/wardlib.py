"""What all actors share: one JSON object a line on standard output, small TCP and framing helpers."""

import json
import sys


def report(**facts):
    """Writes one JSON line and flushes it: results and the services' view of each exchange."""
    print(json.dumps(facts), flush=True)


def fail(reason):
    """Ends the actor with a reason the lab can show."""
    print(reason, file=sys.stderr)
    sys.exit(1)


def read_exactly(sock, size):
    """Reads `size` bytes from a socket or raises ConnectionError."""
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise ConnectionError("the far end closed the connection")
        data += part
    return data
