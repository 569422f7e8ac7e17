"""Jobs that failed and are retried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from taskhero.backends.protocol import Retried, Settlement, Succeeded
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import LEASE, claim, claim_one, due, job, moves_of, push, registered, settle
from taskhero.conformance.suite import Suite
from taskhero.wire.jobs import mark_rescued

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend, Process
    from taskhero.clock import ManualClock

__all__ = ["Retrying"]

#: Seconds after the wait for which a counter and its last error stay.
_ALMOST_A_DAY = 86_400 - 10


class Retrying(Suite):
    """The disposition `Retried`."""

    async def _fail(self, backend: Backend, process: Process, disposition: Retried) -> int | None:
        """Claim the next job and let it fail. Return the number of the attempt if it is retried."""
        claimed = await claim_one(backend, process)
        answer = await settle(backend, process, claimed, disposition)
        assert list(answer.gone) == []
        if not answer.attempts:
            return None
        ((retried, attempt),) = answer.attempts
        assert retried == claimed
        return attempt

    async def _promote(self, backend: Backend, clock: ManualClock) -> float:
        """Advance the clock to the next attempt, and promote it. Return the wait in seconds."""
        at = (await backend.due(1)).next_at
        assert at is not None
        waited = at - clock.now()
        clock.advance(waited)
        await backend.promote(moves_of(await due(backend)))
        return waited

    @promise("Retried", "The job failed and is delayed again until it has run *limit* times.")
    @promise("Retried", "After the last attempt it is in the failed list.")
    @promise("Retried", "Each attempt counts as failed.")
    @needs("clock")
    async def test_a_job_is_tried_up_to_its_limit(self, backend: Backend, clock: ManualClock) -> None:
        """Each attempt after its own delay. Only the last one is listed as failed."""
        process = await registered(backend)
        await push(backend, job(1))
        delays = (5.0, 7.0, 11.0)
        for attempt, delay in enumerate(delays, 1):
            disposition = Retried(f"failure {attempt}", "retry:a", 4, delays)
            assert await self._fail(backend, process, disposition) == attempt
            assert (await backend.failed(), await backend.length("q")) == ([], 0)
            assert (await backend.stats())["failed"] == attempt
            assert await self._promote(backend, clock) == delay
            assert await backend.queued("q") == [job(1)]
        assert await self._fail(backend, process, Retried("failure 4", "retry:a", 4, delays)) is None
        assert await backend.failed() == ["failure 4"]
        assert await backend.stats() == {"failed": 4, f"failed:{process.worker(1)}": 4}
        assert (await backend.due(1)).next_at is None

    @promise("Retried", "The delayed payload is no longer marked as rescued.")
    @needs("clock")
    async def test_the_next_attempt_is_not_marked_as_rescued(self, backend: Backend, clock: ManualClock) -> None:
        """The job itself failed. Text that only resembles a mark stays."""
        process = await registered(backend)
        raw = job(1)
        alike = raw[:-1] + ',"taskhero:late":1}'
        payloads = {mark_rescued(raw, running=True): raw, mark_rescued(raw, running=True, late=True): raw, alike: alike}
        for payload, bare in payloads.items():
            await push(backend, payload)
            assert await self._fail(backend, process, Retried("failure", "retry:a", 10, (5.0,))) is not None
            await self._promote(backend, clock)
            assert await backend.queued("q") == [bare]
            await backend.delete_queue("q")

    @promise("Retried", "If *raw* is given, the backend delays that payload.")
    @needs("clock")
    async def test_another_payload_is_retried_if_one_is_given(self, backend: Backend, clock: ManualClock) -> None:
        """It names the queue, and the claimed payload does not, whether it was rescued or not."""
        process = await registered(backend)
        bare, named = '{"class":"task","args":[1.0]}', '{"class":"task","queue":"q","args":[1.0]}'
        for payload in (bare, mark_rescued(bare, running=True)):
            await push(backend, payload)
            disposition = Retried("failure", "retry:a", 9, (5.0,), last_error=("error:a", "no"), raw=named)
            assert await self._fail(backend, process, disposition) is not None
            await self._promote(backend, clock)
            assert await backend.queued("q") == [named]
            await backend.delete_queue("q")

    @promise("Retried", "The job failed and is delayed again until it has run *limit* times.")
    @promise("Retried", "After the last attempt it is in the failed list.")
    @needs("clock")
    async def test_the_last_delay_holds_for_all_that_follow(self, backend: Backend, clock: ManualClock) -> None:
        """A single delay holds for all."""
        process = await registered(backend)
        await push(backend, job(1))
        waited = []
        for _ in range(4):
            await self._fail(backend, process, Retried("failure", "retry:a", 10, (2.0, 3.0)))
            waited.append(await self._promote(backend, clock))
        assert waited == [2.0, 3.0, 3.0, 3.0]

    @promise("Retried", "The job failed and is delayed again until it has run *limit* times.")
    @promise("Retried", "After the last attempt it is in the failed list.")
    @needs("clock")
    async def test_a_delay_is_rounded_up(self, backend: Backend, clock: ManualClock) -> None:
        """To a whole second, as for `PostponedByPlugin`, so it is never early."""
        process = await registered(backend)
        await push(backend, job(1))
        clock.advance(0.5)
        start = int(clock.now())
        await self._fail(backend, process, Retried("failure", "retry:a", 3, (1.2,)))
        assert (await backend.due(1)).next_at == start + 2

    @promise("Retried", "The job failed and is delayed again until it has run *limit* times.")
    @promise("Retried", "After the last attempt it is in the failed list.")
    async def test_a_limit_of_one_allows_no_retry(self, backend: Backend) -> None:
        """The first failure is the last."""
        process = await registered(backend)
        await push(backend, job(1))
        assert await self._fail(backend, process, Retried("failure", "retry:a", 1, (5.0,))) is None
        assert await backend.failed() == ["failure"]
        assert (await backend.due(1)).next_at is None

    @promise("Retried", "The job failed and is delayed again until it has run *limit* times.")
    @promise("Retried", "After the last attempt it is in the failed list.")
    @needs("clock")
    async def test_the_counter_is_deleted_with_the_last_attempt(self, backend: Backend, clock: ManualClock) -> None:
        """A later equal job starts from one."""
        process = await registered(backend)
        disposition = Retried("failure", "retry:a", 2, (1.0,))
        for _ in range(2):
            await push(backend, job(1))
            assert await self._fail(backend, process, disposition) == 1
            await self._promote(backend, clock)
            assert await self._fail(backend, process, disposition) is None
        assert await backend.failed_count() == 2

    @promise("Retried", "The job failed and is delayed again until it has run *limit* times.")
    @promise("Retried", "After the last attempt it is in the failed list.")
    async def test_jobs_with_one_counter_share_it(self, backend: Backend) -> None:
        """Even in one step. Other counters are independent."""
        process = await registered(backend, slots=(1, 2, 3))
        await push(backend, job(1), job(2), job(3))
        claims = await claim(backend, process, (1, 2, 3))
        counters = ("retry:a", "retry:b", "retry:a")
        answer = await backend.settle_and_claim(
            process,
            [
                Settlement(claimed, Retried("failure", counter, 5, (60.0,)))
                for claimed, counter in zip(claims, counters, strict=True)
            ],
            (),
            (),
        )
        assert set(answer.attempts) == set(zip(claims, (1, 1, 2), strict=True))

    # counters and last errors

    @promise("Retried", "Counter and last error outlive the delay by one day, and are deleted with the last attempt.")
    @needs("clock")
    async def test_the_counter_outlives_the_wait(self, backend: Backend, clock: ManualClock) -> None:
        """Counted from the last failure, so a job that is queued for long still reaches its limit."""
        process = await registered(backend)
        await push(backend, job(1))
        for attempt in (1, 2, 3):
            assert await self._fail(backend, process, Retried("no", "retry:a", 9, (100_000.0,))) == attempt
            await self._promote(backend, clock)
            clock.advance(_ALMOST_A_DAY)
            await backend.register(process, (1,), LEASE)

    @promise("Retried", "Counter and last error outlive the delay by one day, and are deleted with the last attempt.")
    @needs("clock", "last_errors")
    async def test_the_last_error_lives_as_long_as_the_counter(self, backend: Backend, clock: ManualClock) -> None:
        """It is the last error that was followed by another attempt."""
        process = await registered(backend)
        assert await self.last_error_of(backend, "error:a") is None
        for _ in range(2):
            await push(backend, job(1))
            for error in ("first", "", '{"é": "\\u0000 \\n"}'):
                disposition = Retried("no", "retry:a", 4, (100_000.0,), last_error=("error:a", error))
                assert await self._fail(backend, process, disposition) is not None
                await self._promote(backend, clock)
                clock.advance(_ALMOST_A_DAY)
                assert await self.last_error_of(backend, "error:a") == error
                await backend.register(process, (1,), LEASE)
            disposition = Retried("no", "retry:a", 4, (100_000.0,), last_error=("error:a", "last"))
            assert await self._fail(backend, process, disposition) is None
            assert await self.last_error_of(backend, "error:a") is None
        assert await backend.failed() == ["no", "no"]

    @promise("Retried", "Counter and last error outlive the delay by one day, and are deleted with the last attempt.")
    @promise("settle_and_claim", "It deletes the counters of `Settlement.forget`, but not if the claim is `gone`.")
    @needs("last_errors")
    async def test_a_last_error_is_forgotten_with_its_counter(self, backend: Backend) -> None:
        """By a job that succeeds. A claim that is gone forgets nothing, and writes nothing."""
        process = await registered(backend)
        await push(backend, job(1), job(2))
        first = await claim_one(backend, process)
        failed = Retried("no", "retry:a", 9, (100.0,), last_error=("error:a", "first"))
        await settle(backend, process, first, failed)
        late = attrs.evolve(failed, last_error=("error:a", "late"))
        again = [Settlement(first, disposition, forget=("retry:a", "error:a")) for disposition in (late, Succeeded())]
        assert list((await backend.settle_and_claim(process, again, (), ())).gone) == [first, first]
        assert await self.last_error_of(backend, "error:a") == "first"
        second = await claim_one(backend, process)
        await backend.settle_and_claim(
            process, [Settlement(second, Succeeded(), forget=("retry:a", "error:a"))], (), ()
        )
        assert await self.last_error_of(backend, "error:a") is None
