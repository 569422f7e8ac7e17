"""Claiming jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.protocol import Settlement, Subscription, Succeeded
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import (
    claim,
    claim_one,
    job,
    make_process,
    payloads_of,
    push,
    registered,
    rescue,
    send_heartbeat,
    settle,
    start_wait,
    within,
)
from taskhero.conformance.suite import Suite
from taskhero.wire.jobs import unmark

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.conformance.suite import Views

__all__ = ["Claiming"]


class Claiming(Suite):
    """The claiming half of `Backend.settle_and_claim`, and `Backend.claims`."""

    @promise("settle_and_claim", "Jobs are claimed queue by queue in the order given, each queue from its front.")
    @promise("settle_and_claim", "A later queue is used only if the earlier ones hold no more jobs or cannot be read.")
    @promise("all", "A queue is first in, first out.")
    async def test_jobs_are_claimed_from_the_front(self, backend: Backend) -> None:
        """One for each free slot, in the order of the queue."""
        process = await registered(backend, slots=(1, 2, 3))
        await push(backend, *map(job, range(5)))
        claims = await claim(backend, process, (2, 3))
        assert payloads_of(claims) == [job(0), job(1)]
        assert sorted(claimed.slot for claimed in claims) == [2, 3]
        assert {claimed.queue for claimed in claims} == {"q"}
        assert await backend.queued("q") == [job(2), job(3), job(4)]

    @promise("settle_and_claim", "Jobs are claimed queue by queue in the order given, each queue from its front.")
    @promise("settle_and_claim", "A later queue is used only if the earlier ones hold no more jobs or cannot be read.")
    async def test_queues_are_emptied_in_the_order_given(self, backend: Backend) -> None:
        """All of the first, then all of the second, whatever their names and ages."""
        process = await registered(backend, slots=(1, 2, 3), queues=("low", "high"))
        for queue in ("high", "low", "middle"):
            await push(backend, job(1, queue), job(2, queue), queue=queue)
        order = ("low", "high", "middle")
        claims = await claim(backend, process, (1, 2, 3), order)
        assert [claimed.queue for claimed in claims] == ["low", "low", "high"]
        for claimed in claims:
            await settle(backend, process, claimed)
        assert payloads_of(await claim(backend, process, (1, 2, 3), order)) == [
            job(2, "high"),
            job(1, "middle"),
            job(2, "middle"),
        ]

    @promise("settle_and_claim", "Jobs are claimed queue by queue in the order given, each queue from its front.")
    @promise("settle_and_claim", "A later queue is used only if the earlier ones hold no more jobs or cannot be read.")
    async def test_only_the_queues_given_are_claimed_from(self, backend: Backend) -> None:
        """Other queues may hold jobs. An unknown queue is not a problem."""
        process = await registered(backend)
        await push(backend, job(1), queue="other")
        answer = await backend.settle_and_claim(process, (), (1,), ("unknown", "q"))
        assert (list(answer.claims), dict(answer.problems), answer.jobs_left) == ([], {}, False)
        assert await backend.queues() == ["other"]

    @promise("settle_and_claim", "A claimed job is stored under its worker's name, with a new token, from the instant")
    @promise("claims", "Return the claims that are stored for the workers of the process.")
    @promise("claims", "After a lost reply, they show what was really claimed.")
    async def test_a_claim_is_recorded_under_its_worker(self, backend: Backend) -> None:
        """With everything that the reply shows, in the order of claiming."""
        process = await registered(backend, slots=(1, 2, 3), queues=("q", "other"))
        await push(backend, job(1), job(2))
        await push(backend, job(3, "other"), queue="other")
        claims = await claim(backend, process, (3, 1), ("q", "other"))
        claims += await claim(backend, process, (2,), ("q", "other"))
        held = await backend.claims(process)
        assert list(held.claims) == claims
        assert dict(held.unreadable) == {}
        assert payloads_of(claims) == [job(1), job(2), job(3, "other")]

    @promise("claims", "Return the claims that are stored for the workers of the process.")
    @promise("claims", "After a lost reply, they show what was really claimed.")
    async def test_claims_of_others_are_not_shown(self, backend: Backend) -> None:
        """An unknown process has none."""
        process, other = await registered(backend, 1), await registered(backend, 2)
        await push(backend, job(1))
        await claim_one(backend, process)
        assert list((await backend.claims(other)).claims) == []
        assert list((await backend.claims(make_process(3))).claims) == []

    @promise("settle_and_claim", "A claimed job is stored under its worker's name, with a new token, from the instant")
    async def test_each_claim_has_a_new_token(self, backend: Backend, views: Views) -> None:
        """A slot never gets a token twice, not even for the same payload."""
        process = await registered(backend)
        other = await views()
        tokens = []
        for number in range(6):
            await push(backend, job(1))
            claimed = await claim_one(backend, process)
            tokens.append(claimed.token)
            await settle(other if number % 2 else backend, process, claimed)
        assert len(set(tokens)) == len(tokens)

    @promise("settle_and_claim", "A slot that still holds a job gets no other job.")
    async def test_a_busy_slot_gets_no_other_job(self, backend: Backend) -> None:
        """Even if the caller lists it as free, as after a lost reply. The free slots get jobs."""
        process = await registered(backend, slots=(1, 2))
        await push(backend, job(1), job(2), job(3))
        first = await claim_one(backend, process, 1)
        (second,) = await claim(backend, process, (1, 2))
        assert (second.slot, second.raw) == (2, job(2))
        assert list((await backend.claims(process)).claims) == [first, second]
        assert await claim(backend, process, (1, 2)) == []
        assert await backend.queued("q") == [job(3)]

    @promise("settle_and_claim", "A slot that still holds a job gets no other job.")
    async def test_a_slot_that_is_named_twice_gets_one_job(self, backend: Backend) -> None:
        """Like any other slot."""
        process = await registered(backend, slots=(1,))
        await push(backend, job(1), job(2))
        assert len(await claim(backend, process, (1, 1))) == 1
        assert await backend.queued("q") == [job(2)]

    @promise("settle_and_claim", "Record how jobs ended, in the order given, and claim the next jobs for the free")
    async def test_a_slot_is_free_once_its_job_is_settled(self, backend: Backend) -> None:
        """In the same step, and for several slots at once."""
        process = await registered(backend, slots=(1, 2))
        await push(backend, *map(job, range(4)))
        claims = await claim(backend, process, (1, 2))
        answer = await backend.settle_and_claim(
            process, [Settlement(held, Succeeded()) for held in claims], (1, 2), ("q",)
        )
        assert payloads_of(answer.claims) == [job(2), job(3)]
        assert list((await backend.claims(process)).claims) == list(answer.claims)

    @promise("settle_and_claim", "Record how jobs ended, in the order given, and claim the next jobs for the free")
    async def test_nothing_asked_changes_nothing(self, backend: Backend) -> None:
        """Without free slots nothing is claimed. An empty list of queues is not an error."""
        process = await registered(backend)
        await push(backend, job(1))
        assert list((await backend.settle_and_claim(process, (), (), ("q",))).claims) == []
        assert list((await backend.settle_and_claim(process, (), (1,), ())).claims) == []
        assert await backend.queued("q") == [job(1)]

    @promise("settle_and_claim", "Record how jobs ended, in the order given, and claim the next jobs for the free")
    async def test_the_reply_says_whether_jobs_remain(self, backend: Backend) -> None:
        """In any of the queues given, after the claim."""
        process = await registered(backend, slots=(1, 2, 3), queues=("q", "other"))
        await push(backend, job(1), job(2))
        assert (await backend.settle_and_claim(process, (), (1,), ("other", "q"))).jobs_left
        assert not (await backend.settle_and_claim(process, (), (2,), ("other", "q"))).jobs_left
        await push(backend, job(3), queue="third")
        assert not (await backend.settle_and_claim(process, (), (3,), ("other", "q"))).jobs_left

    @promise("settle_and_claim", "A batch is also bounded in bytes, but contains at least one job if there is one.")
    async def test_a_batch_is_bounded_in_bytes(self, backend: Backend) -> None:
        """A job beyond the bound stays in its place, and the next batch claims it."""
        bound = self.capabilities.batch_bytes
        process = await registered(backend, slots=range(1, 7))
        payloads = [f'{{"class":"{letter * (bound // 4 + 1)}"}}' for letter in "abcde"]
        await push(backend, *payloads)
        claims = await claim(backend, process, range(1, 6))
        assert 0 < sum(len(text.encode()) for text in payloads_of(claims)) <= bound
        assert payloads_of(claims) == payloads[: len(claims)]
        assert await backend.queued("q") == payloads[len(claims) :]

    @promise("settle_and_claim", "A batch is also bounded in bytes, but contains at least one job if there is one.")
    async def test_a_job_of_any_size_is_claimed(self, backend: Backend) -> None:
        """A job larger than a batch is a batch of its own."""
        process = await registered(backend, slots=(1, 2))
        large = f'{{"class":"{"a" * (self.capabilities.batch_bytes + 1)}"}}'
        await push(backend, large, job(1))
        assert payloads_of(await claim(backend, process, (1, 2)))[0] == large

    @promise("settle_and_claim", "If jobs remain, another waiting process wakes up.")
    async def test_another_process_is_woken_for_what_remains(self, backend: Backend) -> None:
        """So one wake-up for many jobs reaches several processes."""
        process, other = await registered(backend, 1), await registered(backend, 2)
        subscription = Subscription(queues=("q",))
        first = await start_wait(backend, other, subscription)
        await push(backend, job(1), job(2), job(3))
        assert (await within(first)).jobs
        second = await start_wait(backend, other, subscription)
        await claim_one(backend, process)
        assert (await within(second)).jobs

    # processes that may not claim

    @promise("settle_and_claim", "Nothing is claimed while ``pause-all-workers`` is set.")
    @needs("pausing")
    async def test_nothing_is_claimed_while_paused(self, backend: Backend) -> None:
        """Running jobs are settled all the same. Claims continue when the pause ends."""
        process = await registered(backend, slots=(1, 2))
        await push(backend, job(1), job(2))
        held = await claim_one(backend, process, 1)
        await self.set_paused(backend, paused=True)
        answer = await backend.settle_and_claim(process, [Settlement(held, Succeeded())], (1, 2), ("q",))
        assert (answer.paused, list(answer.claims), list(answer.gone)) == (True, [], [])
        assert (await backend.stats())["processed"] == 1
        assert await backend.queued("q") == [job(2)]
        await self.set_paused(backend, paused=False)
        answer = await backend.settle_and_claim(process, (), (1, 2), ("q",))
        assert (answer.paused, payloads_of(answer.claims)) == (False, [job(2)])

    @promise("settle_and_claim", "Nothing is claimed for a process that is not registered or was declared dead.")
    async def test_a_process_that_is_not_registered_claims_nothing(self, backend: Backend) -> None:
        """The reply says so."""
        await push(backend, job(1))
        answer = await backend.settle_and_claim(make_process(), (), (1,), ("q",))
        assert (answer.registered, list(answer.claims)) == (False, [])
        assert await backend.queued("q") == [job(1)]

    @promise("settle_and_claim", "Nothing is claimed for a process that is not registered or was declared dead.")
    @promise("settle_and_claim", "The settlements of such a process still count where it owns the claim.")
    async def test_a_dead_process_claims_nothing_but_settles_what_is_its_own(self, backend: Backend) -> None:
        """Unless another process took it. After a heartbeat it may claim again."""
        process = await registered(backend, slots=(1, 2))
        await push(backend, job(1), job(2))
        held, taken = await claim(backend, process, (1, 2))
        assert len(await rescue(backend, limit=1)) == 1
        settled = [Settlement(held, Succeeded()), Settlement(taken, Succeeded())]
        answer = await backend.settle_and_claim(process, settled, (1, 2), ("q",))
        assert (answer.registered, list(answer.claims), list(answer.gone)) == (False, [], [taken])
        assert (await backend.stats())["processed"] == 1
        await send_heartbeat(backend, process, (1, 2))
        assert unmark((await claim_one(backend, process)).raw) == job(2)
