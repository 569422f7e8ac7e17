"""Count the functions of taskhero that one call and one job pass through: ``python walk.py [--list]``.

It starts its own Redis, and measures two walks:

- **enqueue**: one ``await task.enqueue()`` without plugins, from the call to its return.
- **foreign job**: from an RPUSH of another client to the next wait of an idle worker. The worker has one slot and
  ``queues=("*",)``. The task is async and does nothing.

Each walk is repeated after a first one, so that imports, cached scripts and first connections do not count. A function
counts once, if most of the repeated walks enter it, in the thread of the event loop. No other thread takes part: the
heartbeat has its own, and an async task needs none. Functions are code objects in files of the package. Lambdas and
comprehensions therefore count, and methods that attrs generates do not. Python 3.12 and newer inline most
comprehensions, so the report also shows their number. Timers of the process do not count: their intervals are longer
than all walks.

It needs ``taskhero[fast]``. ``--list`` prints the functions in the order in which they are first entered.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from types import CodeType, FrameType

from ours import new_event_loop
from run import Server, redis7, send

import taskhero
from taskhero import Settings, TaskHero

PACKAGE = Path(taskhero.__file__).parent
WALKS = 5
#: Seconds without a change after which the worker waits again; a walk takes a few milliseconds.
QUIET = 0.2
COMPREHENSIONS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}
#: Largest number of functions and of files.
GOALS = {"enqueue": (25, 10), "foreign job": (55, 16)}


class Walk:
    """Records the functions of the package that this thread enters within ``with``, in order."""

    def __init__(self) -> None:
        self.entered: dict[CodeType, None] = {}

    def __enter__(self) -> Walk:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code not in self.entered and Path(code.co_filename).is_relative_to(PACKAGE):
            self.entered[code] = None


async def enqueue(server: Server) -> list[Walk]:
    """Enqueue one job per walk."""
    app = TaskHero(server.url)

    @app.task(name="noop", queue="bench")
    async def noop() -> None: ...

    walks = [Walk() for _ in range(WALKS)]
    async with app:
        await noop.enqueue()
        for walk in walks:
            with walk:
                await noop.enqueue()
        if await app.queue.length("bench") != 1 + WALKS:
            raise RuntimeError("not all jobs were stored")
    return walks


async def foreign_job(server: Server) -> list[Walk]:
    """Push one job per walk by another client, to an idle worker."""
    app = TaskHero(
        server.url,
        settings=Settings(
            queues=("*",), min_task_processors=1, max_task_processors=1, timeout=300, check_interval=60
        ),
    )  # fmt: skip
    ran = asyncio.Event()

    @app.task(name="noop", queue="bench")
    async def noop() -> None:
        ran.set()

    async def job() -> None:
        ran.clear()
        send(client, "RPUSH", "resque:queue:bench", '{"class":"noop","queue":"bench","args":[]}')
        await asyncio.wait_for(ran.wait(), 10)
        await asyncio.sleep(QUIET)

    walks = [Walk() for _ in range(WALKS)]
    with closing(socket.create_connection((server.host, server.port))) as client:
        send(client, "SADD", "resque:queues", "bench")
        async with app.running():
            await asyncio.sleep(1)
            await job()
            for walk in walks:
                with walk:
                    await job()
            if int((await app.queue.stats())["processed"]) != 1 + WALKS:
                raise RuntimeError("not all jobs were settled")
    return walks


def common(walks: list[Walk]) -> list[CodeType]:
    """Return the functions that most of the walks enter, in the order of the first walk that enters each."""
    counts = Counter(code for walk in walks for code in walk.entered)
    return [code for code, count in counts.items() if count > len(walks) / 2]


def report(name: str, walks: list[Walk], *, everything: bool) -> bool:
    """Print the numbers of one walk. Return whether they reach the goal."""
    codes = common(walks)
    files = {code.co_filename for code in codes}
    functions_goal, files_goal = GOALS[name]
    reached = len(codes) <= functions_goal and len(files) <= files_goal
    inner = sum(code.co_name in COMPREHENSIONS for code in codes)
    print(
        f"{name:<12}{len(codes):>4} functions ({inner} of them comprehensions) in {len(files)} files   "
        f"<= {functions_goal} in {files_goal}   {'yes' if reached else 'NO'}"
    )
    for number, code in enumerate(codes if everything else (), start=1):
        place = f"{Path(code.co_filename).relative_to(PACKAGE)}:{code.co_firstlineno}"
        print(f"  {number:>3}  {place:<52}{code.co_qualname}")
    return reached


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="print the functions in the order of their first entry")
    options = parser.parse_args()
    walks: dict[str, Callable[[Server], Awaitable[list[Walk]]]] = {"enqueue": enqueue, "foreign job": foreign_job}
    results = []
    for name, walk in walks.items():
        with redis7() as server, asyncio.Runner(loop_factory=new_event_loop) as runner:
            results.append(report(name, runner.run(walk(server)), everything=options.list))
    print(f"\n{sum(results)} of {len(results)} goals reached")


if __name__ == "__main__":
    main()
