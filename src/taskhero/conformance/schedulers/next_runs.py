"""The next run of a periodic task, which the settlement of its job delays in the same step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskhero.backends.protocol import (
    Failed,
    NextRun,
    PostponedByPlugin,
    RefusedByPlugin,
    Released,
    Retried,
    Settlement,
    StopReason,
    Succeeded,
)
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.schedulers.periodic_chains import periodic
from taskhero.conformance.steps import claim_one, job, push, registered, schedule
from taskhero.conformance.suite import Suite

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend, Claim, Disposition, Process, SettleAndClaimReply
    from taskhero.clock import ManualClock

__all__ = ["NextRuns"]

_GOOD = (
    "When the job has ended, all delayed copies of the task are removed and one is delayed by its frequency.",
    "A job that is released, postponed or delayed for another attempt has not ended.",
)

FOR_GOOD: dict[str, Disposition] = {
    "succeeded": Succeeded(),
    "refused": RefusedByPlugin(),
    "failed": Failed("failure"),
    "last-attempt": Retried("failure", "retry:a", 1, (5.0,)),
}
NOT_FOR_GOOD: dict[str, Disposition] = {
    "released": Released(),
    "postponed": PostponedByPlugin(1000),
    "retried": Retried("failure", "retry:a", 3, (1000.0,)),
}


async def _delayed_to(backend: Backend, clock: ManualClock, within: int = 5000) -> dict[int, list[str]]:
    """Return all delayed jobs by due time. Advance the clock for that, and set it back."""
    clock.advance(within)
    found: dict[int, list[str]] = {}
    for due_job in (await backend.due(1000)).jobs:
        found.setdefault(due_job.at, []).append(due_job.raw)
    clock.advance(-within)
    return found


async def _end(
    backend: Backend, process: Process, claimed: Claim, next_run: NextRun, disposition: Disposition | None = None
) -> SettleAndClaimReply:
    """Settle a periodic task's job."""
    return await backend.settle_and_claim(
        process, [Settlement(claimed, disposition or Succeeded(), next_run=next_run)], (), ()
    )


def _next_of(frequency: float = 10, *, stop_if_failed: bool = False, name: str = "tick") -> NextRun:
    """Return the next run of a task that has two equivalent payloads."""
    return NextRun(name, job(1), (job(1), job("one")), frequency, stop_if_failed)


