"""What jobs need before they run is asked for in batches, again after errors, and goes with their end."""

from __future__ import annotations

import asyncio

import attrs
import pytest
from dispatcher_harness import FaultyBackend, Signals, quick

from taskhero.backends.memory import MemoryBackend
from taskhero.backends.protocol import (
    Entry,
    Failed,
    LockSpec,
    PostponedByPlugin,
    Process,
    Released,
    Retried,
    Settlement,
    Succeeded,
)
from taskhero.clock import ManualClock
from taskhero.errors import BackendUnavailable, ReplyLost
from taskhero.hooks.manager import PluginManager
from taskhero.models import Job, Postponed, Refused
from taskhero.plugins import JobLock, QueueLock, Retry
from taskhero.runtime.backoff import Outage
from taskhero.runtime.execution.preparation import RunPreparation
from taskhero.wire.jobs import decode_job, encode_job

pytestmark = pytest.mark.anyio

SLOTS = (1, 2, 3, 4)
LOCK = "workerslock:work:q:[1]"


class Desk:
    """A process with claimed jobs, and what prepares them."""

    def __init__(self) -> None:
        self.signals = Signals()
        self.memory = MemoryBackend(clock=ManualClock())
        self.backend = FaultyBackend(self.memory, self.signals)
        self.process = Process("host.abc:1", ("q",))
        self.troubles: list[Exception] = []
        self.recoveries = 0
        outage = Outage(lambda _who, error: self.troubles.append(error), self._recovered)
        self.preparer = RunPreparation(
            backend=self.backend, process=self.process, outage=outage, heartbeat=3, new_backoff=quick
        )

    def _recovered(self, _seconds: float) -> None:
        self.recoveries += 1
        self.signals.happen()

    async def claim(self, *args: int):
        await self.memory.push([Entry("q", encode_job("work", [arg], "q")) for arg in args])
        answer = await self.memory.settle_and_claim(self.process, (), SLOTS[: len(args)], ("q",))
        return list(answer.claims)

    def asks(self) -> int:
        return sum(verb == "prepare" for verb, _ in self.backend.calls)

    async def prepare(self, claim, *plugins):
        return await self.preparer.prepare(claim, decode_job(claim.raw, "q"), PluginManager(plugins).scope)


@pytest.fixture
async def desk():
    desk = Desk()
    await desk.memory.connect()
    await desk.memory.register(desk.process, SLOTS, 60)
    desk.preparer.start()
    yield desk
    await desk.preparer.stop()
    await desk.memory.close()


async def test_all_jobs_of_a_moment_are_one_step(desk):
    claims = await desk.claim(1, 2, 3, 4)
    answers = await asyncio.gather(*(desk.prepare(claim, JobLock()) for claim in claims))
    assert answers == [(None, 1)] * 4
    assert desk.asks() == 1
    assert {held.lock.key for held in desk.preparer.held} == {f"workerslock:work:q:[{n}]" for n in (1, 2, 3, 4)}


async def test_what_needs_nothing_asks_for_nothing(desk):
    (claim,) = await desk.claim(1)
    assert await desk.prepare(claim) == (None, 1)
    assert desk.asks() == 0
    assert not desk.preparer.resources


async def test_a_lock_that_another_job_holds_ends_it_as_the_plugin_says(desk):
    first, second, third = await desk.claim(1, 1, 1)
    assert await desk.prepare(first, JobLock()) == (None, 1)
    assert await desk.prepare(second, JobLock(delay=7)) == (Postponed(7.0), 1)
    assert await desk.prepare(third, JobLock(requeue=False)) == (Refused(), 1)
    assert desk.preparer.settle(second, PostponedByPlugin(7)) == ((), ()), "it holds nothing that could be released"


@pytest.mark.parametrize("acted", [False, True])
async def test_an_error_of_the_backend_fails_no_job(desk, acted):
    """It is asked again, and tells of the outage once; a step that was done already is done again without harm."""
    (claim,) = await desk.claim(1)
    error = ReplyLost("gone") if acted else BackendUnavailable("away")
    desk.backend.fail("prepare", error, acted=acted, times=3)
    assert await desk.prepare(claim, JobLock(), QueueLock()) == (None, 1)
    assert desk.asks() == 4
    assert (desk.troubles, desk.recoveries) == ([error], 1)


