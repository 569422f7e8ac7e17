"""The Redis driver keeps the contract, on each kind of server and on fakeredis."""

from __future__ import annotations

import pytest

from taskhero.backends.redis import RedisBackend
from taskhero.backends.redis.fake import FakeRedisBackend
from taskhero.conformance import BackendConformance, Capabilities


class OnRedis(BackendConformance):
    """The hooks that all suites of the driver share."""

    capabilities = Capabilities(batch_bytes=4 * 1024 * 1024)

    async def set_paused(self, backend, *, paused):
        await backend._connections.call("SET", "resque:pause-all-workers", str(paused).lower())

    async def break_queue(self, backend, queue):
        await backend._connections.call("DEL", f"resque:queue:{queue}")
        await backend._connections.call("SET", f"resque:queue:{queue}", "no list")

    async def break_failures(self, backend):
        await backend._connections.call("SET", "resque:failed", "no list")

    async def break_counter(self, backend, name):
        await backend._connections.call("SET", f"resque:stat:{name}", "no number")

    async def break_lock(self, backend, key):
        await backend._connections.call("DEL", backend._keys.named(key))
        await backend._connections.call("RPUSH", backend._keys.named(key), "no text")

    async def break_attempts(self, backend, name):
        await backend._connections.call("SET", backend._keys.named(name), "no number")

    async def break_due_time(self, backend, at):
        await backend._connections.call("DEL", f"resque:delayed:{at}")
        await backend._connections.call("HSET", f"resque:delayed:{at}", "tick", "no list")

    async def break_due_times_of(self, backend, raw):
        await backend._connections.call("DEL", backend._keys.timestamps(raw))
        await backend._connections.call("SET", backend._keys.timestamps(raw), "no set")

    async def break_worker(self, backend, worker_id):
        await backend._connections.call("DEL", f"resque:worker:{worker_id}")
        await backend._connections.call("HSET", f"resque:worker:{worker_id}", "no", "text")

    async def add_worker(self, backend, worker_id, *, working=None, ping=None, heartbeat=None):
        name = ":".join(worker_id.split(":")[:2])
        await backend._connections.call("SADD", "resque:workers", worker_id)
        if working is not None:
            await backend._connections.call("SET", f"resque:worker:{worker_id}", working)
        if ping is not None:
            await backend._connections.call("SET", f"resque:worker:ping:{name}", ping)
        if heartbeat is not None:
            await backend._connections.call("HSET", "resque:workers:heartbeat", worker_id, heartbeat)

    async def add_failure(self, backend, source, text):
        await backend._connections.call("SADD", "resque:failed_queues", source)
        await backend._connections.call("RPUSH", f"resque:{source}", text)

    async def trace_of(self, backend, name):
        text = await backend._connections.call("GET", backend._keys.named(name))
        return None if text is None else text.decode()

    async def set_foreign_scheduler(self, backend, *, leads):
        lock = "resque:resque:resque_scheduler_master_lock"
        await backend._connections.call(*(("SET", lock, "localhost:1") if leads else ("DEL", lock)))

    async def add_orphan(self, backend, due_at, payload):
        await backend._connections.call("RPUSH", f"resque:delayed:{due_at}", payload)
        await backend._connections.call("SADD", f"resque:timestamps:{payload}", f"delayed:{due_at}")

    async def add_lock(self, backend, key, text):
        await backend._connections.call("SET", backend._keys.named(key), text)

    async def forget_lease(self, backend, process):
        for key in ("processes", "renewals"):
            await backend._connections.call("ZREM", f"resque:taskhero:{key}", process.name)
        await backend._connections.call("HDEL", "resque:taskhero:leases", process.name)


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
        await backend._connections.call("FLUSHALL")
        yield backend
        await backend.close()

    async def another_view(self, backend, clock):
        other = FakeRedisBackend(backend.location, clock=clock)
        await other.connect()
        return other
