"""Use each kind of connection of the Redis backend for tests, and print the log of taskhero as JSON.

Usage: each_verb.py URL.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys

import redis.asyncio

from taskhero.backends.protocol import Entry, Process, Settlement, Subscription, Succeeded
from taskhero.backends.redis import RedisBackend
from taskhero.wire.workers import new_process_name

RAW = '{"class":"t","queue":"q","args":[1]}'
lines: list[str] = []


class Log(logging.Handler):
    """Keep the messages."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        lines.append(record.getMessage())


async def work(backend: RedisBackend, producer: RedisBackend, foreign: redis.asyncio.Redis) -> None:
    """Push, wait for a job of each kind of producer, claim, renew the lease and settle."""
    process = Process(new_process_name(), ("q",))
    await backend.register(process, [1, 2], 10)
    for slot in (1, 2):
        # The next scripts answer with errors first.
        await foreign.script_flush()
        waiting = asyncio.create_task(backend.wait(process, Subscription(queues=("q",)), 20))
        await asyncio.sleep(0)
        if slot == 1:
            assert list(await producer.push([Entry("q", RAW)])) == [True]
        else:
            await foreign.rpush("resque:queue:q", RAW)
        assert (await waiting).jobs
        (claim,) = (await backend.settle_and_claim(process, [], [slot], ["q"])).claims
        assert claim.raw == RAW
        await asyncio.to_thread(backend.heartbeat, process, [1, 2], 10, full=True)
        await backend.settle_and_claim(process, [Settlement(claim, Succeeded())], [], ["q"])
    await asyncio.gather(*(backend.push([Entry("r", RAW)]) for _ in range(30)))
    assert await backend.length("r") == 30
    await backend.deregister(process)


async def main() -> None:
    """Do all of it twice, as an app that is stopped and started again."""
    logger = logging.getLogger("taskhero")
    logger.setLevel("DEBUG")
    logger.addHandler(Log())
    backend, producer = RedisBackend(sys.argv[1]), RedisBackend(sys.argv[1])
    foreign = redis.asyncio.from_url(sys.argv[1])
    for _ in range(2):
        await backend.connect()
        await producer.connect()
        await producer.delete_queue("r")
        async with asyncio.timeout(30):
            await work(backend, producer, foreign)
        await producer.close()
        await backend.close()
    await foreign.aclose()
    print(json.dumps(lines))


asyncio.run(main())