async def test_a_job_that_is_cancelled_while_it_waits_lets_go_of_what_it_may_hold(desk):
    """The answer was lost: the lock may be held, and goes with the claim. It is not renewed meanwhile."""
    first, second = await desk.claim(1, 2)
    desk.backend.fail("prepare", ReplyLost("gone"), acted=True, times=10**6)
    waiting = asyncio.create_task(desk.prepare(first, JobLock()))
    await desk.signals.until(lambda: desk.asks() > 2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert desk.preparer.held == ()
    await desk.signals.until(lambda: desk.recoveries == 1)
    assert desk.preparer.settle(first, Released()) == ((LOCK,), ())
    desk.backend.mend()
    assert await desk.prepare(second, JobLock()) == (None, 1)
    (asked,) = desk.backend.calls[-1][1][1]
    assert asked.claim == second, "what was cancelled asks no more"


async def test_a_job_of_a_process_that_was_taken_for_dead_is_given_back(desk):
    (claim,) = await desk.claim(1)
    gone = attrs.evolve(claim, token="another")
    with pytest.raises(asyncio.CancelledError):
        await desk.prepare(gone, JobLock())
    assert desk.preparer.settle(gone, Released()) == ((LOCK,), ())


@pytest.mark.parametrize(
    ("ending", "forgotten"),
    [
        (Succeeded(), True),
        (Failed("entry"), True),
        (PostponedByPlugin(1), False),
        (Released(), False),
        (Retried("entry", "resque-retry:work:1", 3, (1.0,)), False),
    ],
)
async def test_the_count_of_attempts_is_forgotten_when_the_job_has_ended_for_good(desk, ending, forgotten):
    (claim,) = await desk.claim(1)
    retried = Retried("entry", "resque-retry:work:1", 3, (0.0,))
    await desk.memory.settle_and_claim(desk.process, [Settlement(claim, retried)], (), ("q",))
    (claim,) = await desk.claim(1)
    assert await desk.prepare(claim, Retry(limit=3)) == (None, 2)
    names = ("resque-retry:work:1", "failure-resque-retry:work:1")
    assert desk.preparer.settle(claim, ending) == ((), names if forgotten else ())
    assert not desk.preparer.resources


async def test_a_thread_that_outlasts_its_job_keeps_the_lock(desk, monkeypatch):
    """The job failed at its timeout; what is left of it may still do what equal jobs must not do beside it.

    Once it has ended, the lock is held for two heartbeats more, since no step of the backend would release it.
    """
    loop, timers = asyncio.get_running_loop(), []
    (claim,) = await desk.claim(1)
    await desk.prepare(claim, JobLock())
    busy = asyncio.get_running_loop().create_future()
    assert desk.preparer.settle(claim, Failed("timed out"), busy) == ((), ())
    (held,) = desk.preparer.held
    assert held.lock == LockSpec(LOCK, 3600)
    monkeypatch.setattr(loop, "call_later", lambda delay, call, *given: timers.append((delay, call, given)))
    busy.set_result(None)
    await asyncio.sleep(0)
    (held,) = desk.preparer.held
    assert held.lock == LockSpec(LOCK, 6)
    ((delay, call, given),) = timers
    assert delay == 6
    call(*given)
    assert desk.preparer.held == ()


async def test_a_lock_lasts_for_two_heartbeats_at_least(desk):
    (claim,) = await desk.claim(1)
    await desk.prepare(claim, JobLock(timeout=1))
    (held,) = desk.preparer.held
    assert held.lock.timeout == 6


async def test_a_plugin_that_cannot_tell_what_it_needs_raises(desk):
    (claim,) = await desk.claim(1)

    def key(job: Job) -> str:
        raise LookupError(job.args[5])

    with pytest.raises(IndexError):
        await desk.prepare(claim, JobLock(key=key))
    assert not desk.preparer.resources