class NextRuns(Suite):
    """`Settlement.next_run`."""

    @pytest.mark.parametrize("disposition", FOR_GOOD.values(), ids=FOR_GOOD.keys())
    @promise("NextRun", "The next run of the periodic task whose job is settled.", *_GOOD)
    @needs("clock")
    async def test_the_next_run_is_delayed_with_the_end(
        self, backend: Backend, clock: ManualClock, disposition: Disposition
    ) -> None:
        """Whatever the disposition. The reply gives the due time, so a scheduler does not have to read it."""
        process = await registered(backend)
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        answer = await _end(backend, process, claimed, _next_of(10), disposition)
        at = int(clock.now()) + 10
        assert list(answer.next_runs) == [(claimed, at)]
        assert await _delayed_to(backend, clock) == {at: [job(1)]}
        assert list((await backend.claims(process)).claims) == []

    @pytest.mark.parametrize("disposition", NOT_FOR_GOOD.values(), ids=NOT_FOR_GOOD.keys())
    @promise("NextRun", *_GOOD)
    @needs("clock")
    async def test_a_job_that_comes_again_has_no_next_run_yet(
        self, backend: Backend, clock: ManualClock, disposition: Disposition
    ) -> None:
        """It is the next run itself."""
        process = await registered(backend)
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        answer = await _end(backend, process, claimed, _next_of(10), disposition)
        assert list(answer.next_runs) == []
        there = [
            *await backend.queued("q"),
            *(raw for payloads_of in (await _delayed_to(backend, clock)).values() for raw in payloads_of),
        ]
        assert there == [job(1)]

    @promise("NextRun", *_GOOD)
    @needs("clock")
    async def test_all_other_delayed_copies_are_removed(self, backend: Backend, clock: ManualClock) -> None:
        """Every equivalent payload. Queued copies, and other tasks' jobs, stay."""
        process = await registered(backend)
        now = int(clock.now())
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        await schedule(backend, now + 5, job(1), job(2))
        await schedule(backend, now + 6, job("one"))
        await schedule(backend, now + 700, job("one"))
        await push(backend, job("one"))
        await _end(backend, process, claimed, _next_of(60))
        assert await _delayed_to(backend, clock) == {now + 5: [job(2)], now + 60: [job(1)]}
        assert await backend.queued("q") == [job("one")]

    @pytest.mark.parametrize(
        ("ended", "frequency", "seconds"),
        [(0.0, 10, 10), (0.4, 10, 10), (0.6, 10, 11), (0.9, 1, 2), (0.2, 1.2, 1), (0.4, 1.2, 2), (0.0, 1.0, 1)],
    )
    @promise("NextRun", "The delay counts from now and is rounded to the nearest second, but never to the current one.")
    @needs("clock")
    async def test_the_due_time_is_rounded_to_the_nearest_second(
        self, backend: Backend, clock: ManualClock, ended: float, frequency: float, seconds: int
    ) -> None:
        """The mean of many runs is then right."""
        process = await registered(backend)
        now = int(clock.now())
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        clock.advance(ended)
        answer = await _end(backend, process, claimed, _next_of(frequency))
        assert [at for _, at in answer.next_runs] == [now + seconds]

    @promise("NextRun", "If the task is stopped, nothing is delayed and nothing is removed.")
    @needs("clock")
    async def test_a_stopped_task_has_no_next_run(self, backend: Backend, clock: ManualClock) -> None:
        """The current run is the last one. A job that a client delayed meanwhile is not changed."""
        process = await registered(backend)
        now = int(clock.now())
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        await backend.stop_periodic(periodic())
        await schedule(backend, now + 5, job(1))
        answer = await _end(backend, process, claimed, _next_of())
        assert list(answer.next_runs) == []
        assert await _delayed_to(backend, clock) == {now + 5: [job(1)]}

    @pytest.mark.parametrize("kind", FOR_GOOD)
    @promise("NextRun", "With *stop_if_failed*, a failed job stops the task instead.")
    @promise("StopReason", "FAILED")
    @needs("clock")
    async def test_a_failure_stops_a_task_that_says_so(self, backend: Backend, clock: ManualClock, kind: str) -> None:
        """Only a failure does, and only this task."""
        process = await registered(backend)
        await backend.declare_periodic([periodic(), periodic("tock")], 60)
        for _ in range(2):
            await push(backend, job(1))
            claimed = await claim_one(backend, process)
            await _end(backend, process, claimed, _next_of(stop_if_failed=True), FOR_GOOD[kind])
        failed = kind in {"failed", "last-attempt"}
        known = {state.task.name: state.stopped for state in (await backend.declare_periodic()).tasks}
        assert known == {"tick": StopReason.FAILED if failed else None, "tock": None}
        assert len(await _delayed_to(backend, clock)) == (0 if failed else 1)
        if not failed:
            return
        assert await backend.resume_periodic(["tick"]) == 1
        await push(backend, job(1))
        answer = await _end(backend, process, await claim_one(backend, process), _next_of(stop_if_failed=True))
        assert len(answer.next_runs) == 1

    @promise("settle_and_claim", "A settlement counts once.")
    @promise("settle_and_claim", "If the slot no longer holds the claim's token, nothing changes and the claim is")
    @needs("clock")
    async def test_what_is_settled_twice_has_one_next_run(self, backend: Backend, clock: ManualClock) -> None:
        """As after a lost reply: the repeated settlement neither moves the due time nor stops the task."""
        process = await registered(backend)
        await backend.declare_periodic([periodic()], 60)
        now = int(clock.now())
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        await _end(backend, process, claimed, _next_of(10))
        clock.advance(3)
        for disposition in (Succeeded(), Failed("failure")):
            answer = await _end(backend, process, claimed, _next_of(10, stop_if_failed=True), disposition)
            assert (list(answer.gone), list(answer.next_runs)) == ([claimed], [])
        assert await _delayed_to(backend, clock) == {now + 10: [job(1)]}
        assert [state.stopped for state in (await backend.declare_periodic()).tasks] == [None]

    @promise("settle_and_claim", "Record how jobs ended, in the order given, and claim the next jobs for the free")
    @needs("clock")
    async def test_each_job_of_a_batch_has_its_own_next_run(self, backend: Backend, clock: ManualClock) -> None:
        """Beside jobs without one, and with locks and counters."""
        process = await registered(backend, slots=(1, 2, 3, 4))
        now = int(clock.now())
        await push(backend, *map(job, (1, 2, 3, 4)))
        claims = list((await backend.settle_and_claim(process, (), (1, 2, 3, 4), ("q",))).claims)
        answer = await backend.settle_and_claim(
            process,
            [
                Settlement(claims[0], Succeeded(), ("lock:a",), ("retry:a",), NextRun("a", job(1), (job(1),), 5)),
                Settlement(claims[1], Failed("failure"), ("lock:b",)),
                Settlement(claims[2], Retried("no", "retry:c", 1, ()), (), (), NextRun("c", job(3), (job(3),), 7)),
                Settlement(claims[3], Succeeded()),
            ],
            (),
            (),
        )
        assert list(answer.next_runs) == [(claims[0], now + 5), (claims[2], now + 7)]
        assert await _delayed_to(backend, clock) == {now + 5: [job(1)], now + 7: [job(3)]}
        assert await backend.failed() == ["failure", "no"]
