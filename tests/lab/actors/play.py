"""Plays one guest of a recording: everything its part says, at the same time, until it is ended.

Argument: the part as JSON: name, address, mac, hostname, seed, certs, dir, does. Each entry of
`does` names a coroutine as MODULE.FUNCTION of the folder `cast` under "do"; the rest are its
arguments.
"""

import asyncio
import importlib
import json
import sys

from cast.stage import Player


async def main():
    player = Player(json.loads(sys.argv[1]))
    await player.has_address()
    async with asyncio.TaskGroup() as group:
        for one in player.does:
            module, function = one.pop("do").split(".")
            act = getattr(importlib.import_module(f"cast.{module}"), function)
            group.create_task(act(player, **one))
    await asyncio.Event().wait()


asyncio.run(main())
