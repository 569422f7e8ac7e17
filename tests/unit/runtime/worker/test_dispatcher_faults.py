"""The loop that settles and claims: what it does when the backend fails, forgets the process, or gives it a suspect."""

from __future__ import annotations

import attrs
import pytest
from dispatcher_harness import Floor

from taskhero.backends.protocol import Claims, Settlement
from taskhero.errors import BackendRefused, BackendUnavailable, ReplyLost
from taskhero.events import WorkerError, WorkerFailure, WorkerGone, WorkerSuccess

pytestmark = pytest.mark.anyio

AWAY = BackendUnavailable("nobody listens")
LOST = ReplyLost("the line broke")
REFUSED = BackendRefused("OOM command not allowed")


# --- errors of the backend ---


@pytest.mark.parametrize("error", [AWAY, LOST, REFUSED, RuntimeError("a bug in the driver")])
async def test_an_error_before_an_exchange_acted_loses_nothing(error) -> None:
    async with Floor("default") as floor:
        floor.backend.fail("exchange", error, times=3)
        await floor.push("good", "bad")
        await floor.start(2)
        await floor.until(lambda: floor.told(WorkerSuccess) and floor.told(WorkerFailure))
        assert await floor.stats() == {"processed": 1, "failed": 1}
        assert floor.crew.begun == ["good", "bad"], "no error of the backend is a job's failure"
        assert [kept for _, kept in floor.troubles] == [error], "an outage is told once"
        assert floor.recoveries == 1


@pytest.mark.parametrize("error", [LOST, RuntimeError("a bug in the driver")])
async def test_jobs_of_a_claim_whose_answer_was_lost_are_worked(error) -> None:
    async with Floor("default") as floor:
        floor.backend.fail("exchange", error, acted=True)
        await floor.push("a", "b", "c")
        await floor.start(3)
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 3)
        assert sorted(floor.crew.begun) == ["a", "b", "c"]
        assert await floor.stats() == {"processed": 3, "failed": 0}
        assert not floor.told(WorkerGone)


async def test_endings_whose_answer_was_lost_are_sent_again_and_count_once() -> None:
    async with Floor("default") as floor:
        gate = floor.crew.hold("a", "bad")
        await floor.push("a", "bad")
        await floor.start(2)
        await floor.until(lambda: len(floor.crew.begun) == 2)
        floor.backend.fail("exchange", LOST, acted=True)
        gate.set()
        await floor.until(lambda: floor.told(WorkerSuccess) and floor.told(WorkerFailure))
        assert await floor.stats() == {"processed": 1, "failed": 1}
        assert not floor.told(WorkerGone), "that they were recorded the first time is no news"
        assert len(floor.told(WorkerSuccess)) == 1


async def test_a_lost_answer_that_settled_and_claimed_leaves_no_job_behind() -> None:
    """The slot that was settled holds a new job already, of which the process knows nothing."""
    async with Floor("default") as floor:
        gate = floor.crew.hold("first")
        await floor.push("first")
        await floor.start(1)
        await floor.until(lambda: floor.crew.begun == ["first"])
        await floor.push("second")
        floor.backend.fail("exchange", LOST, acted=True, times=2)
        gate.set()
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 2)
        assert floor.crew.begun == ["first", "second"]
        assert await floor.stats() == {"processed": 2, "failed": 0}


async def test_a_claim_that_acts_after_it_was_given_up_is_found_by_a_second_look() -> None:
    async with Floor("default", timeout=0.05) as floor:
        await floor.push("late")
        seen: list[Claims] = []

        def nothing_yet(claims: Claims) -> Claims:
            seen.append(claims)
            return Claims()

        floor.backend.fail("exchange", LOST, acted=True)
        floor.backend.change("claims", nothing_yet)
        await floor.start(1)
        await floor.until(lambda: floor.crew.ended == ["late"])
        assert len(seen) == 1
        assert seen[0].claims


async def test_claims_are_read_again_only_after_a_doubt() -> None:
    async with Floor("default", timeout=0.01) as floor:
        floor.backend.fail("exchange", AWAY)
        await floor.start(1)
        await floor.until(lambda: floor.backend.times["exchange"] > 5)
        assert floor.backend.times["claims"] == 0
        floor.backend.fail("exchange", LOST)
        await floor.until(lambda: floor.backend.times["exchange"] > 15)
        assert floor.backend.times["claims"] == 2


async def test_what_cannot_be_read_under_a_worker_is_told() -> None:
    async with Floor("default") as floor:
        floor.backend.fail("exchange", LOST)
        floor.backend.change("claims", lambda _claims: Claims(unreadable={"host.abc:1+1": "rubbish"}))
        await floor.push("job")
        await floor.start(2)
        await floor.until(lambda: floor.told(WorkerError) and floor.crew.ended)
        assert "rubbish" in str(floor.told(WorkerError)[0].error)


async def test_errors_of_lesser_questions_do_not_stop_the_work() -> None:
    async with Floor("*") as floor:
        await floor.push("first", "second")
        await floor.start(1)
        await floor.until(lambda: len(floor.crew.ended) == 2)
        floor.backend.break_down("queues", "claims", error=REFUSED)
        floor.backend.fail("exchange", LOST)
        await floor.push("third")
        await floor.until(lambda: "third" in floor.crew.ended)
        texts = [str(event.error) for event in floor.told(WorkerError)]
        assert any("names of the queues" in text for text in texts)
        assert any("claimed" in text for text in texts)


