"""The Redis driver keeps the contract, on each kind of server and on fakeredis."""

from __future__ import annotations

import pytest
from redis_view import keys_of, run_command

from taskhero.backends.redis import RedisBackend
from taskhero.backends.redis.fake import FakeRedisBackend
from taskhero.conformance import BackendConformance, Capabilities


class OnRedis(BackendConformance):
    """The hooks that all suites of the driver share."""

    capabilities = Capabilities(batch_bytes=4 * 1024 * 1024)

    async def set_paused(self, backend, *, paused):
        await run_command(backend, "SET", "resque:pause-all-workers", str(paused).lower())

    async def break_queue(self, backend, queue):
        await run_command(backend, "DEL", f"resque:queue:{queue}")
        await run_command(backend, "SET", f"resque:queue:{queue}", "no list")

    async def break_failures(self, backend):
        await run_command(backend, "SET", "resque:failed", "no list")

    async def break_counter(self, backend, name):
        await run_command(backend, "SET", f"resque:stat:{name}", "no number")

    async def break_lock(self, backend, key):
        await run_command(backend, "DEL", keys_of(backend).named(key))
        await run_command(backend, "RPUSH", keys_of(backend).named(key), "no text")

    async def break_attempts(self, backend, name):
        await run_command(backend, "SET", keys_of(backend).named(name), "no number")

    async def break_due_time(self, backend, at):
        await run_command(backend, "DEL", f"resque:delayed:{at}")
        await run_command(backend, "HSET", f"resque:delayed:{at}", "tick", "no list")

    async def break_due_times_of(self, backend, raw):
        await run_command(backend, "DEL", keys_of(backend).timestamps(raw))
        await run_command(backend, "SET", keys_of(backend).timestamps(raw), "no set")

    async def break_worker(self, backend, worker_id):
        await run_command(backend, "DEL", f"resque:worker:{worker_id}")
        await run_command(backend, "HSET", f"resque:worker:{worker_id}", "no", "text")

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

    async def last_error_of(self, backend, name):
        text = await run_command(backend, "GET", keys_of(backend).named(name))
        return None if text is None else text.decode()

    async def set_foreign_scheduler(self, backend, *, leads):
        lock = "resque:resque:resque_scheduler_master_lock"
        await run_command(backend, *(("SET", lock, "localhost:1") if leads else ("DEL", lock)))

    async def add_orphan(self, backend, due_at, payload):
        await run_command(backend, "RPUSH", f"resque:delayed:{due_at}", payload)
        await run_command(backend, "SADD", f"resque:timestamps:{payload}", f"delayed:{due_at}")

    async def add_lock(self, backend, key, text):
        await run_command(backend, "SET", keys_of(backend).named(key), text)

    async def forget_lease(self, backend, process):
        for key in ("processes", "renewals"):
            await run_command(backend, "ZREM", f"resque:taskhero:{key}", process.name)
        await run_command(backend, "HDEL", "resque:taskhero:leases", process.name)


class TestServer(OnRedis):
    """The driver on a real server."""

    @pytest.fixture
    async def backend(self, redis_url, clock):
        backend = RedisBackend(redis_url, clock=clock)
        await backend.connect()
        yield backend
        await backend.close()

    async def another_view(self, backend, clock):
        other = RedisBackend(backend.location, clock=clock)
        await other.connect()
        return other


class TestFakeServer(OnRedis):
    """The driver on fakeredis."""

    @pytest.fixture
    async def backend(self, clock):
        backend = FakeRedisBackend(f"fakeredis://kit-{id(clock)}", clock=clock)
        await backend.connect()
        await run_command(backend, "FLUSHALL")
        yield backend
        await backend.close()

    async def another_view(self, backend, clock):
        other = FakeRedisBackend(backend.location, clock=clock)
        await other.connect()
        return other
