"""A suite of the kit for each broken backend, and one for the unbroken store that they damage."""

import pytest
from redis_view import run_command

from broken import BROKEN
from broken.damaged_data import DamageableBackend
from taskhero.backends.memory import MemoryBackend
from taskhero.conformance import BlockedDestinations, Capabilities, DamagedData, IsolatedItems


class OnMemory:
    """The kit's hooks for a backend in memory."""

    capabilities = Capabilities(
        second_view=False,
        wrong_types=False,
        foreign_scheduler=False,
        foreign_workers=False,
        foreign_failures=False,
        leftovers=False,
        lost_lease=False,
        batch_bytes=4 * 1024 * 1024,
    )
    patience = 0.4
    make = MemoryBackend

    @pytest.fixture
    async def backend(self, clock):
        backend = self.make(clock=clock)
        await backend.connect()
        yield backend
        await backend.close()

    async def set_paused(self, backend, *, paused):
        await backend.pause_all_workers(paused)

    async def last_error_of(self, backend, name):
        return backend.store.last_errors.get(name, backend.clock.now())


class OnDamageable(OnMemory):
    """The kit's hooks that damage a store."""

    capabilities = Capabilities(second_view=False, lost_lease=False)
    patience = 2.0

    async def break_queue(self, backend, queue):
        await backend.damage(f"queue:{queue}")

    async def break_failures(self, backend):
        await backend.damage("failed")

    async def break_counter(self, backend, name):
        await backend.damage(f"stat:{name}")

    async def break_due_time(self, backend, at):
        await backend.damage(f"delayed:{at}")

    async def break_due_times_of(self, backend, raw):
        await backend.damage(f"timestamps:{raw}")

    async def break_worker(self, backend, worker_id):
        await backend.damage(f"worker:{worker_id}", "RPUSH")

    async def add_worker(self, backend, worker_id, *, working=None, ping=None, heartbeat=None):
        name = ":".join(worker_id.split(":")[:2])
        await run_command(backend, "SADD", "resque:workers", worker_id)
        if working is not None:
            await run_command(backend, "SET", f"resque:worker:{worker_id}", working)
        if ping is not None:
            await run_command(backend, "SET", f"resque:worker:ping:{name}", ping)
        if heartbeat is not None:
            await run_command(backend, "HSET", "resque:workers:heartbeat", worker_id, heartbeat)

    async def add_failure(self, backend, source, text):
        await run_command(backend, "SADD", "resque:failed_queues", source)
        await run_command(backend, "RPUSH", f"resque:{source}", text)

    async def add_orphan(self, backend, due_at, payload):
        await run_command(backend, "RPUSH", f"resque:delayed:{due_at}", payload)

    async def add_lock(self, backend, key, text):
        await run_command(backend, "SET", f"resque:{key}", text)

    async def set_foreign_scheduler(self, backend, *, leads):
        lock = "resque:resque:resque_scheduler_master_lock"
        await run_command(backend, *(("SET", lock, "localhost:1") if leads else ("DEL", lock)))

    async def break_lock(self, backend, key):
        await backend.damage(key, "RPUSH")

    async def break_attempts(self, backend, name):
        await backend.damage(name)


def suite_name(broken):
    """Return the name of a broken backend's suite."""
    return f"Test{broken.backend.__name__}In{broken.topic.__name__}"


def _suite(broken):
    hooks = OnDamageable if issubclass(broken.backend, DamageableBackend) else OnMemory
    return type(suite_name(broken), (hooks, broken.topic), {"make": broken.backend})


globals().update({suite_name(broken): _suite(broken) for broken in BROKEN})


class TestDamageable(OnDamageable, DamagedData, IsolatedItems, BlockedDestinations):
    """The same store with no promise broken."""

    make = DamageableBackend
