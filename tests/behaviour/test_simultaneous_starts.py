"""Three apps that declare one task start at once, again and again, their steps mixed by chance."""

from __future__ import annotations

import asyncio
import random

import pytest
from app_harness import AppHarness
from memory_view import MemoryView

from taskhero.backends.memory import MemoryBackend

pytestmark = pytest.mark.anyio

TIMES = 200
FREQUENCY = 7


class Mixed(MemoryBackend):
    """Each verb lets others go first, and is slow to answer, as chance will have it."""

    def __init__(self, *, clock, chance):
        super().__init__(clock=clock)
        self.chance = chance


def _mixed(verb):
    async def mixed(self, *args, **more):
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)
        answer = await getattr(MemoryBackend, verb)(self, *args, **more)
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)
        return answer

    return mixed


for _verb in (
    "declare_periodic",
    "ensure_periodic",
    "resume_periodic",
    "settle_and_claim",
    "prepare",
    "due",
    "promote",
    "lead",
    "push",
    "restart_periodic",
):
    setattr(Mixed, _verb, _mixed(_verb))


async def start_three(seed):
    """One cluster from its start through some runs; its runs, and what is left of the chain."""
    chance = random.Random(seed)
    harness = AppHarness("memory")
    harness.memory = Mixed(clock=harness.clock, chance=chance)
    running, runs, most = 0, [], 0

    async def tick():
        nonlocal running, most
        running += 1
        most = max(most, running)
        runs.append(harness.clock.now())
        for _ in range(chance.randrange(8)):
            await asyncio.sleep(0)
        running -= 1

    apps = [harness.app(processors=2, settings={"timeout": 60}) for _ in range(3)]
    for app in apps:
        app.task(name="tick", frequency=FREQUENCY)(tick)

    async def run(app):
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
        await app.start()

    await asyncio.gather(*map(run, apps))
    try:
        for number in range(1, 4):
            await harness.happened("scheduler.re_enqueue", number)
            if chance.random() < 0.5:
                await chance.choice(apps).queue.enqueue_all_recurrent()
            if number < 3:
                harness.clock.advance(FREQUENCY)
                for app in chance.sample(apps, 3):
                    app.scheduler.request_promotion()
                    app.scheduler.request_periodic()
        await asyncio.gather(*(app.scheduler.enqueue_periodic() for app in apps))
        return len(runs), most, MemoryView(harness.memory).jobs + running
    finally:
        await asyncio.gather(*(app.stop() for app in apps))


@pytest.mark.parametrize("seeds", [range(start, start + TIMES // 4) for start in range(0, TIMES, TIMES // 4)])
async def test_one_chain_is_left_and_no_two_runs_overlap(seeds):
    for seed in seeds:
        assert await start_three(seed) == (3, 1, 1), f"with seed {seed}"
