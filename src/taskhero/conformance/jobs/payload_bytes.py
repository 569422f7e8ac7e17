"""A job is its payload, and every move keeps the payload's bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskhero.backends.protocol import Entry, Failed, PostponedByPlugin, Released, Removal, Retried
from taskhero.backends.records.inspection import FailedEntry, FailedRetry, RetryResult
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import (
    claim,
    claim_one,
    due,
    job,
    moves_of,
    now_of,
    payloads_of,
    push,
    registered,
    rescue,
    schedule,
    settle,
)
from taskhero.conformance.suite import Suite
from taskhero.wire.jobs import unmark

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.clock import ManualClock

__all__ = ["PayloadBytes"]

PAYLOADS = {
    "job": job(1),
    "empty": "",
    "not-json": "{not json",
    "not-utf8": '{"class":"\udcff\udc80","args":[]}',
    "control": '{"class":"a\x00b\r\n\t","args":[]}',
    "unicode": '{"class":"é😀日本語\u2028","args":["<&>"]}',
    "spaces": '  { "class" : "a" , "args" : [ ] }  ',
    "ruby": '{"class":"a","args":[7.0,-0.0,1.0e+22,{"b":1,"a":2,"10":3,"2":4},"\\u00e9\\/"]}',
    "another-queue": '{"queue":"other","queue":null,"class":"a","args":null,"meta":{"x":1.0}}',
    "large-numbers": '{"class":"a","args":[12345678901234567890,1e400,1.0,-0]}',
    "like-a-claim": '{"token":"1","queue":"q","worker":"w","payload":{"class":"a"}}',
    "quotes": '\'"\\"%d%s{}$1',
    "number": "5",
}

_each_payload = pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())


class PayloadBytes(Suite):
    """The store returns exactly what it was given."""

    @_each_payload
    @promise("all", "A job is its payload, a string.")
    @promise("all", "A backend stores and returns the payload exactly and never decodes it.")
    async def test_a_payload_is_queued_and_claimed_exactly(self, backend: Backend, payload: str) -> None:
        """From the push to the claim, and in the list of a process's claims."""
        process = await registered(backend)
        await push(backend, payload)
        assert await backend.queued("q") == [payload]
        claimed = await claim_one(backend, process)
        assert claimed.raw == payload
        assert list((await backend.claims(process)).claims) == [claimed]

    @_each_payload
    @promise("all", "A backend stores and returns the payload exactly and never decodes it.")
    async def test_a_payload_is_removed_exactly(self, backend: Backend, payload: str) -> None:
        """Only equal payloads are removed."""
        await push(backend, payload + " ", payload, " " + payload)
        assert list(await backend.remove("q", [Removal(payload)])) == [1]
        assert await backend.queued("q") == [payload + " ", " " + payload]

    @_each_payload
    @promise("all", "A backend stores and returns the payload exactly and never decodes it.")
    @promise("Released", "The job returns to the front of its queue, as *raw* if that is given.")
    async def test_a_payload_is_released_exactly(self, backend: Backend, payload: str) -> None:
        """By a settlement, and when its worker or its process is deregistered."""
        process = await registered(backend, slots=(1, 2))
        await push(backend, payload)
        await settle(backend, process, await claim_one(backend, process), Released())
        assert await backend.queued("q") == [payload]
        await claim_one(backend, process, 2)
        await backend.deregister_slots(process, (2,))
        assert await backend.queued("q") == [payload]
        await claim_one(backend, process)
        await backend.deregister(process)
        assert await backend.queued("q") == [payload]

    @_each_payload
    @promise("all", "A backend stores and returns the payload exactly and never decodes it.")
    @needs("clock")
    async def test_a_payload_is_delayed_and_promoted_exactly(
        self, backend: Backend, clock: ManualClock, payload: str
    ) -> None:
        """By a producer, and by a settlement."""
        process = await registered(backend)
        await schedule(backend, await now_of(backend) + 5, payload)
        clock.advance(5)
        found = await due(backend)
        assert [job.raw for job in found] == [payload]
        assert list(await backend.promote(moves_of(found))) == ["queued"]
        await settle(backend, process, await claim_one(backend, process), PostponedByPlugin(5))
        clock.advance(6)
        assert [job.raw for job in await due(backend)] == [payload]

    @_each_payload
    @promise("all", "A move changes the payload in two cases only: a rescue marks it, and a disposition may replace")
    @needs("clock")
    async def test_a_payload_is_retried_and_rescued_exactly(
        self, backend: Backend, clock: ManualClock, payload: str
    ) -> None:
        """By a settlement, from the failed list, and from a dead process."""
        process = await registered(backend)
        await push(backend, payload)
        await settle(backend, process, await claim_one(backend, process), Retried("no", "retry:a", 9, (5.0,)))
        clock.advance(6)
        found = await due(backend)
        assert [job.raw for job in found] == [payload]
        assert list(await backend.promote(moves_of(found))) == ["queued"]
        await settle(backend, process, await claim_one(backend, process), Failed("failure"))
        retry = FailedRetry(FailedEntry("failure"), Entry("q", payload))
        assert list(await backend.retry_failed([retry])) == [RetryResult.STORED]
        assert await backend.queued("q") == [payload]
        await claim_one(backend, process)
        (rescued,) = await rescue(backend)
        assert await backend.queued("q") == [rescued.raw]
        assert unmark(rescued.raw) == (payload.rstrip() if payload.rstrip().endswith("}") else payload)

    @_each_payload
    @promise("all", "A backend stores and returns the payload exactly and never decodes it.")
    async def test_a_failure_is_kept_exactly(self, backend: Backend, payload: str) -> None:
        """The backend does not read the text of a failure either."""
        process = await registered(backend)
        await push(backend, job(1))
        await settle(backend, process, await claim_one(backend, process), Failed(payload))
        assert await backend.failed() == [payload]

    @pytest.mark.parametrize("queue", ["mail", "a:b", "with blanks", "é😀", "*", 'quo"te', "back\\slash", "%d{}[x]?"])
    @promise("push", "Store jobs in their queues, in the order given.")
    @promise("queues", "Return the names of all known queues, sorted.")
    async def test_a_queues_name_is_kept_exactly(self, backend: Backend, queue: str) -> None:
        """Whatever its characters. The claim has it too."""
        process = await registered(backend, queues=(queue,))
        await backend.push([Entry(queue, job(1, queue)), Entry("another", job(2))])
        assert await backend.queues() == sorted([queue, "another"])
        claims = await claim(backend, process, queues=(queue,))
        assert payloads_of(claims) == [job(1, queue)]
        assert claims[0].queue == queue
        assert list((await backend.claims(process)).claims) == claims
        await backend.deregister(process)
        assert await backend.queued(queue) == [job(1, queue)]
