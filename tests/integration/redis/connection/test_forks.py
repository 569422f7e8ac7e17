"""An app that was connected before a fork works in both processes, each with its own connections."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, gc, os, sys
from taskhero import NotConnected, TaskHero

app = TaskHero(os.environ["REDIS_URL"])

@app.task
def add(number): pass

async def in_child():
    try:
        await add.enqueue(0)
    except NotConnected as error:
        assert "before it forked this process" in str(error), error
    async with app:
        for number in range(20):
            assert await add.enqueue(number)
    gc.collect()

async def enqueue(count):
    for number in range(count):
        assert await add.enqueue(number)
    return await app.queue.length("default")

loop = asyncio.new_event_loop()
loop.run_until_complete(app.__aenter__())
loop.run_until_complete(enqueue(3))
child = os.fork()
if child == 0:
    try:
        asyncio.run(in_child())
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)
during = loop.run_until_complete(enqueue(20))
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(code, loop.run_until_complete(asyncio.wait_for(enqueue(5), 20)))
loop.run_until_complete(app.__aexit__(None, None, None))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_both_processes_use_an_app_that_was_connected_before_the_fork(redis_url: str) -> None:
    program = [sys.executable, "-c", PROGRAM]
    environment = {**os.environ, "REDIS_URL": redis_url}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("0 48\n", 0), done.stderr