async def test_an_outage_is_told_once_and_so_is_its_end() -> None:
    async with Floor("default") as floor:
        await floor.push("first")
        await floor.start(2)
        await floor.until(lambda: floor.told(WorkerSuccess))
        floor.backend.break_down("exchange", "wait", "claims", error=AWAY)
        floor.exchanger.look()
        await floor.until(lambda: floor.backend.times["exchange"] > 6)
        assert len(floor.troubles) == 1
        floor.backend.mend()
        await floor.push("second")
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 2)
        assert floor.recoveries == 1


async def test_jobs_that_end_in_an_outage_are_recorded_when_it_is_over() -> None:
    async with Floor("default") as floor:
        gate = floor.crew.hold("a", "b")
        await floor.push("a", "b")
        await floor.start(2)
        await floor.until(lambda: len(floor.crew.begun) == 2)
        floor.backend.break_down("exchange", "wait", error=AWAY)
        gate.set()
        await floor.until(lambda: floor.backend.times["exchange"] > 5)
        assert await floor.stats() == {"processed": 0, "failed": 0}
        floor.backend.mend()
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 2)
        assert await floor.stats() == {"processed": 2, "failed": 0}


# --- items that go wrong ---


async def test_an_ending_that_cannot_be_recorded_is_kept_and_tried_again() -> None:
    """Its processor stays taken, the others go on."""
    async with Floor("default") as floor:
        gate = floor.crew.hold("stuck")
        await floor.push("stuck", "other")
        await floor.start(2)
        await floor.until(lambda: "other" in floor.crew.ended)
        held: list[Settlement] = []
        inner = floor.memory.exchange

        async def exchange(process, settled, free, queues):
            refused = [item for item in settled if "stuck" in item.claim.raw] if len(held) < 3 else []
            held.extend(refused)
            answer = await inner(process, [item for item in settled if item not in refused], free, queues)
            return attrs.evolve(answer, unsettled=[(item.claim, "OOM") for item in refused])

        floor.memory.exchange = exchange
        gate.set()
        await floor.until(lambda: len(held) == 3)
        await floor.until(lambda: any(event.job.name == "stuck" for event in floor.told(WorkerSuccess)))
        assert await floor.stats() == {"processed": 2, "failed": 0}
        (error,) = floor.told(WorkerError)
        assert "OOM" in str(error.error)
        assert error.job.name == "stuck"
        await floor.push("next1", "next2")
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 4)


async def test_the_processor_of_an_unrecorded_ending_gets_no_job() -> None:
    async with Floor("default") as floor:
        await floor.push("stuck")
        inner = floor.memory.exchange

        async def exchange(process, settled, free, queues):
            answer = await inner(process, [], free, queues)
            return attrs.evolve(answer, unsettled=[(item.claim, "OOM") for item in settled])

        await floor.start(1)
        floor.memory.exchange = exchange
        await floor.until(lambda: floor.told(WorkerError))
        await floor.push("next")
        floor.exchanger.look()
        await floor.until(lambda: floor.backend.times["exchange"] > 4)
        assert floor.crew.begun == ["stuck"]
        assert not floor.waits, "it has nobody to take a job, so it must not take a wake-up"
        floor.memory.exchange = inner
        await floor.until(lambda: floor.crew.ended == ["stuck", "next"])


async def test_a_job_that_was_taken_from_us_is_told_and_not_settled() -> None:
    async with Floor("default") as floor:
        gate = floor.crew.hold("job")
        await floor.push("job")
        await floor.start(1)
        await floor.until(lambda: floor.crew.begun == ["job"])
        assert len(await floor.memory.rescue((await floor.memory.leases()).leases, 10)) == 1
        gate.set()
        await floor.until(lambda: floor.told(WorkerGone))
        assert floor.told(WorkerGone)[0].job.name == "job"
        # The process becomes visible again and works the job anew.
        await floor.until(lambda: floor.told(WorkerSuccess))
        assert floor.crew.begun == ["job", "job"]
        assert await floor.stats() == {"processed": 1, "failed": 0}


async def test_a_process_that_was_taken_for_dead_registers_again() -> None:
    async with Floor("default") as floor:
        await floor.start(2)
        await floor.idle()
        await floor.memory.deregister(floor.process)
        await floor.push("job")
        await floor.until(lambda: floor.crew.ended == ["job"])
        verb, (process, slots, lease) = next(call for call in floor.backend.calls if call[0] == "register")
        assert (verb, process, list(slots), lease) == ("register", floor.process, [1, 2], 60.0)


async def test_registering_in_vain_does_not_spin() -> None:
    async with Floor("default") as floor:
        inner = floor.memory.exchange

        async def exchange(*args):
            return attrs.evolve(await inner(*args), registered=False)

        floor.memory.exchange = exchange
        await floor.start(1)
        await floor.until(lambda: floor.backend.times["register"] > 3)
        floor.memory.exchange = inner
        await floor.push("job")
        await floor.until(lambda: floor.crew.ended == ["job"])


async def test_a_queue_that_cannot_be_read_is_told_once_and_the_others_go_on() -> None:
    async with Floor("broken", "default") as floor:
        for _ in range(5):
            floor.backend.change("exchange", lambda answer: attrs.evolve(answer, problems={"broken": "WRONGTYPE"}))
        await floor.push("a", "b", "c")
        await floor.start(1)
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 3)
        (error,) = floor.told(WorkerError)
        assert error.queue == "broken"
        assert "WRONGTYPE" in str(error.error)
