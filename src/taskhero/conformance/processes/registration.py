"""Worker processes that register, stay alive and deregister."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING

import attrs

from taskhero.backends.protocol import DeregisterReply, HeartbeatReply, RefusedByPlugin, Subscription
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import (
    LEASE,
    claim,
    claim_one,
    job,
    leases_except,
    make_process,
    payloads_of,
    push,
    registered,
    rescue,
    send_heartbeat,
    settle,
    start_wait,
    within,
    without_leases,
)
from taskhero.conformance.suite import Suite
from taskhero.wire.jobs import rescue_count

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.clock import ManualClock
    from taskhero.conformance.suite import Views

__all__ = ["Registration"]


class Registration(Suite):
    """`Backend.register`, `heartbeat`, `restore`, `deregister_slots` and `deregister`."""

    # register

    @promise("register", "Register the process and the workers of these slots, and give the process a lease.")
    @promise("register", "Other programs see these workers.")
    async def test_a_registered_process_is_visible_to_others(self, backend: Backend, views: Views) -> None:
        """The others leave it its share."""
        first = await registered(backend, 1, slots=range(1, 5))
        await push(backend, *map(job, range(4)))
        await (await views()).register(make_process(2), (1,), LEASE)
        assert len(await claim(backend, first, range(1, 5))) == 2

    @promise("register", "A second call adds slots and renews the lease.")
    async def test_a_second_call_adds_slots_and_renews(self, backend: Backend) -> None:
        """The first slots keep their jobs."""
        process = await registered(backend, slots=(1,))
        await push(backend, job(1), job(2))
        await claim_one(backend, process, 1)
        before = await leases_except(backend)
        await backend.register(process, (2,), LEASE)
        assert await leases_except(backend) != before
        await claim_one(backend, process, 2)
        assert payloads_of((await backend.claims(process)).claims) == [job(1), job(2)]
        assert await backend.deregister(process) == DeregisterReply(released=2)

    # heartbeat

    @promise("heartbeat", "Renew the lease of the process.")
    @promise("heartbeat", "This verb is the only one that is not a coroutine, since a separate thread calls it.")
    async def test_a_heartbeat_renews_the_lease(self, backend: Backend) -> None:
        """Each time, full or not."""
        process = await registered(backend)
        for full in (False, True, False, True):
            before = await leases_except(backend)
            assert without_leases(await send_heartbeat(backend, process, full=full)) == HeartbeatReply(alive=True)
            (renewed,) = await leases_except(backend)
            assert renewed not in before
        assert (await backend.settle_and_claim(process, (), (), ())).registered

    @promise("heartbeat", "Renew the lease of the process.")
    @promise("heartbeat", "This verb is the only one that is not a coroutine, since a separate thread calls it.")
    async def test_it_is_called_from_any_thread(self, backend: Backend) -> None:
        """Even while the event loop works. It is not a coroutine."""
        process = await registered(backend)

        def heartbeats() -> list[HeartbeatReply]:
            return [
                without_leases(backend.heartbeat(process, (1,), LEASE, full=number % 2 == 0)) for number in range(50)
            ]

        client = asyncio.create_task(asyncio.to_thread(heartbeats))
        for number in range(50):
            await push(backend, job(number))
            await settle(backend, process, await claim_one(backend, process))
        assert await within(client) == [HeartbeatReply(alive=True)] * 50
        assert not inspect.iscoroutinefunction(backend.heartbeat)

    @promise("heartbeat", "With *full*, the step also renews the heartbeats that other programs read.")
    @promise("heartbeat", "With *full*, it also registers those workers of *slots* again that were removed.")
    async def test_a_full_heartbeat_registers_again_what_was_removed(self, backend: Backend, views: Views) -> None:
        """It names those workers, once, and no others. A short heartbeat may do so too."""
        process = await registered(backend, slots=(1, 2, 3))
        await (await views()).deregister_slots(process, (1, 3))
        short = without_leases(await send_heartbeat(backend, process, (1, 2, 3)))
        assert short == HeartbeatReply(alive=True, missing=short.missing)
        found = await send_heartbeat(backend, process, (1, 2, 3), full=True)
        assert found.alive
        assert sorted([*short.missing, *found.missing]) == [process.worker(1), process.worker(3)]
        assert (await send_heartbeat(backend, process, (1, 2, 3), full=True)).missing == ()

    @promise("heartbeat", "A process that was declared dead is alive again.", "What was taken from it is not returned.")
    async def test_a_dead_process_is_alive_again_after_a_heartbeat(self, backend: Backend) -> None:
        """The reply says once that it was dead. It may claim again, and holds none of its former jobs."""
        process, other = await registered(backend, 1), await registered(backend, 2)
        await push(backend, job(1), job(2))
        await claim_one(backend, process)
        assert len(await rescue(backend, other)) == 1
        assert not (await send_heartbeat(backend, process)).alive
        assert (await send_heartbeat(backend, process)).alive
        assert list((await backend.claims(process)).claims) == []
        assert (await claim_one(backend, process)).raw != job(2)

    @promise("heartbeat", "A process that was declared dead is alive again.", "What was taken from it is not returned.")
    @needs("clock")
    async def test_a_process_that_was_not_rescued_keeps_its_jobs(self, backend: Backend, clock: ManualClock) -> None:
        """However late its heartbeat is: no rescuer declared it dead."""
        process = await registered(backend, 1)
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        clock.advance(100 * LEASE)
        assert (await send_heartbeat(backend, process)).alive
        assert list((await backend.claims(process)).claims) == [claimed]
        assert list((await settle(backend, process, claimed)).gone) == []

    async def test_a_heartbeat_registers_a_process_that_is_unknown(self, backend: Backend) -> None:
        """It was not alive, and is from then on."""
        process = make_process()
        assert not (await send_heartbeat(backend, process, full=True)).alive
        assert (await backend.settle_and_claim(process, (), (), ())).registered

    # restore

    @promise("restore", "Write claims again that another program deleted, and return for each whether its worker")
    async def test_a_claim_that_is_gone_is_restored(self, backend: Backend) -> None:
        """It is settled once, and released with its process. An existing claim stays as it is."""
        process = await registered(backend, slots=(1, 2))
        await push(backend, job(1), job(2))
        first, second = await claim(backend, process, (1, 2))
        await settle(backend, process, first, RefusedByPlugin())
        assert list(await backend.restore(process, [first, second])) == [True, True]
        assert sorted(payloads_of((await backend.claims(process)).claims)) == [job(1), job(2)]
        assert list((await settle(backend, process, first)).gone) == []
        assert list((await settle(backend, process, first)).gone) == [first]
        assert list((await settle(backend, process, second)).gone) == []
        assert (await backend.stats())["processed"] == 2

    @promise("restore", "Write claims again that another program deleted, and return for each whether its worker")
    @promise("restore", "Each claim is one atomic step.")
    async def test_a_restored_claim_is_rescued(self, backend: Backend) -> None:
        """As if it had never been deleted. A claim that cannot be restored does not affect another."""
        process, other = await registered(backend, 1), await registered(backend, 2)
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        await settle(backend, process, claimed, RefusedByPlugin())
        assert list(await backend.restore(process, [attrs.evolve(claimed, slot=7), claimed])) == [False, True]
        assert [rescued.queue for rescued in await rescue(backend, other)] == ["q"]
        assert (await claim_one(backend, other)).raw.startswith(job(1)[:-1])

    @promise("restore", "Nothing is written if the worker holds another job or is not registered.")
    @promise("restore", "Nothing is written for a process that is not registered or was declared dead.")
    async def test_a_claim_is_not_restored_over_another(self, backend: Backend) -> None:
        """The slot runs the other job. Nothing is restored for a deregistered worker or process."""
        process = await registered(backend, slots=(1, 2))
        await push(backend, job(1), job(2))
        first = await claim_one(backend, process)
        await settle(backend, process, first, RefusedByPlugin())
        second = await claim_one(backend, process)
        assert list(await backend.restore(process, [first])) == [False]
        assert list((await backend.claims(process)).claims) == [second]
        await backend.deregister_slots(process, (1,))
        assert list(await backend.restore(process, [first, second])) == [False, False]
        await backend.deregister(process)
        assert list(await backend.restore(process, [first, second])) == [False, False]
        assert list((await backend.claims(process)).claims) == []
        assert await backend.queued("q") == [job(2)]

    @promise("restore", "Nothing is written if the worker holds another job or is not registered.")
    @promise("restore", "Nothing is written for a process that is not registered or was declared dead.")
    async def test_a_dead_process_restores_nothing(self, backend: Backend) -> None:
        """Its job may be another process's, even if it still holds others."""
        process = await registered(backend, slots=(1, 2, 3))
        await push(backend, job(1), job(2), job(3))
        claimed, left, _ = await claim(backend, process, (1, 2, 3))
        await settle(backend, process, claimed, RefusedByPlugin())
        assert len(await rescue(backend, limit=1)) == 1
        assert list(await backend.restore(process, [claimed])) == [False]
        assert list((await backend.claims(process)).claims) == [left]

    # deregister_slots

    @promise("deregister_slots", "Deregister the workers of these slots.")
    @promise("deregister_slots", "A job that a worker still holds moves to the front of its queue.")
    async def test_a_deregistered_worker_releases_its_job(self, backend: Backend) -> None:
        """To the front, unchanged. The other workers keep their jobs, and the process keeps its lease."""
        process = await registered(backend, slots=(1, 2))
        await push(backend, job(1), job(2), job(3))
        first, second = await claim(backend, process, (1, 2))
        await backend.deregister_slots(process, (1,))
        assert await backend.queued("q") == [job(1), job(3)]
        assert list((await backend.claims(process)).claims) == [second]
        answer = await settle(backend, process, first)
        assert (list(answer.gone), answer.registered) == ([first], True)

    @promise("deregister_slots", "Deregister the workers of these slots.")
    @promise("deregister_slots", "A job that a worker still holds moves to the front of its queue.")
    async def test_several_workers_release_in_order(self, backend: Backend) -> None:
        """The job that was claimed first comes first again. An idle worker releases nothing."""
        process = await registered(backend, slots=(1, 2, 3, 4))
        await push(backend, job(1), job(2), job(3), job(4))
        await claim(backend, process, (3, 1, 2))
        await backend.deregister_slots(process, (1, 2, 3, 4))
        assert await backend.queued("q") == [job(1), job(2), job(3), job(4)]

    # deregister

    @promise("deregister", "Deregister the process and all its workers, and end its lease.")
    @promise("deregister", "The reply says how many jobs the process still held.")
    async def test_a_process_leaves(self, backend: Backend) -> None:
        """It does not count as dead, has no share, and may not claim."""
        process, other = await registered(backend, 1, slots=(1, 2)), await registered(backend, 2, slots=(1, 2))
        await push(backend, job(1), job(2))
        assert await backend.deregister(process) == DeregisterReply()
        assert await leases_except(backend, other) == []
        answer = await backend.settle_and_claim(process, (), (1,), ("q",))
        assert (list(answer.claims), answer.registered) == ([], False)
        assert len(await claim(backend, other, (1, 2))) == 2

    @promise("deregister", "These jobs move to the front of their queues in the order of their claims.")
    @promise("deregister", "That does not count as a rescue.")
    async def test_a_leaving_process_releases_in_order(self, backend: Backend) -> None:
        """Whatever their slots, over several claims. None is marked as rescued, not even an exclusive one."""
        process = await registered(backend, slots=range(1, 6), queues=("q", "other"))
        await push(backend, *map(job, range(1, 7)))
        await push(backend, job("a"), job("b"), queue="other")
        await claim(backend, process, (5, 2))
        await claim(backend, process, (4,), ("other",))
        marked = await claim(backend, process, (1, 3))
        assert await backend.mark_exclusive(process, marked[0])
        assert (await backend.deregister(process)).released == 5
        assert await backend.queued("q") == [job(number) for number in range(1, 7)]
        assert await backend.queued("other") == [job("a"), job("b")]
        assert {rescue_count(raw) for raw in await backend.queued("q")} == {None}

    @promise("deregister", "If one of its queues holds jobs, a process that waits for that queue wakes up.")
    async def test_a_leaving_process_wakes_another_for_what_it_held(self, backend: Backend) -> None:
        """Released jobs wake waiting processes."""
        process, other = await registered(backend, 1), await registered(backend, 2)
        await push(backend, job(1))
        await claim_one(backend, process)
        wait = await start_wait(backend, other, Subscription(queues=("q",)))
        await backend.deregister(process)
        assert (await within(wait)).jobs

    @promise("deregister", "If one of its queues holds jobs, a process that waits for that queue wakes up.")
    async def test_a_leaving_process_forwards_its_wake_up(self, backend: Backend) -> None:
        """It was woken for a job and leaves without a claim, so another process must be woken."""
        process, other = await registered(backend, 1), await registered(backend, 2)
        subscription = Subscription(queues=("q",))
        first = await start_wait(backend, process, subscription)
        await push(backend, job(1))
        assert (await within(first)).jobs
        second = await start_wait(backend, other, subscription)
        await backend.deregister(process)
        assert (await within(second)).jobs
