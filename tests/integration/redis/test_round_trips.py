"""The round trips between a push of another program and the start of its job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis

from taskhero import Settings, TaskHero

pytestmark = pytest.mark.anyio


class Monitor:
    """What clients send to the server, without the lines of scripts."""

    def __init__(self, client: redis.Redis) -> None:
        self._monitor = client.monitor()
        self._monitor.__enter__()

    def close(self) -> None:
        self._monitor.__exit__()

    def until(self, end: str) -> list[str]:
        """Return the commands up to the next one that begins like this, which is the last."""
        commands: list[str] = []
        for line in self._monitor.listen():
            if line["client_type"] != "lua":
                commands.append(line["command"])
                if commands[-1].startswith(end):
                    break
        return commands

    def until_idle(self) -> list[str]:
        """Return the commands after the start of a job, until it is settled and the worker waits again."""
        commands = self.until("SCARD resque:queues")
        if not any(command.startswith("EVALSHA") for command in commands):
            commands += self.until("EVALSHA")
        return commands


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, socket_timeout=10) as client:
        yield client


@pytest.fixture
def monitor(client: redis.Redis) -> Iterator[Monitor]:
    monitor = Monitor(client)
    yield monitor
    monitor.close()


@asynccontextmanager
async def idle_worker(url: str, client: redis.Redis, monitor: Monitor) -> AsyncIterator[Any]:
    """A worker of all queues that waits for jobs, and whose task sends ``ECHO started``."""
    quiet = {"timeout": 60, "heartbeat_interval": 60, "rescue_after": 300}
    app = TaskHero(url, settings=Settings(min_task_processors=3, max_task_processors=3, **quiet))

    @app.task(name="tell")
    async def tell() -> None:
        client.echo("started")

    client.sadd("resque:queues", "known")
    async with app.running():
        await asyncio.to_thread(monitor.until, "SCARD resque:queues")
        for _ in range(2):  # the first job loads the scripts
            push(client, "known")
            await asyncio.to_thread(monitor.until, "ECHO started")
            await asyncio.to_thread(monitor.until_idle)
        yield


def push(client: redis.Redis, queue: str) -> None:
    client.rpush(f"resque:queue:{queue}", '{"class":"tell","args":[]}')


async def test_the_claim_is_the_only_round_trip_before_the_job_starts(redis_url, client, monitor):
    async with idle_worker(redis_url, client, monitor):
        for _ in range(3):
            push(client, "known")
            await asyncio.to_thread(monitor.until, "RPUSH")
            before = await asyncio.to_thread(monitor.until, "ECHO started")
            after = await asyncio.to_thread(monitor.until_idle)
            assert [command.split()[0] for command in before] == ["EVALSHA", "ECHO"]
            assert "SMEMBERS resque:queues" not in after


async def test_the_names_of_the_queues_are_read_when_a_new_queue_comes(redis_url, client, monitor):
    async with idle_worker(redis_url, client, monitor):
        client.sadd("resque:queues", "new")
        push(client, "new")
        commands = await asyncio.to_thread(monitor.until, "ECHO started")
        assert "SMEMBERS resque:queues" in commands
