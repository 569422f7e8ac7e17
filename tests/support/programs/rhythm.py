"""A node with a periodic task for tests: works until its standard input ends, and tells when each run begins and ends.

Usage: rhythm.py URL SETTINGS, where SETTINGS is JSON for `Settings`, with one key more: "role".
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

from taskhero import Settings, TaskHero

URL = sys.argv[1]
OPTIONS = json.loads(sys.argv[2])
ROLE = OPTIONS.pop("role", "")
app = TaskHero(URL, settings=Settings(**OPTIONS))


def say(*words: object) -> None:
    """Tell the test."""
    print(*words, flush=True)


@app.task(frequency=1, queue="rhythm")
async def tick() -> None:
    """Take a moment; in a process of the role "victim", for ever."""
    say("begin", time.time())
    if ROLE == "victim":
        await asyncio.Event().wait()
    await asyncio.sleep(0.1)
    say("end", time.time())


async def main() -> None:
    """Run until nobody wants it any more."""
    app.on("scheduler.leader", lambda: say("leads"))
    app.on("scheduler.leader_lost", lambda: say("leads no longer"))
    loop = asyncio.get_running_loop()
    async with app.running():
        say("ready", os.getpid())
        await loop.run_in_executor(None, sys.stdin.read)
    say("stopped")


asyncio.run(main())
