"""Recording how jobs ended."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs
import pytest

from taskhero.backends.protocol import (
    DueJob,
    Entry,
    Failed,
    NotDelayed,
    PostponedByPlugin,
    PromotionTarget,
    RefusedByPlugin,
    Released,
    Retried,
    Settlement,
    Succeeded,
)
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import claim, claim_one, due, job, now_of, push, registered, rescue, settle
from taskhero.conformance.suite import Suite

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend, Disposition
    from taskhero.clock import ManualClock
    from taskhero.conformance.suite import Views

__all__ = ["Settling"]

_ONCE = (
    "A settlement counts once.",
    "If the slot no longer holds the claim's token, nothing changes and the claim is `gone`.",
)

DISPOSITIONS: dict[str, Disposition] = {
    "succeeded": Succeeded(),
    "refused": RefusedByPlugin(),
    "failed": Failed("failure"),
    "released": Released(),
    "postponed": PostponedByPlugin(1000),
    "retried": Retried("failure", "retry:a", 3, (1000,)),
}
_each_disposition = pytest.mark.parametrize("disposition", DISPOSITIONS.values(), ids=DISPOSITIONS.keys())


async def _picture(backend: Backend) -> object:
    """Return everything that a settlement could change, as far as the verbs show it."""
    return (
        await backend.stats(),
        await backend.failed(),
        {queue: await backend.queued(queue) for queue in await backend.queues()},
        (await backend.due(1)).next_at,
    )


class Settling(Suite):
    """The settling half of `Backend.settle_and_claim`."""

    @promise("Succeeded", "The job succeeded and counts as processed.")
    async def test_a_job_that_succeeded_is_counted(self, backend: Backend) -> None:
        """In the total and for its worker. It is in no place any more."""
        process = await registered(backend, slots=(1, 2))
        await push(backend, job(1), job(2), job(3))
        for slot in (1, 2, 1):
            answer = await settle(backend, process, await claim_one(backend, process, slot), Succeeded())
            assert (list(answer.gone), list(answer.unsettled)) == ([], [])
        assert await backend.stats() == {
            "processed": 3,
            f"processed:{process.worker(1)}": 2,
            f"processed:{process.worker(2)}": 1,
        }
        assert list((await backend.claims(process)).claims) == []
        assert (await backend.failed_count(), await backend.length("q")) == (0, 0)

    @promise("RefusedByPlugin", "A plugin refused the job before it ran: the job is removed and nothing is counted.")
    async def test_a_refused_job_is_gone(self, backend: Backend) -> None:
        """From every place."""
        process = await registered(backend)
        await push(backend, job(1))
        await settle(backend, process, await claim_one(backend, process), RefusedByPlugin())
        assert await _picture(backend) == ({}, [], {"q": []}, None)
        assert list((await backend.claims(process)).claims) == []

    @promise("Failed", "The job failed: *entry* is appended to the failed list, and the job counts as failed.")
    async def test_a_failed_job_is_listed_and_counted(self, backend: Backend) -> None:
        """At the end of the failed list, in the total and for its worker."""
        process = await registered(backend)
        await push(backend, job(1), job(2))
        for entry in ("first", "second"):
            await settle(backend, process, await claim_one(backend, process), Failed(entry))
        assert await backend.failed() == ["first", "second"]
        assert await backend.stats() == {"failed": 2, f"failed:{process.worker(1)}": 2}
        assert list((await backend.claims(process)).claims) == []

    @promise("Released", "The job returns to the front of its queue, as *raw* if that is given.", "Nothing is counted.")
    async def test_a_job_is_released_to_the_front(self, backend: Backend) -> None:
        """With its own payload, or with another one."""
        process = await registered(backend)
        await push(backend, job(1), job(2))
        await settle(backend, process, await claim_one(backend, process), Released())
        assert await backend.queued("q") == [job(1), job(2)]
        await settle(backend, process, await claim_one(backend, process), Released(job("other")))
        assert await backend.queued("q") == [job("other"), job(2)]
        assert await backend.stats() == {}
        assert list((await backend.claims(process)).claims) == []

    @promise("Released", "The job returns to the front of its queue, as *raw* if that is given.")
    async def test_a_job_is_released_to_a_queue_that_was_deleted(self, backend: Backend) -> None:
        """The queue is then known again."""
        process = await registered(backend)
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        await backend.delete_queue("q")
        await settle(backend, process, claimed, Released())
        assert (await backend.queues(), await backend.queued("q")) == (["q"], [job(1)])

    @promise("PostponedByPlugin", "The job is delayed by *delay* seconds, counted from now and rounded up.")
    @promise("PostponedByPlugin", "Nothing is counted.")
    @pytest.mark.parametrize("delay", [5, 0.3, 0.75, 1.2, 86400])
    @needs("clock")
    async def test_a_job_is_postponed(self, backend: Backend, clock: ManualClock, delay: float) -> None:
        """To the first whole second that is not before its time."""
        clock.advance(0.25)
        process = await registered(backend)
        await push(backend, job(1))
        await settle(backend, process, await claim_one(backend, process), PostponedByPlugin(delay))
        at = math.ceil(clock.now() + delay)
        assert (await backend.due(1)).next_at == at
        clock.advance(at - clock.now() - 0.01)
        assert await due(backend) == []
        clock.advance(0.01)
        assert await due(backend) == [DueJob(at, job(1))]
        assert await backend.stats() == {}

    @promise("PostponedByPlugin", "The backend delays the claimed payload, or *raw* if that is given.")
    @needs("clock")
    async def test_another_payload_is_delayed_if_one_is_given(self, backend: Backend, clock: ManualClock) -> None:
        """It names the queue, and the claimed payload, which is not delayed too, does not."""
        process = await registered(backend, slots=(1, 2))
        await push(backend, '{"class":"task","args":[1.0]}', job(2))
        first, second = await claim(backend, process, (1, 2))
        named = '{"class":"task","queue":"q","args":[1.0]}'
        await backend.settle_and_claim(
            process, [Settlement(first, PostponedByPlugin(5, named)), Settlement(second, PostponedByPlugin(5))], (), ()
        )
        clock.advance(6)
        assert [found.raw for found in await due(backend)] == [named, job(2)]

    @promise("NotDelayed", "A payload that a settlement delayed under the same *meaning* counts as one of them while")
    @needs("clock")
    @pytest.mark.parametrize(
        "disposition",
        [PostponedByPlugin(5, job(2), "m"), Retried("no", "retry:a", 9, (5.0,), ("error:a", "no"), job(2), "m")],
        ids=["postponed", "retried"],
    )
    async def test_a_payload_is_found_by_its_meaning_while_it_is_delayed(
        self, backend: Backend, clock: ManualClock, disposition: PostponedByPlugin | Retried
    ) -> None:
        """Whatever payloads the guard lists. Another meaning, or none, does not find it."""
        process = await registered(backend)
        await push(backend, job(1))
        await settle(backend, process, await claim_one(backend, process), disposition)
        equal = Entry("other", job(3), guards=(NotDelayed((job(3),), "m"),))
        others = [Entry("other", job(4), guards=(NotDelayed((job(4),), meaning),)) for meaning in ("n", None)]
        assert list(await backend.push([equal, *others])) == [False, True, True]
        clock.advance(6)
        (moving,) = await due(backend)
        # A job does not block its own promotion.
        assert list(await backend.promote([PromotionTarget(moving, "q", guards=equal.guards)])) == ["queued"]
        assert list(await backend.push([equal])) == [True]
        await backend.delete_queue("q")
        await push(backend, job(1))
        again = attrs.evolve(disposition, raw=None)
        await settle(backend, process, await claim_one(backend, process), again)
        assert list(await backend.push([equal])) == [False]

    @promise("PostponedByPlugin", "The job is delayed by *delay* seconds, counted from now and rounded up.")
    @needs("clock")
    async def test_equal_jobs_that_are_delayed_are_all_kept(self, backend: Backend, clock: ManualClock) -> None:
        """To one second, in one step: none replaces another."""
        process = await registered(backend, slots=(1, 2, 3))
        await push(backend, *[job(1)] * 3)
        claims = await claim(backend, process, (1, 2, 3))
        await backend.settle_and_claim(
            process, [Settlement(claimed, PostponedByPlugin(5)) for claimed in claims], (), ()
        )
        clock.advance(6)
        assert [found.raw for found in await due(backend)] == [job(1)] * 3

    # once

    @_each_disposition
    @promise("settle_and_claim", *_ONCE)
    async def test_a_settlement_counts_once(self, backend: Backend, disposition: Disposition) -> None:
        """Repeated, as after a lost reply, it changes nothing and the claim is gone."""
        process = await registered(backend)
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        assert list((await settle(backend, process, claimed, disposition)).gone) == []
        before = await _picture(backend)
        for other in (disposition, Succeeded(), Failed("no")):
            answer = await settle(backend, process, claimed, other)
            assert list(answer.gone) == [claimed]
            assert (list(answer.unsettled), list(answer.attempts)) == ([], [])
        assert await _picture(backend) == before

    @promise("settle_and_claim", *_ONCE)
    async def test_it_counts_once_in_one_call_too(self, backend: Backend) -> None:
        """Of two settlements of one claim, the first counts."""
        process = await registered(backend)
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        both = [Settlement(claimed, Succeeded()), Settlement(claimed, Failed("no"))]
        answer = await backend.settle_and_claim(process, both, (), ())
        assert list(answer.gone) == [claimed]
        assert await backend.stats() == {"processed": 1, f"processed:{process.worker(1)}": 1}

    @promise("settle_and_claim", *_ONCE)
    async def test_an_old_claim_does_not_settle_the_slots_next_job(self, backend: Backend) -> None:
        """Even if it has the same slot and the same payload."""
        process = await registered(backend)
        await push(backend, job(1), job(1))
        old = await claim_one(backend, process)
        await settle(backend, process, old)
        new = await claim_one(backend, process)
        assert list((await settle(backend, process, old, Failed("no"))).gone) == [old]
        assert list((await backend.claims(process)).claims) == [new]
        assert await backend.failed_count() == 0

    @promise("settle_and_claim", *_ONCE)
    async def test_another_process_cannot_settle_it(self, backend: Backend, views: Views) -> None:
        """The number of the slot is not enough, and neither is a forged token."""
        process, other = await registered(backend, 1), await registered(backend, 2)
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        forged = attrs.evolve(claimed, token=claimed.token + "0")
        assert list((await settle(await views(), other, claimed)).gone) == [claimed]
        assert list((await settle(backend, process, forged)).gone) == [forged]
        assert list((await backend.claims(process)).claims) == [claimed]
        assert await backend.stats() == {}

    @promise("settle_and_claim", *_ONCE)
    async def test_what_was_released_is_gone(self, backend: Backend) -> None:
        """By deregistering its worker, or its process."""
        process = await registered(backend, slots=(1, 2))
        await push(backend, job(1), job(2))
        first, second = await claim(backend, process, (1, 2))
        await backend.deregister_slots(process, (first.slot,))
        await backend.deregister(process)
        answer = await backend.settle_and_claim(
            process, [Settlement(first, Succeeded()), Settlement(second, Succeeded())], (), ()
        )
        assert set(answer.gone) == {first, second}
        assert sorted(await backend.queued("q")) == [job(1), job(2)]
        assert "processed" not in await backend.stats()

    @promise("settle_and_claim", *_ONCE)
    async def test_what_was_rescued_is_gone(self, backend: Backend) -> None:
        """Another process may run it, so this settlement does not count."""
        process, other = await registered(backend, 1), await registered(backend, 2)
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        await rescue(backend, other)
        assert list((await settle(backend, process, claimed)).gone) == [claimed]
        assert (await backend.stats(), await backend.length("q")) == ({}, 1)

    @promise("settle_and_claim", "Record how jobs ended, in the order given, and claim the next jobs for the free")
    @promise("settle_and_claim", "If a settlement cannot be recorded, the claim stays as it was and `unsettled` lists")
    @promise("settle_and_claim", "All other settlements are recorded.")
    async def test_a_batch_of_all_dispositions(self, backend: Backend) -> None:
        """Each is recorded as if it were the only one. A claim that is gone affects no other."""
        slots = range(1, len(DISPOSITIONS) + 2)
        process = await registered(backend, slots=slots)
        await push(backend, *map(job, slots))
        lost, *claims = await claim(backend, process, slots)
        await settle(backend, process, lost, RefusedByPlugin())
        settled = [
            Settlement(claimed, disposition) for claimed, disposition in zip(claims, DISPOSITIONS.values(), strict=True)
        ]
        answer = await backend.settle_and_claim(process, [Settlement(lost, Succeeded()), *settled], (), ())
        assert list(answer.gone) == [lost]
        assert list(answer.attempts) == [(claims[-1], 1)]
        stats = await backend.stats()
        assert (stats["processed"], stats["failed"]) == (1, 2)
        assert await backend.failed() == ["failure"]
        assert await backend.queued("q") == [claims[3].raw]
        assert (await backend.due(1)).next_at is not None
        assert list((await backend.claims(process)).claims) == []

    @promise("settle_and_claim", "Record how jobs ended, in the order given, and claim the next jobs for the free")
    @needs("clock")
    async def test_settlements_are_recorded_in_the_order_given(self, backend: Backend, clock: ManualClock) -> None:
        """Failed and delayed jobs in that order. Of released jobs, the last one is claimed first."""
        process = await registered(backend, slots=range(1, 7))
        await push(backend, *map(job, range(6)))
        first, second, third, fourth, fifth, sixth = await claim(backend, process, range(1, 7))
        settled = [
            Settlement(sixth, Failed("sixth")),
            Settlement(fourth, PostponedByPlugin(5)),
            Settlement(first, Released()),
            Settlement(third, PostponedByPlugin(5)),
            Settlement(second, Released()),
            Settlement(fifth, Failed("fifth")),
        ]
        await backend.settle_and_claim(process, settled, (), ())
        assert await backend.failed() == ["sixth", "fifth"]
        assert await backend.queued("q") == [job(1), job(0)]
        clock.advance(6)
        assert [found.raw for found in await due(backend)] == [job(3), job(2)]

    @promise("settle_and_claim", "One step stores the job at its destination (failed list, delayed set or queue) and")
    async def test_a_postponed_job_wakes_no_process_too_early(self, backend: Backend) -> None:
        """It is not in its queue, and its due time is the earliest one known."""
        process = await registered(backend)
        await push(backend, job(1))
        now = await now_of(backend)
        await settle(backend, process, await claim_one(backend, process), PostponedByPlugin(100))
        assert await backend.length("q") == 0
        at = (await backend.due(1)).next_at
        assert at is not None
        assert now + 100 <= at <= now + 110
