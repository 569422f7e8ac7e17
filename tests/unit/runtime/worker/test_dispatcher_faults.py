"""The dispatcher, when the backend fails, forgets the process, or returns a quarantined job."""

from __future__ import annotations

import attrs
import pytest
from dispatcher_harness import DispatcherHarness

from taskhero.backends.protocol import ClaimsReply, Settlement
from taskhero.errors import BackendRefused, BackendUnavailable, ReplyLost
from taskhero.events import WorkerError, WorkerFailure, WorkerGone, WorkerSuccess

pytestmark = pytest.mark.anyio

AWAY = BackendUnavailable("nobody listens")
LOST = ReplyLost("the line broke")
REFUSED = BackendRefused("OOM command not allowed")


# --- errors of the backend ---


@pytest.mark.parametrize("error", [AWAY, LOST, REFUSED, RuntimeError("a bug in the driver")])
async def test_an_error_before_an_exchange_acted_loses_nothing(error) -> None:
    async with DispatcherHarness("default") as harness:
        harness.backend.fail("settle_and_claim", error, times=3)
        await harness.push("good", "bad")
        await harness.start(2)
        await harness.until(lambda: harness.events_of(WorkerSuccess) and harness.events_of(WorkerFailure))
        assert await harness.stats() == {"processed": 1, "failed": 1}
        assert harness.executor.begun == ["good", "bad"], "no error of the backend is a job's failure"
        assert [kept for _, kept in harness.troubles] == [error], "an outage is told once"
        assert harness.recoveries == 1


@pytest.mark.parametrize("error", [LOST, RuntimeError("a bug in the driver")])
async def test_jobs_of_a_claim_whose_answer_was_lost_are_worked(error) -> None:
    async with DispatcherHarness("default") as harness:
        harness.backend.fail("settle_and_claim", error, acted=True)
        await harness.push("a", "b", "c")
        await harness.start(3)
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 3)
        assert sorted(harness.executor.begun) == ["a", "b", "c"]
        assert await harness.stats() == {"processed": 3, "failed": 0}
        assert not harness.events_of(WorkerGone)


async def test_endings_whose_answer_was_lost_are_sent_again_and_count_once() -> None:
    async with DispatcherHarness("default") as harness:
        gate = harness.executor.hold("a", "bad")
        await harness.push("a", "bad")
        await harness.start(2)
        await harness.until(lambda: len(harness.executor.begun) == 2)
        harness.backend.fail("settle_and_claim", LOST, acted=True)
        gate.set()
        await harness.until(lambda: harness.events_of(WorkerSuccess) and harness.events_of(WorkerFailure))
        assert await harness.stats() == {"processed": 1, "failed": 1}
        assert not harness.events_of(WorkerGone), "that they were recorded the first time is no news"
        assert len(harness.events_of(WorkerSuccess)) == 1


async def test_a_lost_answer_that_settled_and_claimed_leaves_no_job_behind() -> None:
    """The slot that was settled holds a new job already, of which the process knows nothing."""
    async with DispatcherHarness("default") as harness:
        gate = harness.executor.hold("first")
        await harness.push("first")
        await harness.start(1)
        await harness.until(lambda: harness.executor.begun == ["first"])
        await harness.push("second")
        harness.backend.fail("settle_and_claim", LOST, acted=True, times=2)
        gate.set()
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 2)
        assert harness.executor.begun == ["first", "second"]
        assert await harness.stats() == {"processed": 2, "failed": 0}


async def test_a_claim_that_acts_after_it_was_given_up_is_found_by_a_second_look() -> None:
    async with DispatcherHarness("default", timeout=0.05) as harness:
        await harness.push("late")
        seen: list[ClaimsReply] = []

        def nothing_yet(claims: ClaimsReply) -> ClaimsReply:
            seen.append(claims)
            return ClaimsReply()

        harness.backend.fail("settle_and_claim", LOST, acted=True)
        harness.backend.change("claims", nothing_yet)
        await harness.start(1)
        await harness.until(lambda: harness.executor.ended == ["late"])
        assert len(seen) == 1
        assert seen[0].claims


