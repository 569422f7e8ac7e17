"""The hooks around an enqueue: when they run, what they decide, and guards."""

from __future__ import annotations

import attrs
import pytest

from taskhero import Job, TaskHero, hookimpl
from taskhero.backends.memory import MemoryBackend
from taskhero.backends.protocol import QueueLockGuard
from taskhero.clock import ManualClock
from taskhero.engine.time.instants import to_datetime
from taskhero.errors import AlreadyScheduled
from taskhero.hooks.scope import HookScope

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000.25


@attrs.frozen(eq=False)
class Watch:
    """Notes what it is told; refuses jobs whose first argument is in `refuse`."""

    seen: list = attrs.field(factory=list)
    refuse: tuple = ()
    fail_after: bool = False

    @hookimpl
    async def taskhero_before_enqueue(self, job, ctx):
        self.seen.append(("before", job, ctx.task_name, ctx.queue, ctx.at))
        return False if job.args[0] in self.refuse else None

    @hookimpl
    def taskhero_after_enqueue(self, job, ctx):
        self.seen.append(("after", job, ctx.task_name, ctx.queue, ctx.at))
        if self.fail_after:
            raise LookupError("gone")


@attrs.frozen(eq=False)
class Once:
    """States a guard: one job of these arguments at a time."""

    @hookimpl
    def taskhero_guards(self, job):
        return (QueueLockGuard(f"lock:{job.name}:{job.args}", 60),)


class Explodes:
    @hookimpl
    def taskhero_before_enqueue(self, job):
        raise LookupError("gone")


def make(*plugins, app_wide=()):
    clock = ManualClock(NOW)
    app = TaskHero(MemoryBackend(clock=clock), clock=clock, plugins=app_wide)
    return app, app.task(name="add", queue="math", plugins=plugins)(lambda a: None)


async def test_hooks_run_around_every_way_to_enqueue():
    watch = Watch()
    app, add = make(watch)
    async with app:
        await add.enqueue(1)
        await app.queue.enqueue("add", [2], "slow")
        await app.queue.push(add.job(3), front=True)
        await app.queue.enqueue_many([add.job(4)])
        await add.enqueue_in(10, 5)
        await app.queue.enqueue_at(NOW - 5, "add", [6])
    jobs = [(1, "math"), (2, "slow"), (3, "math"), (4, "math"), (5, "math"), (6, "math")]
    later = to_datetime(1_800_000_011)
    assert watch.seen == [
        (moment, Job("add", [number], queue), "add", queue, later if number == 5 else None)
        for number, queue in jobs
        for moment in ("before", "after")
    ]


async def test_a_refused_job_is_not_stored_and_nobody_is_told_afterwards():
    watch, never = Watch(refuse=(1,)), Watch()
    app, add = make(watch, never)
    async with app:
        assert await add.enqueue(1) is False
        assert await app.queue.enqueue("add", [1]) is False
        assert await add.enqueue_in(10, 1) is False
        assert await app.queue.enqueue_many([add.job(1), add.job(2), add.job(1), add.job(3)]) == 2
        assert [job.args for job in await app.queue.queued("math")] == [[2], [3]]
    assert [kind for kind, *_ in watch.seen].count("after") == 2
    assert [job.args for _, job, *_ in never.seen] == [[2], [3], [2], [3]]


async def test_app_wide_hooks_run_for_names_that_the_app_does_not_declare():
    watch = Watch()
    app, _ = make(app_wide=(watch,))
    async with app:
        await app.queue.enqueue("theirs", [1], "other")
    assert [(kind, name) for kind, _, name, *_ in watch.seen] == [("before", "theirs"), ("after", "theirs")]


async def test_a_tasks_hooks_do_not_run_for_other_tasks():
    watch = Watch()
    app, _ = make(watch)
    other = app.task(name="other")(lambda a: None)
    async with app:
        await other.enqueue(1)
        await app.queue.enqueue("theirs", [1], "other")
    assert watch.seen == []


async def test_an_error_before_reaches_the_caller_and_nothing_is_stored():
    app, add = make(Explodes())
    async with app:
        for call in (add.enqueue(1), add.enqueue_in(10, 1), app.queue.enqueue_many([add.job(1)])):
            with pytest.raises(LookupError, match="gone"):
                await call
        assert await app.queue.queues() == []


async def test_an_error_after_is_logged_since_the_job_is_stored(caplog):
    app, add = make(Watch(fail_after=True))
    async with app:
        assert await add.enqueue(1) is True
        assert await app.queue.enqueue_many([add.job(2)]) == 1
        assert await app.queue.length("math") == 2
    assert [record.plugin for record in caplog.records] == ["Watch", "Watch"]


async def test_guards_are_checked_and_taken_by_the_storing_step():
    watch = Watch()
    app, add = make(Once(), watch)
    async with app:
        assert await add.enqueue(1) is True
        assert await add.enqueue(1) is False
        assert await app.queue.enqueue_many([add.job(1), add.job(2), add.job(2)]) == 1
        assert [job.args for job in await app.queue.queued("math")] == [[1], [2]]
    assert [job.args for kind, job, *_ in watch.seen if kind == "after"] == [[1], [2]]


async def test_hooks_after_do_not_run_for_a_duplicate():
    watch = Watch()
    app, add = make(watch)
    async with app:
        await add.enqueue_in(60, 1)
        with pytest.raises(AlreadyScheduled):
            await add.enqueue_in(60, 1)
        assert await add.options(suppress_duplicate=True).enqueue_in(60, 1) is False
    assert [kind for kind, *_ in watch.seen] == ["before", "after", "before", "before"]


async def test_without_plugins_no_hook_machinery_is_called(monkeypatch):
    def forbidden(*_):
        raise AssertionError("the hook machinery was called")

    app, add = make()
    async with app:
        for name in ("before_enqueue", "after_enqueue", "guards", "of"):
            monkeypatch.setattr(HookScope, name, forbidden)
        monkeypatch.setattr("taskhero.engine.queue.admission.EnqueueContext", forbidden)
        await add.enqueue(1)
        await add.enqueue_in(60, 1)
        await app.queue.enqueue_many([add.job(2)])
        assert await app.queue.length("math") == 2
