"""Plays one attack from the namespace it is started in, and says how many frames it sent.

    attack.py NAME --attacker MAC,IP --target MAC,IP [--other MAC,IP]

The last line on standard output is a JSON object, {"sent": N}. Whether anything arrived is not
for the attacker to say: it is counted at the target.
"""

import argparse
import json
import sys

import calls
import evasion
import floods
import impersonation
from parties import Host, Parties

ATTACKS = calls.ATTACKS | evasion.ATTACKS | floods.ATTACKS | impersonation.ATTACKS


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=sorted(ATTACKS))
    parser.add_argument("--interface", default="eth0")
    parser.add_argument("--attacker", type=Host.parse, required=True)
    parser.add_argument("--target", type=Host.parse, required=True)
    parser.add_argument("--other", type=Host.parse)
    args = parser.parse_args()
    parties = Parties(args.interface, args.attacker, args.target, args.other)
    sent = ATTACKS[args.name](parties)
    print(json.dumps({"sent": sent}))
    return 0 if sent else 1


if __name__ == "__main__":
    sys.exit(main())
