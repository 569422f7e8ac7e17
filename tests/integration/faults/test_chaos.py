"""Whatever befalls processes, connections and the server: every job is done, none early, and nothing is left behind.

The faults and jobs follow from a seed. After each fault a job is pushed and waited for, so that the processes are seen
to work again; at the end the history is checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from processes import WorkerProcess, Workers
from redis_view import run_command
from servers import Server

from taskhero import TaskHero
from taskhero.errors import BackendError

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

SETTINGS = {
    "min_task_processors": 3,
    "max_task_processors": 3,
    "queues": ["work"],
    "scheduler": True,
    "heartbeat_interval": 0.2,
    "rescue_after": 1.0,
    "timeout": 0.5,
}
#: After these no job may be done twice.
GENTLE = ("cut", "forget_scripts", "forget_workers")
VIOLENT = ("kill", "freeze", "crash", "forget_own", "kill_and_forget_workers", "kill_and_forget_own", *GENTLE)
PROCESSES = 3
OWN_REGISTER = "resque:taskhero:workers"


class Chaos:
    """A server, some processes, and what was asked of them."""

    def __init__(self, server: Server, workers: Workers, app: TaskHero, chance: random.Random) -> None:
        self.server = server
        self.workers = workers
        self.app = app
        self.chance = chance
        self.running: list[WorkerProcess] = []
        self.accepted: set[int] = set()
        self.failing: set[int] = set()
        self.asked = 0

    async def redis(self, *command: object) -> object:
        """Ask the server; once more if the connection broke."""
        try:
            return await run_command(self.app.backend, *command)
        except BackendError:
            return await run_command(self.app.backend, *command)

    async def until(self, condition: Callable[[], Awaitable[object]], what: str) -> None:
        try:
            async with asyncio.timeout(30):
                while not await condition():
                    await asyncio.wait({asyncio.ensure_future(asyncio.sleep(0.02))})
        except TimeoutError:
            pytest.fail(f"not in 30 s: {what}; left: {await self.left()}")

    # jobs

    async def push(self, kind: str) -> int:
        """Push one job; return its number. Whether it is accepted is noted."""
        self.asked += 1
        n, queue = self.asked, self.app.queue
        if kind == "later":
            delay = self.chance.choice([0.5, 1.0, 1.5])
            accepted = await queue.enqueue_in(delay, "later", [n, time.time() + delay], "work")
        elif kind == "foreign":
            raw = json.dumps({"class": "quick", "queue": "work", "args": [n]})
            accepted = bool(await run_command(self.app.backend, "RPUSH", "resque:queue:work", raw))
        else:
            accepted = await queue.enqueue(kind, [n], "work")
        assert accepted
        self.accepted.add(n)
        if kind == "fail":
            self.failing.add(n)
        return n

    async def push_some(self) -> None:
        for _ in range(self.chance.randint(3, 12)):
            # If it fails, the job may or may not be stored, and nobody was told that it is.
            with contextlib.suppress(BackendError):
                await self.push(self.chance.choice(["quick", "quick", "fail", "later", "foreign"]))

    async def probe(self) -> None:
        """A job that is pushed now is done soon."""
        while True:
            try:
                n = await self.push("quick")
                break
            except BackendError:
                continue
        await self.until(lambda: self.did(n), f"job {n} is done")

    async def did(self, n: int) -> bool:
        return f"did {n}" in self.workers.said()

    # faults

    async def start(self) -> None:
        self.running.append(await self.workers.start())

    def pick(self) -> WorkerProcess:
        return self.chance.choice(self.running)

    async def kill(self) -> None:
        victim = self.pick()
        self.running.remove(victim)
        victim.kill()
        await victim.ended()
        await self.push_some()
        await self.start()

    async def freeze(self) -> None:
        """Until others have taken its jobs, and it from view."""
        victim = self.pick()
        mark = f":{victim.pid}".encode()
        victim.freeze()
        await self.push_some()
        try:
            await self.until(lambda: self.gone(mark), f"process {victim.pid} is taken for dead")
        finally:
            victim.thaw()

    async def gone(self, mark: bytes) -> bool:
        return not any(name.endswith(mark) for name in await self.redis("ZRANGE", "resque:taskhero:processes", 0, -1))

    async def crash(self) -> None:
        await asyncio.to_thread(self.server.kill)
        await self.push_some()
        await asyncio.to_thread(self.server.restart)

    async def cut(self) -> None:
        await self.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    async def forget_scripts(self) -> None:
        await self.redis("SCRIPT", "FLUSH")

    async def forget_workers(self) -> None:
        await self.redis("DEL", "resque:workers")

    async def forget_own(self) -> None:
        own = await self.redis("KEYS", "resque:taskhero:*")
        if own:
            await self.redis("DEL", *own)

    async def kill_and_forget_workers(self) -> None:
        await self.forget_workers()
        await self.kill()

    async def kill_and_forget_own(self) -> None:
        await self.kill()
        await self.forget_own()

    async def are_registered(self) -> bool:
        marks = [f":{worker.pid}+{slot}:".encode() for worker in self.running for slot in (1, 2, 3)]
        for register in ("resque:workers", OWN_REGISTER):
            ids = await self.redis("SMEMBERS", register)
            if not all(any(mark in worker_id for worker_id in ids) for mark in marks):
                return False
        return True

    # the end

    async def left(self) -> list[bytes]:
        """What stands anywhere but where it is over."""
        keys = await self.redis("KEYS", "resque:*")
        held = [key for key in keys if key.startswith(b"resque:worker:") and not key.endswith(b":started")]
        held = [key for key in held if b":ping:" not in key]
        waits = (b"resque:queue:", b"resque:delayed", b"resque:timestamps")
        return held + [key for key in keys if key.startswith(waits)]

    async def is_quiet(self) -> bool:
        return not await self.left()

    def strangers(self, keys: list[bytes]) -> list[bytes]:
        """Keys of workers that do not live any more."""
        alive = tuple(f":{worker.pid}+".encode() for worker in self.running)
        of_workers = (b"resque:worker:", b"resque:stat:processed:", b"resque:stat:failed:")
        return [key for key in keys if key.startswith(of_workers) and not any(mark in key for mark in alive)]


@pytest.mark.parametrize(
    ("faults", "kind", "seed"), [(GENTLE, "valkey9", 1), (VIOLENT, "redis7", 2), (VIOLENT, "redis62", 3)]
)
async def test_no_job_is_lost_or_early_and_nothing_is_left_behind(start_server, faults, kind, seed):
    server = start_server(kind, "--appendonly", "yes", "--appendfsync", "always")
    chance = random.Random(seed)
    order = list(faults)
    chance.shuffle(order)
    async with Workers(server.url, **SETTINGS) as workers, TaskHero(server.url) as app:
        chaos = Chaos(server, workers, app, chance)
        await asyncio.gather(*(chaos.start() for _ in range(PROCESSES)))
        await chaos.probe()
        for fault in order:
            await chaos.push_some()
            # Were both registers lost within a heartbeat, nothing would name the workers of one that is dead.
            await chaos.until(chaos.are_registered, "all processes are registered")
            await chaos.until(lambda: _nothing_of_the_dead(chaos), "the dead are rescued")
            await getattr(chaos, fault)()
            await chaos.probe()
        await chaos.until(chaos.is_quiet, "all is done")
        counts = Counter(int(line.split()[1]) for line in workers.said() if line.startswith("did "))
        failed = Counter(entry.job.args[0] for entry in await app.queue.failed())
        assert not [line for line in workers.said() if line.startswith("early")]
        assert sorted(chaos.accepted - set(counts)) == [], "done at least once, whatever happened"
        assert sorted(chaos.failing - set(failed)) == []
        assert set(failed) <= {n for n in range(1, chaos.asked + 1) if n not in chaos.accepted} | chaos.failing
        assert set(failed.values()) <= {1}, "a job has one end, though it may have been begun twice"
        if faults is GENTLE:
            assert set(counts.values()) == {1}
        await chaos.until(lambda: _nothing_of_the_dead(chaos), "nothing of dead processes is left")
        assert await asyncio.gather(*(worker.stop() for worker in chaos.running)) == [0] * PROCESSES
        stats = await app.queue.stats()
        assert stats["failed"] == sum(failed.values())
        assert stats["processed"] == len(set(counts) - set(failed)), "each job is counted once"
        keys = {key.decode() for key in await chaos.redis("KEYS", "*") if b"taskhero:wake" not in key}
        for key in sorted(keys & {"resque:taskhero:sentry", "resque:taskhero:leases"}):
            # The role of a killed tracking listener, and the number of the last renewal, expire.
            assert await chaos.redis("PTTL", key) > 0
            keys.discard(key)
        assert keys <= {"resque:queues", "resque:failed", "resque:stat:processed", "resque:stat:failed"}


async def _nothing_of_the_dead(chaos: Chaos) -> bool:
    return not chaos.strangers(await chaos.redis("KEYS", "*"))
