"""Settlements and periodic tasks whose queue or due time cannot take a job, because it is damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from taskhero.backends.protocol import (
    EnsureResult,
    FireResult,
    NextRun,
    PostponedByPlugin,
    Retried,
    Settlement,
    StopReason,
    Succeeded,
)
from taskhero.conformance.jobs.isolated_items import claim_each
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.schedulers.cron_tasks import TASK
from taskhero.conformance.schedulers.periodic_chains import periodic
from taskhero.conformance.steps import job, now_of, push, schedule, settle
from taskhero.conformance.suite import Suite
from taskhero.errors import BackendRefused

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend, Disposition
    from taskhero.clock import ManualClock

__all__ = ["BlockedDestinations"]

_ITEM = "Damaged data (a key of the wrong type, a counter that is not a number) affects only the item it belongs"
_UNSETTLED = (
    "If a settlement cannot be recorded, the claim stays as it was and `unsettled` lists it.",
    "All other settlements are recorded.",
)

DISPOSITIONS: dict[str, Disposition] = {
    "postponed": PostponedByPlugin(60),
    "retried": Retried("no", "retry:a", 9, (60.0,)),
}


class BlockedDestinations(Suite):
    """A job stays where it is until its destination can take it."""

    # dispositions

    @promise("settle_and_claim", *_UNSETTLED)
    @promise("all", _ITEM)
    @pytest.mark.parametrize("disposition", DISPOSITIONS.values(), ids=DISPOSITIONS)
    @needs("clock", "wrong_types")
    async def test_a_job_whose_due_time_is_damaged_stays_claimed(
        self, backend: Backend, clock: ManualClock, disposition: Disposition
    ) -> None:
        """The rest of the batch is recorded. A second later there is another due time, and no attempt is lost."""
        now = await now_of(backend)
        process, (first, second) = await claim_each(backend, 1, "q", "q")
        await schedule(backend, now + 60, job("lost"))
        await self.break_due_time(backend, now + 60)
        answer = await backend.settle_and_claim(
            process, [Settlement(first, disposition), Settlement(second, Succeeded())], (), ()
        )
        assert [held for held, reason in answer.unsettled if reason] == [first]
        assert list((await backend.claims(process)).claims) == [first]
        clock.advance(1)
        answer = await settle(backend, process, first, disposition)
        assert (list(answer.gone), list(answer.unsettled)) == ([], [])
        assert [attempt for _, attempt in answer.attempts] in ([], [1])
        assert await backend.delayed(now + 61) == [first.raw]

    @promise("settle_and_claim", *_UNSETTLED)
    @needs("clock", "wrong_types")
    async def test_a_next_run_that_cannot_be_stored_changes_nothing(self, backend: Backend, clock: ManualClock) -> None:
        """The settlement is not recorded and the delayed copy stays. A second later both succeed."""
        now = await now_of(backend)
        process, (claimed,) = await claim_each(backend, 1, "q")
        await schedule(backend, now + 10, job("lost"))
        await schedule(backend, now + 900, job(1))
        await self.break_due_time(backend, now + 10)
        next_run = NextRun("tick", job(1), (job(1),), 10)
        answer = await backend.settle_and_claim(process, [Settlement(claimed, Succeeded(), next_run=next_run)], (), ())
        assert [held for held, reason in answer.unsettled if reason] == [claimed]
        assert await backend.delayed(now + 900) == [job(1)]
        assert await backend.stats() == {}
        clock.advance(1)
        answer = await backend.settle_and_claim(process, [Settlement(claimed, Succeeded(), next_run=next_run)], (), ())
        assert list(answer.next_runs) == [(claimed, now + 11)]
        assert await backend.delayed(now + 11) == [job(1)]
        assert await backend.delayed(now + 900) == []

    # periodic tasks

    @promise("EnsureResult", "WRONG_TYPE")
    @needs("clock", "wrong_types")
    async def test_a_copy_that_cannot_be_delayed_for_less_stays(self, backend: Backend, clock: ManualClock) -> None:
        """It keeps its due time, and the other task is ensured."""
        now = int(clock.now())
        await schedule(backend, now + 10, job("lost"))
        await schedule(backend, now + 900, job(1))
        await self.break_due_time(backend, now + 10)
        tasks = [attrs.evolve(periodic(), guards=()), periodic("b", queue="other")]
        assert list(await backend.ensure_periodic(tasks)) == [EnsureResult.WRONG_TYPE, EnsureResult.ENQUEUED]
        assert await backend.delayed(now + 900) == [job(1)]
        clock.advance(1)
        assert list(await backend.ensure_periodic(tasks[:1])) == [EnsureResult.DELAYED]
        assert await backend.delayed(now + 11) == [job(1)]

    @promise("all", "`BackendRefused` means that the backend changed nothing.")
    @needs("clock", "wrong_types")
    async def test_a_task_that_cannot_be_restarted_stays_as_it_is(self, backend: Backend, clock: ManualClock) -> None:
        """Its copies stay, and it remains stopped. Another task restarts."""
        now = int(clock.now())
        task = periodic()
        await backend.stop_periodic(task)
        await push(backend, job(1))
        await schedule(backend, now + 10, job("lost"))
        await schedule(backend, now + 900, job(1))
        await self.break_due_time(backend, now + 10)
        with pytest.raises(BackendRefused):
            await backend.restart_periodic(task)
        assert await backend.queued("q") == [job(1)]
        assert await backend.delayed(now + 900) == [job(1)]
        assert (await backend.declare_periodic()).stopped == {"tick": StopReason.ASKED}
        assert await backend.restart_periodic(periodic("b", 20)) == now + 20

    @promise("all", _ITEM)
    @needs("wrong_types")
    async def test_a_task_is_stopped_though_its_queue_is_damaged(self, backend: Backend) -> None:
        """Its delayed copies are removed."""
        now = await now_of(backend)
        await schedule(backend, now + 900, job(1))
        await self.break_queue(backend, "q")
        assert await backend.stop_periodic(periodic()) == 1
        assert list(await backend.ensure_periodic([periodic()])) == [EnsureResult.STOPPED]

    @promise("all", "`BackendRefused` means that the backend changed nothing.")
    @needs("clock", "wrong_types")
    async def test_fire_times_whose_jobs_cannot_be_stored_are_not_skipped(
        self, backend: Backend, clock: ManualClock
    ) -> None:
        """They fire once the queue is repaired. A task of another queue fires all the same."""
        now = int(clock.now())
        other = attrs.evolve(TASK, name="other", queue="r")
        await backend.declare_periodic([TASK, other], 60)
        await self.break_queue(backend, "q")
        with pytest.raises(BackendRefused):
            await backend.fire_cron(TASK, now, now + 5, 2)
        assert await backend.fire_cron(other, now, now + 5, 2) == FireResult.STORED
        await backend.delete_queue("q")
        assert await backend.fire_cron(TASK, now, now + 5, 2) == FireResult.STORED
        assert await backend.queued("q") == [job(1)] * 2