async def test_claims_are_read_again_only_after_a_doubt() -> None:
    async with DispatcherHarness("default", timeout=0.01) as harness:
        harness.backend.fail("settle_and_claim", AWAY)
        await harness.start(1)
        await harness.until(lambda: harness.backend.times["settle_and_claim"] > 5)
        assert harness.backend.times["claims"] == 0
        harness.backend.fail("settle_and_claim", LOST)
        await harness.until(lambda: harness.backend.times["settle_and_claim"] > 15)
        assert harness.backend.times["claims"] == 2


async def test_what_cannot_be_read_under_a_worker_is_told() -> None:
    async with DispatcherHarness("default") as harness:
        harness.backend.fail("settle_and_claim", LOST)
        harness.backend.change("claims", lambda _claims: ClaimsReply(unreadable={"host.abc:1+1": "rubbish"}))
        await harness.push("job")
        await harness.start(2)
        await harness.until(lambda: harness.events_of(WorkerError) and harness.executor.ended)
        assert "rubbish" in str(harness.events_of(WorkerError)[0].error)


async def test_errors_of_lesser_questions_do_not_stop_the_work() -> None:
    async with DispatcherHarness("*") as harness:
        await harness.push("first", "second")
        await harness.start(1)
        await harness.until(lambda: len(harness.executor.ended) == 2)
        harness.backend.break_down("queues", "claims", error=REFUSED)
        harness.backend.fail("settle_and_claim", LOST)
        await harness.push("third")
        await harness.until(lambda: "third" in harness.executor.ended)
        texts = [str(event.error) for event in harness.events_of(WorkerError)]
        assert any("names of the queues" in text for text in texts)
        assert any("the claims of this process" in text for text in texts)


async def test_an_outage_is_told_once_and_so_is_its_end() -> None:
    async with DispatcherHarness("default") as harness:
        await harness.push("first")
        await harness.start(2)
        await harness.until(lambda: harness.events_of(WorkerSuccess))
        harness.backend.break_down("settle_and_claim", "wait", "claims", error=AWAY)
        harness.parts.rounds.request_claim()
        await harness.until(lambda: harness.backend.times["settle_and_claim"] > 6)
        assert len(harness.troubles) == 1
        harness.backend.mend()
        await harness.push("second")
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 2)
        assert harness.recoveries == 1


async def test_jobs_that_end_in_an_outage_are_recorded_when_it_is_over() -> None:
    async with DispatcherHarness("default") as harness:
        gate = harness.executor.hold("a", "b")
        await harness.push("a", "b")
        await harness.start(2)
        await harness.until(lambda: len(harness.executor.begun) == 2)
        harness.backend.break_down("settle_and_claim", "wait", error=AWAY)
        gate.set()
        await harness.until(lambda: harness.backend.times["settle_and_claim"] > 5)
        assert await harness.stats() == {"processed": 0, "failed": 0}
        harness.backend.mend()
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 2)
        assert await harness.stats() == {"processed": 2, "failed": 0}


# --- items that go wrong ---


async def test_an_ending_that_cannot_be_recorded_is_kept_and_tried_again() -> None:
    """Its processor stays taken, the others go on."""
    async with DispatcherHarness("default") as harness:
        gate = harness.executor.hold("stuck")
        await harness.push("stuck", "other")
        await harness.start(2)
        await harness.until(lambda: "other" in harness.executor.ended)
        held: list[Settlement] = []
        inner = harness.memory.settle_and_claim

        async def exchange(process, settled, free, queues):
            refused = [item for item in settled if "stuck" in item.claim.raw] if len(held) < 3 else []
            held.extend(refused)
            answer = await inner(process, [item for item in settled if item not in refused], free, queues)
            return attrs.evolve(answer, unsettled=[(item.claim, "OOM") for item in refused])

        harness.memory.settle_and_claim = exchange
        gate.set()
        await harness.until(lambda: len(held) == 3)
        await harness.until(lambda: any(event.job.name == "stuck" for event in harness.events_of(WorkerSuccess)))
        assert await harness.stats() == {"processed": 2, "failed": 0}
        (error,) = harness.events_of(WorkerError)
        assert "OOM" in str(error.error)
        assert error.job.name == "stuck"
        await harness.push("next1", "next2")
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 4)


