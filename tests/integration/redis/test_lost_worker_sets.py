"""Registers of processes and workers that somebody deleted or spoiled cost no job."""

from __future__ import annotations

import pytest
from redis_view import run_command

from taskhero.backends.protocol import Entry, Process
from taskhero.backends.redis import RedisBackend
from taskhero.clock import ManualClock
from taskhero.wire.jobs import unmark
from taskhero.wire.workers import new_process_name

pytestmark = pytest.mark.anyio

RAW = '{"class":"t","queue":"q","args":[1]}'
LEASE = 10.0


@pytest.mark.parametrize("damage", [("DEL", "resque:workers"), ("SET", "resque:workers", "no set")])
async def test_a_dead_process_is_rescued_though_the_list_of_all_workers_is_lost(redis_url, damage):
    """Other programs write that list, too; nothing but it names the dead one's workers to them."""
    clock = ManualClock()
    backend = RedisBackend(redis_url, clock=clock)
    await backend.connect()
    dead = Process(new_process_name(), ("q",))
    await backend.register(dead, [1, 2], LEASE)
    await backend.push([Entry("q", RAW)])
    assert len((await backend.settle_and_claim(dead, [], [1, 2], ["q"])).claims) == 1
    await run_command(backend, *damage)
    expired = (await backend.leases()).leases
    assert [unmark(job.raw) for job in await backend.rescue(expired, 10)] == [RAW]
    assert await backend.rescue(expired, 10) == []
    assert [unmark(raw) for raw in await backend.queued("q")] == [RAW]
    keys = await run_command(backend, "KEYS", "*")
    assert [key for key in keys if dead.name.encode() in key] == [], "nothing of the dead one is left"
    gone = ("resque:taskhero:processes", "resque:taskhero:workers", "resque:taskhero:renewals")
    assert await run_command(backend, "EXISTS", *gone) == 0
    assert 0 < await run_command(backend, "TTL", "resque:taskhero:leases") <= 86400
    await backend.register(dead, [1], LEASE)
    assert await run_command(backend, "TTL", "resque:taskhero:leases") == -1
    await backend.close()


async def test_a_dead_process_is_rescued_though_the_leases_are_lost(redis_url):
    clock = ManualClock()
    backend = RedisBackend(redis_url, clock=clock)
    await backend.connect()
    dead, living = Process(new_process_name(), ("q",)), Process(new_process_name(), ("q",))
    await backend.register(dead, [1], LEASE)
    await backend.register(living, [1], LEASE)
    await backend.push([Entry("q", RAW)])
    await backend.settle_and_claim(dead, [], [1], ["q"])
    own = await run_command(backend, "KEYS", "resque:taskhero:*")
    await run_command(backend, "DEL", *own)
    assert not backend.heartbeat(living, (), LEASE, full=False).alive, "a sign that the leases were lost"
    assert backend.heartbeat(living, (), LEASE, full=False).leases.leases == ()
    await backend.leases(lease=LEASE)
    (expired,) = backend.heartbeat(living, (), LEASE, full=False).leases.leases
    assert (expired.process, expired.length) == (dead.name, LEASE)
    assert [unmark(job.raw) for job in await backend.rescue([expired], 10)] == [RAW]
    await backend.close()


@pytest.mark.parametrize("lost", ["processes", "renewals", "leases"])
async def test_a_dead_process_is_rescued_though_a_part_of_its_lease_is_lost(redis_url, lost):
    """Any of the three keys; a living process renews all of its own with its next beat."""
    backend = RedisBackend(redis_url)
    await backend.connect()
    dead, living = Process(new_process_name(), ("q",)), Process(new_process_name(), ("q",))
    for process in (dead, living):
        await backend.register(process, [1], LEASE)
    await backend.push([Entry("q", RAW)])
    await backend.settle_and_claim(dead, [], [1], ["q"])
    seen = backend.heartbeat(living, (), LEASE, full=False).leases.seen
    await run_command(backend, "DEL", f"resque:taskhero:{lost}")
    before = await backend.leases(lease=LEASE)
    renewed = backend.heartbeat(living, (), LEASE, full=False, seen=seen)
    assert int(renewed.leases.seen) > int(before.seen) > 0
    (expired,) = [lease for lease in (await backend.leases()).leases if lease.process == dead.name]
    assert expired in before.leases
    assert [unmark(job.raw) for job in await backend.rescue([expired], 10)] == [RAW]
    assert (await backend.settle_and_claim(living, [], [], [])).registered
    await backend.close()


@pytest.mark.parametrize("register", ["resque:workers", "resque:taskhero:workers"])
async def test_the_next_beat_of_a_living_process_mends_each_list_of_workers(redis_url, register):
    """Both may be deleted one after the other, before the next beat in full."""
    backend = RedisBackend(redis_url)
    await backend.connect()
    one, two = Process(new_process_name(), ("q",)), Process(new_process_name(), ("q",))
    other = RedisBackend(redis_url)
    for process in (one, two):
        await backend.register(process, [1, 2], LEASE)
    await run_command(backend, "DEL", register)
    for process, beating in ((one, backend), (two, other)):
        assert beating.heartbeat(process, (1, 2), LEASE, full=False).alive
    ids = {process.worker_id(slot).encode() for process in (one, two) for slot in (1, 2)}
    assert set(await run_command(backend, "SMEMBERS", register)) == ids
    await backend.close()
    await other.close()


@pytest.mark.parametrize("register", ["resque:workers", "resque:taskhero:workers"])
@pytest.mark.parametrize(("slot", "beats"), [(1, 1), (2, 1), (1000, 1), (2500, 3)])
async def test_the_next_beat_mends_what_names_one_worker_of_many(redis_url, register, slot, beats):
    """node-resque takes out single workers, those that are busy for long; of thousands, some are looked at in each."""
    backend = RedisBackend(redis_url)
    await backend.connect()
    process, slots = Process(new_process_name(), ("q",)), tuple(range(1, 2501))
    await backend.register(process, slots, LEASE)
    await run_command(backend, "SREM", register, process.worker_id(slot))
    for _ in range(beats):
        assert backend.heartbeat(process, slots, LEASE, full=False).alive
    assert await run_command(backend, "SISMEMBER", register, process.worker_id(slot)) == 1
    await backend.close()
