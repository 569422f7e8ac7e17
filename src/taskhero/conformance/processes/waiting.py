"""Waiting until there may be jobs, or an earlier due time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from taskhero.backends.protocol import DelayedJobEntry, Entry, Subscription
from taskhero.conformance.promises import promise
from taskhero.conformance.simple_worker import SucceededJobs, working
from taskhero.conformance.steps import (
    QUIET,
    job,
    let_waits_begin,
    make_process,
    now_of,
    push,
    registered,
    start_wait,
    wake,
    within,
)
from taskhero.conformance.suite import Suite

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.conformance.suite import Views

__all__ = ["Waiting"]

_NEVER_LOST = (
    "A wake-up may be late or spurious, but is never lost for longer than *timeout*.",
    "A job wakes about one waiting process.",
)
_AT_ONCE = "The call returns immediately if a wake-up arrived since the last wait of the process."
_Q = Subscription(queues=("q",))


class Waiting(Suite):
    """`Backend.wait` and `Backend.notify`."""

    @pytest.mark.parametrize(
        "subscription",
        [Subscription(), _Q, Subscription(queues=("a", "b"), all_queues=True), Subscription(schedule=True)],
        ids=["none", "queue", "all-queues", "schedule"],
    )
    @promise("wait", "Wait until there may be jobs or an earlier due time, for at most *timeout* seconds.")
    async def test_a_wait_ends_when_its_time_is_up(self, backend: Backend, subscription: Subscription) -> None:
        """Whatever its subscription, and twice."""
        process = await registered(backend)
        for _ in range(2):
            await within(backend.wait(process, subscription, QUIET))

    @promise("wait", "Wait until there may be jobs or an earlier due time, for at most *timeout* seconds.")
    @promise("push", "The push wakes about one process that waits for the queue, not all.")
    async def test_a_push_wakes_a_process_that_waits_for_the_queue(self, backend: Backend, views: Views) -> None:
        """For any of its queues, and any client that pushes."""
        other = await views()
        for number, queue in enumerate(("q", "b", "c")):
            wait = await start_wait(backend, make_process(number), Subscription(queues=("b", "q", "c")))
            await push(other, job(1), queue=queue)
            assert (await within(wait)).jobs

    @promise("wait", _AT_ONCE)
    async def test_a_wake_up_between_two_waits_is_kept(self, backend: Backend, views: Views) -> None:
        """The next wait ends as soon as it begins, even if it is the process's first."""
        process, other = make_process(), await views()
        for number in range(2):
            await push(other, job(number))
            assert (await within(wake(backend, process, _Q))).jobs
            await within(backend.wait(process, _Q, QUIET))

    @promise("wait", _AT_ONCE)
    async def test_a_wake_up_for_the_schedule_is_kept(self, backend: Backend) -> None:
        """Like one for jobs."""
        process = make_process()
        now = await now_of(backend)
        for number in range(2):
            await backend.schedule([DelayedJobEntry(now + 1000 - number, "q", job(number))])
            assert (await within(wake(backend, process, Subscription(schedule=True), schedule=True))).schedule
            await within(backend.wait(process, Subscription(schedule=True), QUIET))

    @pytest.mark.parametrize("cancelled", [True, False], ids=["cancelled-before", "cancelled-after"])
    @promise("wait", _AT_ONCE)
    async def test_a_wake_up_for_the_schedule_is_kept_when_the_subscription_grows(
        self, backend: Backend, *, cancelled: bool
    ) -> None:
        """As in a process that waits for its first jobs while one of them is postponed."""
        process = await registered(backend)
        wait = await start_wait(backend, process, Subscription(schedule=True), schedule=True)
        if cancelled:
            wait.cancel()
        await backend.schedule([DelayedJobEntry(await now_of(backend) + 1000, "q", job(1))])
        wait.cancel()
        if (await asyncio.wait({wait}))[0] and not wait.cancelled():
            return  # the wake-up came before the cancellation
        both = Subscription(queues=("q",), schedule=True)
        assert (await within(wake(backend, process, both, schedule=True))).schedule

    @promise("schedule", "If the due time is earlier than all others, the step wakes a process that waits for the")
    async def test_an_earlier_due_time_wakes_a_process_that_waits_for_the_schedule(
        self, backend: Backend, views: Views
    ) -> None:
        """The first due time, and each earlier one, even if the process waits for jobs too."""
        other, process = await views(), make_process()
        now = await now_of(backend)
        for number, subscription in enumerate(
            (Subscription(schedule=True), Subscription(queues=("q",), schedule=True))
        ):
            wait = await start_wait(backend, process, subscription, schedule=True)
            await other.schedule([DelayedJobEntry(now + 1000 - number, "q", job(number))])
            assert (await within(wait)).schedule

    @promise("wait", "Wait until there may be jobs or an earlier due time, for at most *timeout* seconds.")
    async def test_a_new_queue_wakes_a_process_that_waits_for_all_queues(self, backend: Backend) -> None:
        """No subscription could name it before."""
        wait = await start_wait(backend, make_process(), Subscription(queues=("q",), all_queues=True))
        await push(backend, job(1), queue="new")
        assert (await within(wait)).jobs

    @promise("wait", "A wake-up for a new queue is not marked as `Wakeup.only_named`.")
    async def test_a_wake_up_for_a_new_queue_says_so(self, backend: Backend) -> None:
        """The process reads the names of all queues then, also if the wake-up came before the wait."""
        process, both = await registered(backend), Subscription(queues=("q",), all_queues=True)
        wait = await start_wait(backend, process, both)
        await push(backend, job(1), queue="new")
        wakeup = await within(wait)
        assert wakeup.jobs
        assert not wakeup.only_named
        await push(backend, job(1), queue="newer")
        wakeup = await within(wake(backend, process, both))
        assert wakeup.jobs
        assert not wakeup.only_named

    @promise("wait", "Wait until there may be jobs or an earlier due time, for at most *timeout* seconds.")
    async def test_a_job_to_the_front_wakes_too(self, backend: Backend) -> None:
        """Like a job that a worker releases."""
        wait = await start_wait(backend, make_process(), _Q)
        await backend.push([Entry("q", job(1), front=True)])
        assert (await within(wait)).jobs

    @promise("push", "The push wakes about one process that waits for the queue, not all.")
    @promise("wait", *_NEVER_LOST)
    async def test_about_one_process_is_woken_for_a_job(self, backend: Backend, views: Views) -> None:
        """Of eight that wait, fewer than half on average. No job is missed."""
        succeeded, jobs = SucceededJobs(), 10
        async with working([backend, await views()], 8, succeeded) as workers:
            await let_waits_begin(2 * QUIET)
            before = sum(worker.wakeups for worker in workers)
            for number in range(jobs):
                await push(backend, job(number))
                await succeeded.until(number + 1)
                await let_waits_begin(QUIET / 2)
            woken = sum(worker.wakeups for worker in workers) - before
        assert sorted(succeeded.done) == sorted(map(job, range(jobs)))
        assert 0 < woken / jobs < 4

    @promise("wait", *_NEVER_LOST)
    @promise("settle_and_claim", "If jobs remain, another waiting process wakes up.")
    async def test_many_jobs_at_once_wake_as_many_as_it_takes(self, backend: Backend, views: Views) -> None:
        """Each claim that leaves jobs wakes the next process, until all work at the same time."""
        succeeded, meet = SucceededJobs(), asyncio.Barrier(4)
        async with working([backend, await views()], 4, succeeded, meet=meet):
            for batch in range(3):
                await let_waits_begin()
                await push(backend, *(job([batch, number]) for number in range(4)))
                await succeeded.until(4 * (batch + 1))
        assert len(set(succeeded.done)) == 12

    @pytest.mark.parametrize("workers", [1, 3])
    @promise("wait", *_NEVER_LOST)
    async def test_no_wake_up_is_lost(self, backend: Backend, views: Views, workers: int) -> None:
        """Jobs arrive while some wait, some claim and some are about to wait."""
        succeeded, other = SucceededJobs(), await views()
        async with working([backend, other], workers, succeeded):
            for number in range(80):
                await push(other if number % 2 else backend, job(number))
                await succeeded.until(number + 1)
                # The next job arrives at another point of a worker's round each time.
                for _ in range(number % 8):
                    await asyncio.sleep(0)
        assert sorted(succeeded.done) == sorted(map(job, range(80)))

    @promise("wait", "The call can be cancelled.")
    async def test_a_wait_is_cancelled(self, backend: Backend) -> None:
        """It ends at once. A later wake-up is kept for the next wait."""
        process = make_process()
        wait = await start_wait(backend, process, _Q)
        wait.cancel()
        await within(asyncio.wait({wait}))
        assert wait.cancelled()
        await push(backend, job(1))
        assert (await within(wake(backend, process, _Q))).jobs

    @promise("wait", "The call can be cancelled.")
    @promise("wait", *_NEVER_LOST)
    async def test_a_cancelled_wait_loses_no_wake_up(self, backend: Backend) -> None:
        """Even if it is cancelled in the instant of the wake-up while other processes wait."""
        succeeded = SucceededJobs()
        async with working([backend], 2, succeeded) as workers:
            for number in range(20):
                await let_waits_begin(0.002)
                if number % 2:
                    await push(backend, job(number))
                    workers[number % 4 // 2].interrupt_wait()
                else:
                    workers[number % 4 // 2].interrupt_wait()
                    await push(backend, job(number))
                await succeeded.until(number + 1)

    @promise("notify", "Forward a wake-up: wake one waiting process for each of these queues that holds jobs.")
    async def test_a_wake_up_is_forwarded(self, backend: Backend) -> None:
        """By a process that was woken and has no free slot."""
        first, second = await registered(backend, 1), await registered(backend, 2)
        wait = await start_wait(backend, first, _Q)
        await push(backend, job(1))
        assert (await within(wait)).jobs
        wait = await start_wait(backend, second, _Q)
        await backend.notify(["empty", "q"])
        assert (await within(wait)).jobs

    @promise("notify", "Forward a wake-up: wake one waiting process for each of these queues that holds jobs.")
    async def test_nothing_can_be_forwarded(self, backend: Backend) -> None:
        """An empty list, and unknown queues, are not errors."""
        await backend.notify([])
        await backend.notify(["unknown"])
        assert await backend.queues() == []
