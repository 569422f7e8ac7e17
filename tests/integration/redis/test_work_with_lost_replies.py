"""A whole app behind a connection that keeps breaking: every job is done, counted once, and listed nowhere else."""

from __future__ import annotations

import asyncio
import random

import pytest
from proxy import Proxy

from taskhero import Settings, TaskHero
from taskhero.backends.redis.scripts import script
from taskhero.backends.redis.settle_and_claim import MAX_BATCH_BYTES
from taskhero.errors import BackendError, ReplyLost

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

JOBS = 300
CUTS = 25


#: What stands in the requests of both scripts that an exchange may take.
EXCHANGE = str(MAX_BATCH_BYTES)


@pytest.mark.parametrize("seed", [1, 2])
async def test_jobs_are_done_once_each_though_replies_are_lost_on_the_way(redis_url, seed):
    chance = random.Random(seed)
    port = int(redis_url.rsplit(":", 1)[1].split("/")[0])
    counts: dict[int, int] = {}
    all_done = asyncio.Event()
    async with Proxy(port) as proxy:
        settings = Settings(queues="q", min_task_processors=5, max_task_processors=5, timeout=0.3)
        app = TaskHero(f"redis://127.0.0.1:{proxy.port}/0", settings=settings)

        @app.task(queue="q")
        async def work(n: int) -> None:
            counts[n] = counts.get(n, 0) + 1
            if len(counts) == JOBS:
                all_done.set()
            if n % 5 == 0:
                raise ValueError(n)

        async def keep_cutting() -> None:
            for _ in range(CUTS):
                proxy.lose(chance.choice(["before", "after"]), EXCHANGE, skip=chance.randrange(4))
                await proxy.cut.wait()

        async with TaskHero(redis_url) as honest:
            await honest.queue.enqueue_many([honest.queue.job("work", [n], "q") for n in range(JOBS)])
            async with app.running():
                cutting = asyncio.create_task(keep_cutting())
                await asyncio.wait_for(all_done.wait(), 60)
                # Idle looks at the queues are cut as well; then the last endings are recorded.
                await asyncio.wait_for(cutting, 60)
            failed = await honest.queue.failed()
            assert counts == dict.fromkeys(range(JOBS), 1)
            assert sorted(entry.job.args[0] for entry in failed) == list(range(0, JOBS, 5))
            stats = await honest.queue.stats()
            assert (stats["processed"], stats["failed"]) == (JOBS - JOBS // 5, JOBS // 5)
            assert await honest.queue.length("q") == 0


async def test_a_push_whose_answer_is_lost_says_that_it_may_have_been_stored(redis_url):
    port = int(redis_url.rsplit(":", 1)[1].split("/")[0])
    async with Proxy(port) as proxy:
        app = TaskHero(f"redis://127.0.0.1:{proxy.port}/0")
        async with app:
            await app.queue.enqueue("t", [0], "q")  # the server knows the script from here on
            proxy.lose("after", script("push").sha)
            with pytest.raises(ReplyLost, match="may or may not"):
                await app.queue.enqueue("t", [1], "q")
            proxy.lose("before", script("push").sha)
            with pytest.raises(BackendError):
                await app.queue.enqueue("t", [2], "q")
            assert [job.args for job in await app.queue.queued("q")] == [[0], [1]]
