"""A worker process for tests: works until its standard input ends, and says on standard output what it does.

Usage: worker.py URL SETTINGS, where SETTINGS is JSON for `Settings`, with one key more: "role", which tasks read.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time

from taskhero import Settings, TaskHero
from taskhero.events import SchedulerLeader
from taskhero.plugins import JobLock

URL = sys.argv[1]
OPTIONS = json.loads(sys.argv[2])
ROLE = OPTIONS.pop("role", "")
app = TaskHero(URL, settings=Settings(**OPTIONS))


def say(*words: object) -> None:
    """Tell the test, a line at a time though threads tell, too: print writes word by word."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


@app.task(queue="work")
async def quick(n: int) -> None:
    """End at once."""
    say("did", n)


@app.task(queue="work")
async def hold(n: int) -> None:
    """Hang in a process of the role "victim", end at once in any other."""
    say("began", n)
    if ROLE == "victim":
        await asyncio.Event().wait()
    say("did", n)


@app.task(queue="work", plugins=(JobLock(delay=0.2),))
async def alone(n: int) -> None:
    """The same as `hold`, and no two at once."""
    say("began", "alone", n)
    if ROLE == "victim":
        await asyncio.Event().wait()
    say("did", "alone", n)


@app.task(queue="work")
async def later(n: int, at: float) -> None:
    """Tell whether it was begun before its moment."""
    say("early" if time.time() < at else "did", n)


@app.task(queue="work")
def fail(n: int) -> None:
    """Fail, in a thread."""
    say("did", n)
    raise ValueError(n)


@app.task(queue="work")
async def poison() -> None:
    """Kill the process that runs it."""
    say("poison")
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(queue="work")
async def slow_poison(seconds: float) -> None:
    """Kill the process that runs it, after a while, as a leak of memory does."""
    say("began", "slow_poison")
    await asyncio.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(queue="work")
async def hog(seconds: float) -> None:
    """Keep the whole event loop from doing anything else."""
    say("began", "hog")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    say("did", "hog")


async def main() -> None:
    """Run until nobody wants it any more."""

    @app.on("leader")
    def tell(_event: SchedulerLeader) -> None:
        say("leads")

    loop = asyncio.get_running_loop()
    async with app.running():
        say("ready", os.getpid())
        await loop.run_in_executor(None, sys.stdin.read)
    say("stopped")


asyncio.run(main())
