"""Cron tasks: each fire time is fired once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs

from taskhero.backends.protocol import FireResult, PeriodicTask, QueueLockGuard, Subscription
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import job, make_process, start_wait
from taskhero.conformance.suite import Suite

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.clock import ManualClock
    from taskhero.conformance.suite import Views

__all__ = ["CronTasks"]

TASK = PeriodicTask(name="nightly", queue="q", raw=job(1), equivalent_payloads=(job(1), job("one")), cron="0 3 * * *")

_STORE = "Store *count* jobs of a cron task, move its cursor to *new_cursor*, and return a `FireResult`."
_ONCE = "That happens only if the cursor is *expected_cursor*: of two calls for the same fire times, one"


async def _cursor_of(backend: Backend) -> int | None:
    """Return the task's cron cursor."""
    (known,) = (await backend.declare_periodic([TASK], 60)).tasks
    return known.cron_cursor


class CronTasks(Suite):
    """`Backend.fire_cron`."""

    @promise("declare_periodic", "The cron cursor of a new cron task is now, so that all earlier fire times count as")
    @needs("clock")
    async def test_a_new_task_has_missed_nothing(self, backend: Backend, clock: ManualClock) -> None:
        """A known one may have: another declaration does not reset its cursor, even after a year."""
        began = int(clock.now())
        clock.advance(0.7)
        assert await _cursor_of(backend) == began
        clock.advance(100)
        assert await _cursor_of(backend) == began

    @promise("fire_cron", _STORE, _ONCE)
    @promise("FireResult", "STORED", "MISSED")
    async def test_a_fire_time_is_fired_once(self, backend: Backend, views: Views) -> None:
        """Even while there are several leaders."""
        other = await views()
        cursor = await _cursor_of(backend)
        assert cursor is not None
        answers = await asyncio.gather(*(view.fire_cron(TASK, cursor, cursor + 60, 1) for view in [backend, other] * 5))
        assert sorted(answers) == sorted([FireResult.STORED, *([FireResult.MISSED] * 9)])
        assert await backend.queued("q") == [job(1)]
        assert await _cursor_of(other) == cursor + 60

    @promise("fire_cron", _STORE, _ONCE)
    async def test_many_fire_times_or_none_at_once(self, backend: Backend) -> None:
        """Skipped fire times move the cursor too. An unknown task has no cursor."""
        unknown = attrs.evolve(TASK, name="unknown")
        assert await backend.fire_cron(unknown, 5, 6, 1) == FireResult.MISSED
        assert await backend.fire_cron(unknown, None, 6, 0) == FireResult.STORED
        assert await backend.fire_cron(unknown, None, 7, 1) == FireResult.MISSED
        assert await backend.queues() == []
        assert await backend.fire_cron(unknown, 6, 9, 3) == FireResult.STORED
        assert (await backend.queues(), await backend.queued("q")) == (["q"], [job(1)] * 3)

    @promise("fire_cron", "Guards apply and waiting processes wake up as with `push`.")
    async def test_guards_hold(self, backend: Backend) -> None:
        """With a queue lock, many missed fire times are one job."""
        task = attrs.evolve(TASK, guards=(QueueLockGuard("lock:nightly", 60),))
        waiting = await start_wait(backend, make_process(1), Subscription(queues=("q",)))
        assert await backend.fire_cron(task, None, 9, 3) == FireResult.STORED
        assert (await waiting).jobs
        assert await backend.queued("q") == [job(1)]

    @promise("FireResult", "STOPPED")
    async def test_a_stopped_task_fires_nothing(self, backend: Backend) -> None:
        """Nor does it fire those times when it is resumed."""
        cursor = await _cursor_of(backend)
        assert cursor is not None
        await backend.stop_periodic(TASK)
        assert await backend.fire_cron(TASK, cursor, cursor + 60, 2) == FireResult.STOPPED
        assert await backend.fire_cron(TASK, cursor, cursor + 60, 2) == FireResult.MISSED
        assert await backend.resume_periodic([TASK.name]) == 1
        assert await _cursor_of(backend) == cursor + 60
        assert await backend.fire_cron(TASK, cursor + 60, cursor + 120, 1) == FireResult.STORED
        assert await backend.queued("q") == [job(1)]

    @promise("restart_periodic", "A cron task continues with its next fire time, and the result is None.")
    @needs("clock")
    async def test_a_restarted_task_continues_with_its_next_fire_time(
        self, backend: Backend, clock: ManualClock
    ) -> None:
        """Fire times during the stop are skipped, even if no scheduler saw them."""
        await _cursor_of(backend)
        await backend.stop_periodic(TASK)
        clock.advance(1000)
        assert await backend.restart_periodic(TASK) is None
        assert await _cursor_of(backend) == int(clock.now())
        assert (await backend.due(1)).next_at is None
        assert await backend.length("q") == 0
