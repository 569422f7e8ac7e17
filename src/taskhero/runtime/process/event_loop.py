"""Run an event loop, and end it in bounded time even if tasks and threads do not end."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import multiprocessing
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from taskhero._internal.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from multiprocessing.process import BaseProcess

__all__ = ["end_child_processes", "leave_without_threads", "new_event_loop", "run_in_loop"]

_logger = get_logger("taskhero.worker")

#: Seconds that remaining asyncio tasks, generators and threads get to end.
LIMIT: Final = 2.0


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop of uvloop if it is installed (``taskhero[fast]``), otherwise of asyncio."""
    if importlib.util.find_spec("uvloop") is None:
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


def run_in_loop(
    main: Coroutine[Any, Any, None], make: Callable[[], asyncio.AbstractEventLoop] = new_event_loop
) -> None:
    """Run *main* in a new event loop, and end that loop in bounded time.

    `asyncio.run` waits without limit for threads of `asyncio.to_thread` and for tasks that ignore cancellation.

    A `SystemExit` or `KeyboardInterrupt` of an asyncio task or a callback that a job has started does not end the loop.
    asyncio stops the loop for it. What awaits the asyncio task receives the exception when the loop continues.
    """
    loop = make()
    asyncio.set_event_loop(loop)
    try:
        _run_until_done(loop, loop.create_task(main))
    finally:
        try:
            _run_until_done(loop, loop.create_task(_end(loop)))
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def _run_until_done(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    while True:
        try:
            return loop.run_until_complete(task)
        except (SystemExit, KeyboardInterrupt) as error:
            if task.done():
                raise
            _logger.error(
                "an asyncio task or callback of a job raised %s, the process continues",
                type(error).__name__,
                exc_info=error,
            )


async def _end(loop: asyncio.AbstractEventLoop) -> None:
    left = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=LIMIT)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LIMIT):
            await loop.shutdown_asyncgens()


def end_child_processes(before: set[BaseProcess]) -> None:
    """End the processes of `multiprocessing` that tasks have left behind and that did not run *before*.

    The exit of the interpreter would wait for them without limit.
    """
    left = set(multiprocessing.active_children()) - before
    for child in left:
        child.terminate()
    deadline = time.monotonic() + LIMIT
    for child in left:
        child.join(max(0.0, deadline - time.monotonic()))
        if child.is_alive():
            child.kill()
            child.join(LIMIT)


def leave_without_threads(before: set[threading.Thread], code: int = 0) -> None:
    """End the process with *code* if threads that did not run *before* would delay its exit."""
    deadline = time.monotonic() + LIMIT
    for thread in set(threading.enumerate()) - before:
        if not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
    stuck = [thread.name for thread in set(threading.enumerate()) - before if not thread.daemon and thread.is_alive()]
    if not stuck:
        return
    _logger.warning(
        "%d threads did not end within %g s, the process ends without them: %s",
        len(stuck),
        LIMIT,
        ", ".join(sorted(stuck)),
    )
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)
