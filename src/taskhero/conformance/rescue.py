"""Taking jobs from processes that died."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from taskhero.backends.protocol import Rescued
from taskhero.wire.jobs import late_deaths, rescues, unmark

from .promises import needs, promise
from .steps import LEASE, beat, claim, claim_one, job, make_process, push, raws, registered
from .suite import Suite

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend, Process
    from taskhero.clock import ManualClock

    from .suite import Views

__all__ = ["Rescue"]

_MARK = "The job's text is then marked as rescued (`taskhero.wire`), one more if it had been begun alone."
_LATE = (
    "If that was taken back, it has one late death more, unless another job that the process holds is begun alone and "
    "has no death counted yet: then that one is to blame."
)


class Rescue(Suite):
    """`Backend.begin` and `Backend.rescue`."""

    async def _outlive(self, backend: Backend, clock: ManualClock, *living: Process) -> None:
        """Let all leases end but those of the living."""
        clock.advance(LEASE + 1)
        for process in living:
            await beat(backend, process)

    async def _dead(self, backend: Backend, process: Process) -> int:
        return (await beat(backend, process)).dead

    # begin

    @promise(
        "begin", "Mark that the process now runs this job alone, so that its death counts; False if the claim is gone."
    )
    async def test_a_claim_is_begun(self, backend: Backend) -> None:
        """Once or again; it stays the same claim."""
        process = await registered(backend)
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        assert await backend.begin(process, claimed)
        assert await backend.begin(process, claimed)
        assert list((await backend.claims(process)).claims) == [claimed]

    @promise(
        "begin", "Mark that the process now runs this job alone, so that its death counts; False if the claim is gone."
    )
    async def test_a_claim_that_is_gone_is_not_begun(self, backend: Backend) -> None:
        """Though its slot may hold another one, which is left alone."""
        process = await registered(backend)
        await push(backend, job(1), job(2))
        old = await claim_one(backend, process)
        await backend.retire(process, (1,))
        assert not await backend.begin(process, old)
        await backend.register(process, (1,), LEASE)
        await claim_one(backend, process)
        assert not await backend.begin(process, old)
        assert not await backend.begin(process, old, alone=False)
        assert not await backend.begin(make_process(2), old)

    # rescue

    @promise(
        "rescue", "Take up to *limit* jobs from processes that outlived their lease, each to the front of its queue."
    )
    @promise("rescue", "Jobs of one queue keep the order in which they were claimed.")
    @needs("clock")
    async def test_jobs_of_a_dead_process_come_next(self, backend: Backend, clock: ManualClock) -> None:
        """In the order in which they were claimed, whatever slots held them; before all that waits."""
        process = await registered(backend, 1, slots=range(1, 5), queues=("q", "other"))
        await push(backend, *map(job, range(1, 6)))
        await push(backend, job("a"), job("b"), queue="other")
        await claim(backend, process, (4, 2))
        await claim(backend, process, (3,), ("other",))
        await claim(backend, process, (1,))
        other = await registered(backend, 2)
        await self._outlive(backend, clock, other)
        assert len(await backend.rescue(10)) == 4
        assert [unmark(raw) for raw in await backend.queued("q")] == [job(number) for number in range(1, 6)]
        assert [unmark(raw) for raw in await backend.queued("other")] == [job("a"), job("b")]
        assert list((await backend.claims(process)).claims) == []

    @promise("rescue", "Take up to *limit* jobs from processes that outlived their lease")
    @promise("rescue", "Jobs of one queue keep the order in which they were claimed.")
    @needs("clock")
    async def test_it_takes_no_more_than_the_limit(self, backend: Backend, clock: ManualClock) -> None:
        """The rest follows with the next calls, and all stand in order then."""
        process = await registered(backend, 1, slots=range(1, 6))
        other = await registered(backend, 2)
        await push(backend, *map(job, range(10)))
        assert len(await claim(backend, process, range(1, 6))) == 5
        await self._outlive(backend, clock, other)
        counts = [len(await backend.rescue(2)) for _ in range(4)]
        assert counts == [2, 2, 1, 0]
        assert [unmark(raw) for raw in await backend.queued("q")] == [job(number) for number in range(10)]

    @promise("rescue", "Take up to *limit* jobs from processes that outlived their lease")
    @needs("clock")
    async def test_it_tells_what_it_took(self, backend: Backend, clock: ManualClock) -> None:
        """The worker that held the job, its queue, its text as it stands there now, and whether it had been begun."""
        process = await registered(backend, 1, slots=(1, 2))
        other = await registered(backend, 2)
        await push(backend, *map(job, range(4)))
        begun, claimed = await claim(backend, process, (2, 1))
        await backend.begin(process, begun)
        await self._outlive(backend, clock, other)
        rescued = await backend.rescue(10)
        now = await backend.queued("q", 0, 1)
        assert set(rescued) == {
            Rescued(process.worker(begun.slot), "q", now[0], running=True),
            Rescued(process.worker(claimed.slot), "q", now[1], running=False),
        }

    @promise("rescue", _MARK)
    @needs("clock")
    async def test_a_mere_claim_is_marked_but_not_counted(self, backend: Backend, clock: ManualClock) -> None:
        """However often its process dies; it may have been its neighbours' fault."""
        for number in range(3):
            process, other = await registered(backend, 2 * number), await registered(backend, 2 * number + 1)
            if number == 0:
                await push(backend, job(1))
            await claim_one(backend, process)
            await self._outlive(backend, clock, other)
            await backend.rescue(10)
            await backend.deregister(other)
            (raw,) = await backend.queued("q")
            assert (rescues(raw), unmark(raw)) == (0, job(1))

    @promise("rescue", _MARK)
    @promise("begin", "Mark that the process now runs this job alone, so that its death counts")
    @needs("clock")
    async def test_a_job_that_was_begun_alone_is_counted(self, backend: Backend, clock: ManualClock) -> None:
        """One more each time; a mere claim in between changes nothing."""
        await push(backend, job(1))
        counts = []
        for number, alone in enumerate((True, True, False, True)):
            process, other = await registered(backend, 2 * number), await registered(backend, 2 * number + 1)
            claimed = await claim_one(backend, process)
            if alone:
                await backend.begin(process, claimed)
            await self._outlive(backend, clock, other)
            (rescued,) = await backend.rescue(10)
            assert rescued.running == alone
            await backend.deregister(other)
            counts.append(rescues(rescued.raw))
        assert counts == [1, 2, 2, 3]

    @promise("rescue", _MARK)
    @promise("begin", "Mark that the process now runs this job alone, so that its death counts")
    @needs("clock")
    async def test_the_mark_of_one_job_is_not_its_neighbours(self, backend: Backend, clock: ManualClock) -> None:
        """Nor the next one's in the same slot."""
        process = await registered(backend, 1, slots=(1, 2))
        await push(backend, job(1), job(2), job(3), job(4))
        begun, _ = await claim(backend, process, (1, 2))
        await backend.begin(process, begun)
        await backend.retire(process, (begun.slot,))
        await backend.register(process, (begun.slot,), LEASE)
        again = await claim_one(backend, process, begun.slot)
        assert again.raw == begun.raw
        other = await registered(backend, 2)
        await self._outlive(backend, clock, other)
        assert {rescues(rescued.raw) for rescued in await backend.rescue(10)} == {0}

    @promise("begin", "With *alone* false the mark is taken back")
    @promise("rescue", _LATE)
    @needs("clock")
    async def test_a_late_death_is_counted_as_such(self, backend: Backend, clock: ManualClock) -> None:
        """Of what was begun alone and has others beside it now; of what never was, it is not."""
        await push(backend, job(1), job(2))
        for number in (1, 2):
            process = await registered(backend, number, slots=(1, 2))
            late, mere = await claim(backend, process, (1, 2))
            assert await backend.begin(process, late)
            for taken_back in (late, mere, late):
                assert await backend.begin(process, taken_back, alone=False)
            await self._outlive(backend, clock)
            assert {one.running for one in await backend.rescue(10)} == {False}
            marks = [(unmark(raw), rescues(raw), late_deaths(raw)) for raw in await backend.queued("q")]
            assert marks == [(job(1), 0, number), (job(2), 0, 0)]

    @promise("begin", "With *alone* false the mark is taken back")
    @promise("rescue", _MARK, _LATE)
    @needs("clock")
    async def test_what_is_begun_again_is_not_late(self, backend: Backend, clock: ManualClock) -> None:
        """It is counted as begun alone, and keeps the late deaths that it has; giving back changes nothing."""
        await push(backend, job(1))
        for number, begun in enumerate(((True, False), (True, False, True), (True, False))):
            process = await registered(backend, number)
            claimed = await claim_one(backend, process)
            for alone in begun:
                assert await backend.begin(process, claimed, alone=alone)
            if number == 2:
                await backend.deregister(process)
            else:
                await self._outlive(backend, clock)
                await backend.rescue(10)
        (raw,) = await backend.queued("q")
        assert (unmark(raw), rescues(raw), late_deaths(raw)) == (job(1), 1, 1)

    @promise("rescue", _LATE)
    @needs("clock")
    async def test_a_death_with_somebody_to_blame_is_no_late_one(self, backend: Backend, clock: ManualClock) -> None:
        """Wherever that one stands; but if it is blamed again, it may have been any of them."""
        await push(backend, *map(job, range(1, 4)))
        for number, late in enumerate((0, 1), 1):
            process = await registered(backend, number, slots=(1, 2, 3))
            claimed = await claim(backend, process, (1, 2, 3))
            for begun in claimed:
                assert await backend.begin(process, begun)
            for taken_back in (claimed[0], claimed[2]):
                assert await backend.begin(process, taken_back, alone=False)
            await self._outlive(backend, clock)
            marks = {unmark(one.raw): (rescues(one.raw), late_deaths(one.raw)) for one in await backend.rescue(10)}
            assert marks == {job(1): (0, late), job(2): (number, 0), job(3): (0, late)}

    @promise("begin", "With *alone* false the mark is taken back")
    @needs("clock")
    async def test_the_mark_is_taken_back(self, backend: Backend, clock: ManualClock) -> None:
        """So a job beside which others run is not counted; it stays the same claim, and may be begun again."""
        process, other = await registered(backend, 1, slots=(1, 2, 3, 4)), await registered(backend, 2)
        await push(backend, *map(job, range(1, 8)))
        back, again, never, neighbour = await claim(backend, process, (1, 2, 3, 4))
        for begun in (back, again, neighbour):
            assert await backend.begin(process, begun)
        for taken_back in (back, again, never, back):
            assert await backend.begin(process, taken_back, alone=False)
        assert await backend.begin(process, again)
        assert set((await backend.claims(process)).claims) == {back, again, never, neighbour}
        await self._outlive(backend, clock, other)
        counts = {unmark(one.raw): (rescues(one.raw), one.running) for one in await backend.rescue(10)}
        assert counts == {
            back.raw: (0, False),
            again.raw: (1, True),
            never.raw: (0, False),
            neighbour.raw: (1, True),
        }

    @promise("rescue", "The living are never touched.")
    @needs("clock")
    async def test_the_living_are_not_touched(self, backend: Backend, clock: ManualClock) -> None:
        """Those whose lease was renewed, and those whose lease has a moment to go."""
        renewed, fresh = await registered(backend, 1), make_process(2)
        await push(backend, job(1), job(2))
        await claim_one(backend, renewed)
        clock.advance(LEASE - 1)
        await beat(backend, renewed)
        await backend.register(fresh, (1,), 10.0)
        await claim_one(backend, fresh)
        clock.advance(9.9)
        assert list(await backend.rescue(10)) == []
        assert raws((await backend.claims(renewed)).claims) == [job(1)]
        assert raws((await backend.claims(fresh)).claims) == [job(2)]

    @promise("rescue", "Each job is one atomic step: it is taken only if its process is still dead in that instant")
    @needs("clock")
    async def test_each_job_is_taken_by_one_rescuer(self, backend: Backend, clock: ManualClock, views: Views) -> None:
        """However many try at once."""
        process = await registered(backend, 1, slots=range(1, 21))
        await push(backend, *map(job, range(20)))
        await claim(backend, process, range(1, 21))
        other = await registered(backend, 2)
        await self._outlive(backend, clock, other)
        view = await views()
        rescued = await asyncio.gather(*(rescuer.rescue(7) for rescuer in [backend, view] * 5))
        rescued.append(await backend.rescue(100))
        taken = [unmark(one.raw) for some in rescued for one in some]
        assert sorted(taken) == sorted(map(job, range(20)))
        assert sorted(unmark(raw) for raw in await backend.queued("q")) == sorted(map(job, range(20)))

    @promise("rescue", "A dead process without jobs is taken from view.")
    @needs("clock")
    async def test_a_dead_process_goes_from_view(self, backend: Backend, clock: ManualClock) -> None:
        """Once it holds nothing; it is counted among the dead until then."""
        await registered(backend, 1)
        process, other = await registered(backend, 2, slots=(1, 2)), await registered(backend, 3)
        await push(backend, *map(job, range(6)))
        assert len(await claim(backend, process, (1, 2))) == 2
        await self._outlive(backend, clock, other)
        assert await self._dead(backend, other) == 2
        assert len(await backend.rescue(1)) == 1
        assert await self._dead(backend, other) >= 1
        assert len(await backend.rescue(10)) == 1
        assert list(await backend.rescue(10)) == []
        assert await self._dead(backend, other) == 0
        assert not (await backend.exchange(process, (), (), ())).registered

    @promise("rescue", "A worker of taskhero's whose process is unknown gets a lease before it is rescued.")
    @needs("clock", "lost_lease")
    async def test_a_process_that_is_unknown_gets_a_lease_first(self, backend: Backend, clock: ManualClock) -> None:
        """It may live and merely have lost its lease; if it does not renew it, it is rescued in the end."""
        process, other = await registered(backend, 1), await registered(backend, 2)
        await push(backend, job(1), job(2))
        await claim_one(backend, process)
        await self.forget_lease(backend, process)
        assert list(await backend.rescue(10)) == []
        assert await self._dead(backend, other) == 0
        await self._outlive(backend, clock, other)
        assert len(await backend.rescue(10)) == 1
        assert unmark((await backend.queued("q"))[0]) == job(1)
