"""Each hook around a job, in an app that works; sync and async mix, and take the arguments that they want."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from taskhero import Failure, Settings, Success, TaskHero, hookimpl
from taskhero.backends.protocol import QueueLockGuard
from taskhero.hooks.plugin_reader import HOOKS

pytestmark = pytest.mark.anyio


class Shop:
    """An app with one task, and what became of its jobs.

    Args:
        plugin: Its app-wide plugin.
    """

    def __init__(self, plugin):
        self.app = TaskHero(settings=Settings(max_task_processors=1), plugins=(plugin,))
        self.ran = []
        self.ends = asyncio.Queue()
        self.sell = self.app.task(name="sell", queue="shop")(self._sell)
        self.app.on("success", lambda job, result: self.ends.put_nowait(("success", job.args, result)))
        self.app.on("failure", lambda job, error: self.ends.put_nowait(("failure", job.args, str(error))))

    async def _sell(self, what: str) -> str:
        self.ran.append(what)
        if what == "nothing":
            raise LookupError("sold out")
        return what

    async def work(self, count):
        """Work until so many jobs have ended."""
        async with self.app.running():
            async with asyncio.timeout(20):
                return [await self.ends.get() for _ in range(count)]


async def test_taskhero_before_enqueue_decides_whether_a_job_is_stored():
    class Strict:
        @hookimpl
        async def taskhero_before_enqueue(self, ctx, job):
            assert (ctx.task_name, ctx.queue, ctx.at) == ("sell", "shop", None)
            await asyncio.sleep(0)
            return job.args != ["weapons"]

    shop = Shop(Strict())
    async with shop.app:
        assert await shop.sell.enqueue("weapons") is False
        assert await shop.sell.enqueue("bread") is True
        assert await shop.app.queue.length("shop") == 1


async def test_taskhero_after_enqueue_learns_of_what_was_stored():
    class Notes:
        def __init__(self):
            self.notes = []

        @hookimpl
        def taskhero_before_enqueue(self, job):
            return job.args != ["weapons"]

        @hookimpl
        def taskhero_after_enqueue(self, job, ctx):
            self.notes.append((job.name, job.args, ctx.at is None))

    notes = Notes()
    shop = Shop(notes)
    async with shop.app:
        await shop.sell.enqueue("weapons")
        await shop.sell.enqueue("bread")
        await shop.sell.enqueue_in(60, "milk")
    assert notes.notes == [("sell", ["bread"], True), ("sell", ["milk"], False)]


async def test_taskhero_guards_state_conditions_that_the_storing_step_checks():
    class OneOfEach:
        @hookimpl
        def taskhero_guards(self, job):
            return (QueueLockGuard(f"lock:{job.args[0]}", 60),)

    shop = Shop(OneOfEach())
    async with shop.app:
        stored = await asyncio.gather(*(shop.sell.enqueue(what) for what in ("bread", "bread", "milk")))
        assert sorted(stored) == [False, True, True]


async def test_taskhero_before_perform_decides_whether_a_job_runs():
    class Closed:
        @hookimpl
        def taskhero_before_perform(self, job, ctx):
            assert ctx.queue == "shop"
            return {"weapons": False, "gift": Success("given")}.get(job.args[0])

    shop = Shop(Closed())
    async with shop.app:
        for what in ("weapons", "gift", "bread"):
            await shop.sell.enqueue(what)
        ends = await shop.work(2)
    assert shop.ran == ["bread"]
    assert ends == [("success", ["gift"], "given"), ("success", ["bread"], "bread")]


async def test_taskhero_after_perform_learns_how_a_job_ended_and_may_replace_it():
    class Generous:
        def __init__(self):
            self.seen = []

        @hookimpl
        async def taskhero_after_perform(self, outcome, job):
            self.seen.append((job.args[0], type(outcome), outcome.duration >= 0))
            return Success("sorry") if isinstance(outcome, Failure) else None

    generous = Generous()
    shop = Shop(generous)
    async with shop.app:
        for what in ("bread", "nothing"):
            await shop.sell.enqueue(what)
        ends = await shop.work(2)
    assert generous.seen == [("bread", Success, True), ("nothing", Failure, True)]
    assert ends == [("success", ["bread"], "bread"), ("success", ["nothing"], "sorry")]


def test_every_hook_has_a_test_that_bears_its_name():
    """Whoever looks for what a hook does finds it."""
    tests = Path(__file__).parents[2]
    named = {
        name for path in tests.rglob("test_*.py") for name in re.findall(r"def test_(taskhero_\w+)", path.read_text())
    }
    assert [hook for hook in HOOKS if not any(name.startswith(f"{hook}_") for name in named)] == []
