"""An app for `taskhero work --app shop:app`: SHOP_URL is its backend, SHOP_SETTINGS its settings as JSON.

Its tasks say on standard output what they do; `hold` goes on when the process gets SIGALRM.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import time

from taskhero import Settings, TaskHero, current
from taskhero.plugins import Retry


def say(*words: object) -> None:
    """Tell the test, in one write."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


@contextlib.asynccontextmanager
async def lifespan(_app):
    """Say when it runs."""
    loop = asyncio.get_running_loop()
    say("open", type(loop).__module__.partition(".")[0])
    yield
    say("closed")


app = TaskHero(
    os.environ.get("SHOP_URL", "memory://"),
    settings=Settings(**json.loads(os.environ.get("SHOP_SETTINGS", "{}"))),
    lifespan=lifespan,
)


@app.task(queue="work")
async def quick(n: int) -> None:
    """End at once."""
    say("did", n, "in", os.getpid())


@app.task(queue="work")
async def hold(n: int) -> None:
    """Wait for SIGALRM."""
    released = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGALRM, released.set)
    say("began", n)
    await released.wait()
    say("did", n)


@app.task(queue="work")
async def short(n: int) -> None:
    """Take a moment."""
    await asyncio.sleep(0.002 * (n % 5))


@app.task(queue="work")
def thread() -> None:
    """Never end, in a thread of ours."""
    say("began thread")
    threading.Event().wait()


@app.task(queue="work")
def watchful() -> None:
    """End when it is cancelled, in a thread."""
    say("began watchful")
    while not current().cancelled:
        time.sleep(0.01)
    say("watchful is cancelled")


@app.task(queue="work", run_in="process")
def in_process(seconds: float) -> None:
    """Take so long, in a process."""
    say("began in_process", os.getpid())
    time.sleep(seconds)
    say("did in_process")


@app.task(queue="work", plugins=(Retry(limit=2, delay=0),))
async def persistent() -> None:
    """Never end, and be tried again."""
    say("attempt", current().attempt)
    await asyncio.Event().wait()


@app.task(queue="work")
async def to_thread() -> None:
    """Never end, in a thread of asyncio's."""
    say("began to_thread")
    await asyncio.to_thread(threading.Event().wait)


@app.task(queue="work")
async def own_thread() -> None:
    """Leave behind a thread that would keep the interpreter from its exit."""
    threading.Thread(target=threading.Event().wait, name="stubborn").start()
    say("began own_thread")
    await asyncio.Event().wait()


@app.task(queue="work")
async def stubborn() -> None:
    """Never let itself be cancelled."""
    say("began stubborn")
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


@app.task(queue="work")
async def hog() -> None:
    """Let nothing else in the event loop happen, ever."""
    say("began hog")
    while True:
        time.sleep(3600)  # noqa: ASYNC251


@app.task(queue="work")
async def chain(n: int) -> None:
    """Enqueue the next one, in a queue of its own."""
    if n:
        await chain.options(queue=f"work{n}").enqueue(n - 1)
    say("did chain", n)