async def test_the_processor_of_an_unrecorded_ending_gets_no_job() -> None:
    async with DispatcherHarness("default") as harness:
        await harness.push("stuck")
        inner = harness.memory.settle_and_claim

        async def exchange(process, settled, free, queues):
            answer = await inner(process, [], free, queues)
            return attrs.evolve(answer, unsettled=[(item.claim, "OOM") for item in settled])

        await harness.start(1)
        harness.memory.settle_and_claim = exchange
        await harness.until(lambda: harness.events_of(WorkerError))
        await harness.push("next")
        harness.parts.rounds.request_claim()
        await harness.until(lambda: harness.backend.times["settle_and_claim"] > 4)
        assert harness.executor.begun == ["stuck"]
        assert not harness.waits, "it has nobody to take a job, so it must not take a wake-up"
        harness.memory.settle_and_claim = inner
        await harness.until(lambda: harness.executor.ended == ["stuck", "next"])


async def test_a_job_that_was_taken_from_us_is_told_and_not_settled() -> None:
    async with DispatcherHarness("default") as harness:
        gate = harness.executor.hold("job")
        await harness.push("job")
        await harness.start(1)
        await harness.until(lambda: harness.executor.begun == ["job"])
        assert len(await harness.memory.rescue((await harness.memory.leases()).leases, 10)) == 1
        gate.set()
        await harness.until(lambda: harness.events_of(WorkerGone))
        assert harness.events_of(WorkerGone)[0].job.name == "job"
        # The process becomes visible again and works the job anew.
        await harness.until(lambda: harness.events_of(WorkerSuccess))
        assert harness.executor.begun == ["job", "job"]
        assert await harness.stats() == {"processed": 1, "failed": 0}


async def test_a_process_that_was_taken_for_dead_registers_again() -> None:
    async with DispatcherHarness("default") as harness:
        await harness.start(2)
        await harness.idle()
        await harness.memory.deregister(harness.process)
        await harness.push("job")
        await harness.until(lambda: harness.executor.ended == ["job"])
        verb, (process, slots, lease) = next(call for call in harness.backend.calls if call[0] == "register")
        assert (verb, process, list(slots), lease) == ("register", harness.process, [1, 2], 60.0)


async def test_registering_in_vain_does_not_spin() -> None:
    async with DispatcherHarness("default") as harness:
        inner = harness.memory.settle_and_claim

        async def exchange(*args):
            return attrs.evolve(await inner(*args), registered=False)

        harness.memory.settle_and_claim = exchange
        await harness.start(1)
        await harness.until(lambda: harness.backend.times["register"] > 3)
        harness.memory.settle_and_claim = inner
        await harness.push("job")
        await harness.until(lambda: harness.executor.ended == ["job"])


async def test_a_queue_that_cannot_be_read_is_told_once_and_the_others_go_on() -> None:
    async with DispatcherHarness("broken", "default") as harness:
        for _ in range(5):
            harness.backend.change(
                "settle_and_claim", lambda answer: attrs.evolve(answer, problems={"broken": "WRONGTYPE"})
            )
        await harness.push("a", "b", "c")
        await harness.start(1)
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 3)
        (error,) = harness.events_of(WorkerError)
        assert error.queue == "broken"
        assert "WRONGTYPE" in str(error.error)
