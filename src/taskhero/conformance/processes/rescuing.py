"""Taking jobs from dead processes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from taskhero.backends.protocol import RescuedJob
from taskhero.conformance.promises import promise
from taskhero.conformance.steps import (
    LEASE,
    claim,
    claim_one,
    job,
    leases_except,
    make_process,
    push,
    registered,
    rescue,
    send_heartbeat,
)
from taskhero.conformance.suite import Suite
from taskhero.wire.jobs import late_crash_count, rescue_count, unmark

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.conformance.suite import Views

__all__ = ["Rescuing"]

_MARK = (
    "The payload is marked as rescued (`taskhero.wire`).",
    "Its count of crashes increases by one if the job was marked exclusive.",
)
_ATOMIC = (
    "Each job is one atomic step.",
    "It is taken only if the lease is still exactly the one given, and by one rescuer only.",
)
_DECLARED = "The same step declares the process dead until its next `heartbeat` or `register`."
_LATE = (
    "If that mark was removed again, the count of late crashes increases by one.",
    "If another exclusive job of the process has no counted crash yet, the crash counts for that job instead.",
)


class Rescuing(Suite):
    """`Backend.mark_exclusive` and `Backend.rescue`."""

    # mark_exclusive

    @promise("mark_exclusive", "Mark that the job runs exclusively, so that a crash of its process is attributed to")
    @promise("mark_exclusive", "Return False if the claim is gone.")
    async def test_a_claim_is_marked_exclusive(self, backend: Backend) -> None:
        """Once or twice. It stays the same claim."""
        process = await registered(backend)
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        assert await backend.mark_exclusive(process, claimed)
        assert await backend.mark_exclusive(process, claimed)
        assert list((await backend.claims(process)).claims) == [claimed]

    @promise("mark_exclusive", "Mark that the job runs exclusively, so that a crash of its process is attributed to")
    @promise("mark_exclusive", "Return False if the claim is gone.")
    async def test_a_claim_that_is_gone_is_not_marked_exclusive(self, backend: Backend) -> None:
        """Even if its slot holds another claim, which is not changed."""
        process = await registered(backend)
        await push(backend, job(1), job(2))
        old = await claim_one(backend, process)
        await backend.deregister_slots(process, (1,))
        assert not await backend.mark_exclusive(process, old)
        await backend.register(process, (1,), LEASE)
        await claim_one(backend, process)
        assert not await backend.mark_exclusive(process, old)
        assert not await backend.mark_exclusive(process, old, exclusive=False)
        assert not await backend.mark_exclusive(make_process(2), old)

    # rescue

    @promise("rescue", "Move up to *limit* jobs of the processes of these leases to the front of their queues.")
    @promise("rescue", "Jobs of one queue keep the order of their claims.")
    async def test_jobs_of_a_dead_process_come_next(self, backend: Backend) -> None:
        """In the order in which they were claimed, whatever their slots, and before all queued jobs."""
        process = await registered(backend, 1, slots=range(1, 5), queues=("q", "other"))
        await push(backend, *map(job, range(1, 6)))
        await push(backend, job("a"), job("b"), queue="other")
        await claim(backend, process, (4, 2))
        await claim(backend, process, (3,), ("other",))
        await claim(backend, process, (1,))
        other = await registered(backend, 2)
        assert len(await rescue(backend, other)) == 4
        assert [unmark(raw) for raw in await backend.queued("q")] == [job(number) for number in range(1, 6)]
        assert [unmark(raw) for raw in await backend.queued("other")] == [job("a"), job("b")]
        assert list((await backend.claims(process)).claims) == []

    @promise("rescue", "Move up to *limit* jobs of the processes of these leases to the front of their queues.")
    @promise("rescue", "Jobs of one queue keep the order of their claims.")
    async def test_it_takes_no_more_than_the_limit(self, backend: Backend) -> None:
        """The next calls take the rest, and all are in order then."""
        process = await registered(backend, 1, slots=range(1, 6))
        other = await registered(backend, 2)
        await push(backend, *map(job, range(10)))
        assert len(await claim(backend, process, range(1, 6))) == 5
        counts = [len(await rescue(backend, other, limit=2)) for _ in range(4)]
        assert counts == [2, 2, 1, 0]
        assert [unmark(raw) for raw in await backend.queued("q")] == [job(number) for number in range(10)]

    @promise("rescue", "Move up to *limit* jobs of the processes of these leases to the front of their queues.")
    async def test_rescue_returns_what_it_took(self, backend: Backend) -> None:
        """The worker that held the job, its queue, its payload as it is now, and whether it ran exclusively."""
        process = await registered(backend, 1, slots=(1, 2))
        other = await registered(backend, 2)
        await push(backend, *map(job, range(4)))
        marked, claimed = await claim(backend, process, (2, 1))
        await backend.mark_exclusive(process, marked)
        rescued = await rescue(backend, other)
        now = await backend.queued("q", 0, 1)
        assert set(rescued) == {
            RescuedJob(process.worker(marked.slot), "q", now[0], running=True),
            RescuedJob(process.worker(claimed.slot), "q", now[1], running=False),
        }

    @promise("rescue", *_MARK)
    async def test_a_mere_claim_is_marked_but_not_counted(self, backend: Backend) -> None:
        """However often its process dies, because another job may have crashed it."""
        for number in range(3):
            process, other = await registered(backend, 2 * number), await registered(backend, 2 * number + 1)
            if number == 0:
                await push(backend, job(1))
            await claim_one(backend, process)
            await rescue(backend, other)
            await backend.deregister(other)
            (raw,) = await backend.queued("q")
            assert (rescue_count(raw), unmark(raw)) == (0, job(1))

    @promise("rescue", *_MARK)
    @promise("mark_exclusive", "Mark that the job runs exclusively, so that a crash of its process is attributed to")
    @promise("mark_exclusive", "Return False if the claim is gone.")
    async def test_an_exclusive_run_is_counted(self, backend: Backend) -> None:
        """One more each time. A claim without an exclusive run in between changes nothing."""
        await push(backend, job(1))
        counts = []
        for number, exclusive in enumerate((True, True, False, True)):
            process, other = await registered(backend, 2 * number), await registered(backend, 2 * number + 1)
            claimed = await claim_one(backend, process)
            if exclusive:
                await backend.mark_exclusive(process, claimed)
            (rescued,) = await rescue(backend, other)
            assert rescued.running == exclusive
            await backend.deregister(other)
            counts.append(rescue_count(rescued.raw))
        assert counts == [1, 2, 2, 3]

    @promise("rescue", *_MARK)
    @promise("mark_exclusive", "Mark that the job runs exclusively, so that a crash of its process is attributed to")
    @promise("mark_exclusive", "Return False if the claim is gone.")
    async def test_the_mark_of_one_job_is_not_its_neighbours(self, backend: Backend) -> None:
        """Nor the next job's in the same slot."""
        process = await registered(backend, 1, slots=(1, 2))
        await push(backend, job(1), job(2), job(3), job(4))
        marked, _ = await claim(backend, process, (1, 2))
        await backend.mark_exclusive(process, marked)
        await backend.deregister_slots(process, (marked.slot,))
        await backend.register(process, (marked.slot,), LEASE)
        again = await claim_one(backend, process, marked.slot)
        assert again.raw == marked.raw
        other = await registered(backend, 2)
        assert {rescue_count(rescued.raw) for rescued in await rescue(backend, other)} == {0}

    @promise("mark_exclusive", "A crash of the process then counts only as a late crash.")
    @promise("rescue", *_LATE)
    async def test_a_late_crash_is_counted_as_such(self, backend: Backend) -> None:
        """Of a job that ran exclusively and now shares its process. Not of one that never ran exclusively."""
        await push(backend, job(1), job(2))
        for number in (1, 2):
            process = await registered(backend, number, slots=(1, 2))
            late, plain = await claim(backend, process, (1, 2))
            assert await backend.mark_exclusive(process, late)
            for unmarked in (late, plain, late):
                assert await backend.mark_exclusive(process, unmarked, exclusive=False)
            assert {rescued.running for rescued in await rescue(backend)} == {False}
            marks = [(unmark(raw), rescue_count(raw), late_crash_count(raw)) for raw in await backend.queued("q")]
            assert marks == [(job(1), 0, number), (job(2), 0, 0)]

    @promise("mark_exclusive", "With *exclusive* false, remove the mark, since other jobs run beside it from now on.")
    @promise("rescue", *_MARK, *_LATE)
    async def test_a_job_that_is_marked_again_is_not_late(self, backend: Backend) -> None:
        """It counts as an exclusive run, and keeps its late crashes. A release changes nothing."""
        await push(backend, job(1))
        for number, marks in enumerate(((True, False), (True, False, True), (True, False))):
            process = await registered(backend, number)
            claimed = await claim_one(backend, process)
            for exclusive in marks:
                assert await backend.mark_exclusive(process, claimed, exclusive=exclusive)
            if number == 2:
                await backend.deregister(process)
            else:
                await rescue(backend)
        (raw,) = await backend.queued("q")
        assert (unmark(raw), rescue_count(raw), late_crash_count(raw)) == (job(1), 1, 1)

    @promise("rescue", *_LATE)
    async def test_a_crash_attributed_to_another_job_is_not_a_late_one(self, backend: Backend) -> None:
        """Whatever its slot. After a second crash attributed to the same job, it may have been any of them."""
        await push(backend, *map(job, range(1, 4)))
        for number, late in enumerate((0, 1), 1):
            process = await registered(backend, number, slots=(1, 2, 3))
            claimed = await claim(backend, process, (1, 2, 3))
            for marked in claimed:
                assert await backend.mark_exclusive(process, marked)
            for unmarked in (claimed[0], claimed[2]):
                assert await backend.mark_exclusive(process, unmarked, exclusive=False)
            marks = {
                unmark(found.raw): (rescue_count(found.raw), late_crash_count(found.raw))
                for found in await rescue(backend)
            }
            assert marks == {job(1): (0, late), job(2): (number, 0), job(3): (0, late)}

    @promise("mark_exclusive", "With *exclusive* false, remove the mark, since other jobs run beside it from now on.")
    async def test_the_mark_is_taken_back(self, backend: Backend) -> None:
        """A job that shares its process is not counted. The claim stays the same, and can be marked again."""
        process, other = await registered(backend, 1, slots=(1, 2, 3, 4)), await registered(backend, 2)
        await push(backend, *map(job, range(1, 8)))
        back, again, never, neighbour = await claim(backend, process, (1, 2, 3, 4))
        for marked in (back, again, neighbour):
            assert await backend.mark_exclusive(process, marked)
        for unmarked in (back, again, never, back):
            assert await backend.mark_exclusive(process, unmarked, exclusive=False)
        assert await backend.mark_exclusive(process, again)
        assert set((await backend.claims(process)).claims) == {back, again, never, neighbour}
        counts = {unmark(found.raw): (rescue_count(found.raw), found.running) for found in await rescue(backend, other)}
        assert counts == {
            back.raw: (0, False),
            again.raw: (1, True),
            never.raw: (0, False),
            neighbour.raw: (1, True),
        }

    @pytest.mark.parametrize("renewal", ["heartbeat", "register"])
    @promise("rescue", "A process that renewed its lease is never changed.", *_ATOMIC)
    async def test_a_process_that_renewed_its_lease_is_not_touched(self, backend: Backend, renewal: str) -> None:
        """By a heartbeat or a registration, even in the same instant. Nor is a deregistered or a new process."""
        process, left = await registered(backend, 1), await registered(backend, 2)
        await push(backend, job(1), job(2))
        claimed = await claim_one(backend, process)
        seen = await leases_except(backend)
        assert [lease.process for lease in seen] == [process.name, left.name]
        if renewal == "heartbeat":
            await send_heartbeat(backend, process)
        else:
            await backend.register(process, (1,), LEASE)
        await backend.deregister(left)
        fresh = await registered(backend, 3)
        theirs = await claim_one(backend, fresh)
        assert list(await backend.rescue(seen, 10)) == []
        assert list((await backend.claims(process)).claims) == [claimed]
        assert list((await backend.claims(fresh)).claims) == [theirs]
        assert (await backend.settle_and_claim(process, (), (), ())).registered

    @promise("rescue", *_ATOMIC)
    async def test_a_process_that_renews_its_lease_during_a_rescue_keeps_the_rest(self, backend: Backend) -> None:
        """What was taken is gone, and its heartbeat finds that it was declared dead. It keeps the rest."""
        process = await registered(backend, slots=(1, 2))
        await push(backend, job(1), job(2))
        first, second = await claim(backend, process, (1, 2))
        seen = await leases_except(backend)
        assert len(await backend.rescue(seen, 1)) == 1
        assert not (await send_heartbeat(backend, process)).alive
        assert list(await backend.rescue(seen, 10)) == []
        assert list((await backend.claims(process)).claims) == [first]
        assert unmark((await backend.queued("q"))[0]) == second.raw

    @promise("rescue", _DECLARED)
    @pytest.mark.parametrize("renewal", ["heartbeat", "register"])
    @promise("settle_and_claim", "A process is live while it has a lease and was not declared dead.")
    async def test_a_process_is_declared_dead_with_its_first_job(self, backend: Backend, renewal: str) -> None:
        """It may not claim, and has no share. Once it renews its lease, it has both again."""
        process, other = await registered(backend, 1, slots=(1, 2, 3)), await registered(backend, 2, slots=(1, 2))
        await push(backend, job(1), job(2))
        assert len(await claim(backend, process, (1,))) == len(await claim(backend, process, (2,))) == 1
        assert len(await rescue(backend, other, limit=1)) == 1
        await push(backend, job(3))
        answer = await backend.settle_and_claim(process, (), (3,), ("q",))
        assert (answer.registered, list(answer.claims)) == (False, [])
        assert len(await claim(backend, other, (1, 2))) == 2
        await push(backend, job(4), job(5))
        if renewal == "heartbeat":
            await send_heartbeat(backend, process)
        else:
            await backend.register(process, (3,), LEASE)
        assert len(await claim(backend, process, (2, 3))) == 1

    @promise("rescue", *_ATOMIC)
    async def test_each_job_is_taken_by_one_rescuer(self, backend: Backend, views: Views) -> None:
        """Whatever the number of rescuers."""
        process = await registered(backend, 1, slots=range(1, 21))
        await push(backend, *map(job, range(20)))
        await claim(backend, process, range(1, 21))
        other = await registered(backend, 2)
        view = await views()
        dead = await leases_except(backend, other)
        rescued = list(await asyncio.gather(*(rescuer.rescue(dead, 7) for rescuer in [backend, view] * 5)))
        rescued.append(await backend.rescue(dead, 100))
        taken = [unmark(found.raw) for batch in rescued for found in batch]
        assert sorted(taken) == sorted(map(job, range(20)))
        assert sorted(unmark(raw) for raw in await backend.queued("q")) == sorted(map(job, range(20)))

    @promise("rescue", "A dead process without jobs is deregistered.")
    async def test_a_dead_process_is_deregistered(self, backend: Backend) -> None:
        """Once it holds no job. Its lease is shown until then, so any process can continue the rescue."""
        await registered(backend, 1)
        process, other = await registered(backend, 2, slots=(1, 2)), await registered(backend, 3)
        await push(backend, *map(job, range(6)))
        assert len(await claim(backend, process, (1, 2))) == 2
        assert len(await rescue(backend, other, limit=1)) == 1
        assert process.name in {lease.process for lease in await leases_except(backend, other)}
        assert len(await rescue(backend, other)) == 1
        assert await rescue(backend, other) == []
        assert await leases_except(backend, other) == []
        assert [entry.id for entry in await backend.workers()] == [other.worker_id(1)]
        assert not (await backend.settle_and_claim(process, (), (), ())).registered
