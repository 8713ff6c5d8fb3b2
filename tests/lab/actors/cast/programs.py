"""The lab's other actors as parts of a recording, each a program of its own."""

import asyncio
import pathlib
import sys

ACTORS = pathlib.Path(__file__).parent.parent


async def actor(player, name, arguments):
    """Runs an actor with this guest's address, certificates and name in its arguments."""
    known = {"ADDRESS": player.address, "CERTS": player.certs, "NAME": player.name}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", str(ACTORS / f"{name}.py"),
        *[known.get(word, str(word)) for word in arguments])
    code = await process.wait()
    raise RuntimeError(f"{name} ended with {code}")
