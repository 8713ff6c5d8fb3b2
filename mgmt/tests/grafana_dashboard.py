"""Reads a dashboard into the types of Grafana's own schema, and writes it again: whatever the
schema does not know, or knows otherwise, does not come back the same."""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def lost(before, after, place="$"):
    """Where something of `before` is missing or another in `after`."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from lost(value, after[key], f"{place}.{key}")
            # The schema leaves out what is empty or nothing.
            elif value not in (None, [], {}, "", False):
                yield f"{place}.{key}"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after)):
            yield from lost(one, other, f"{place}[{number}]")
    elif before != after:
        yield f"{place}: {before!r} became {after!r}"


register_default_plugins()
with open(sys.argv[1], encoding="utf-8") as file:
    given = json.load(file)
read = Dashboard.from_json(given)
written = json.loads(JSONEncoder().encode(read))
wrong = list(lost(given, written))
print("\n".join(wrong) or f"{len(read.panels)} panels as Grafana's schema has them")
sys.exit(bool(wrong))
