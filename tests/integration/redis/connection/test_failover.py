"""Failovers by real Sentinels and in a real Cluster: every connection of every process reaches the new master in time.

CI kills the master three times; ``make soak`` sets TASKHERO_KILLS to twenty.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from contextlib import AsyncExitStack, ExitStack
from operator import le

import pytest
from redis import Redis
from redis.crc import key_slot
from servers import MissingProgram
from topologies import cluster_with_replica, is_master, watched

from taskhero import Settings, TaskHero
from taskhero.errors import BackendError

pytestmark = pytest.mark.anyio

KILLS = int(os.environ.get("TASKHERO_KILLS", "3"))
#: Seconds from the moment at which a server says that it is the master.
IN_TIME = 3.0
LEASE = 12
WORKERS = ("first", "second", "third")


@pytest.fixture(scope="module")
def enter():
    """Enter a topology; what is missing is a failure in CI and a visible skip elsewhere."""
    with ExitStack() as stack:

        def enter(topology):
            try:
                return stack.enter_context(topology)
            except MissingProgram as missing:
                if os.environ.get("CI"):
                    pytest.fail(f"required where CI is set: {missing}", pytrace=False)
                pytest.skip(str(missing))

        yield enter


@pytest.fixture(scope="module")
def topology(enter, tmp_path_factory):
    return enter(watched(tmp_path_factory.mktemp("sentinels")))


@pytest.fixture
def cluster(enter):
    return enter(cluster_with_replica(key_slot(b"{resque}")))


class Fleet:
    """Three worker processes and a producer, each with connections of a name of its own, in one event loop."""

    def __init__(self, url, namespace="resque") -> None:
        self._url = url
        self._namespace = namespace
        self._numbers = itertools.count()
        self.begun: dict[int, float] = {}

    async def __aenter__(self):
        settings = Settings(
            queues=("q",),
            min_task_processors=2,
            max_task_processors=2,
            scheduler=True,
            heartbeat_interval=1,
            namespace=self._namespace,
        )
        self._stack = AsyncExitStack()
        for name in WORKERS:
            app = TaskHero(f"{self._url}?client_name={name}", settings=settings)
            app.task(queue="q", name="note")(self._note)
            await self._stack.enter_async_context(app.running())
        producer = TaskHero(f"{self._url}?client_name=producer", settings=Settings(namespace=self._namespace))
        self.producer = await self._stack.enter_async_context(producer)
        return self

    async def __aexit__(self, *_):
        await self._stack.aclose()

    async def _note(self, number: int) -> None:
        self.begun[number] = time.monotonic()

    async def works(self, master, since):
        """Both of them begin in time: a job that another program pushes, and one that the producer enqueues."""
        foreign, own = next(self._numbers), next(self._numbers)
        with Redis(port=master.port) as client:
            client.rpush(f"{self._namespace}:queue:q", f'{{"class":"note","queue":"q","args":[{foreign}]}}')
        while True:
            try:
                assert await self.producer.queue.enqueue("note", [own], "q")
                break
            except BackendError:
                assert time.monotonic() < since + IN_TIME
                await asyncio.sleep(0.02)
        await until(lambda: foreign in self.begun and own in self.begun, since + IN_TIME)

    async def is_connected(self, master, since):
        """Each process has renewed its lease there, waits there, and uses its pool there (or has none to use)."""
        with Redis(port=master.port) as client:
            # A renewal after *since* counts: the next one may come a whole interval after this call.
            begin = since_epoch(client) - 1000 * (time.monotonic() - since)
            leases = [begin + LEASE * 1000] * len(WORKERS)
            await until(lambda: all(map(le, leases, sorted(renewed(client, self._namespace)))), since + IN_TIME)
        await until(lambda: all(waits(master, name) for name in WORKERS), since + IN_TIME)
        assert connections(master, "producer")


def since_epoch(client):
    """The server's time in milliseconds."""
    seconds, microseconds = client.time()
    return seconds * 1000 + microseconds // 1000


def renewed(client, namespace):
    """The ends of all leases, in milliseconds."""
    return [score for _, score in client.zrange(f"{namespace}:taskhero:processes", 0, -1, withscores=True)]


def connections(server, name):
    with Redis(port=server.port) as client:
        return [each for each in client.client_list() if each["name"] == name]


def waits(server, name):
    """Whether somebody of this name waits there: in line, or told by the server of all pushes."""
    return any(each["cmd"] == "blpop" or "t" in each["flags"] for each in connections(server, name))


async def until(condition, deadline):
    """Look again and again, since what another process does is no event here."""
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def reign(server):
    """Wait until a server says that it is the master; the time of that."""
    await until(lambda: is_master(server), time.monotonic() + 30)
    return time.monotonic()


@pytest.mark.timeout(60 + 30 * KILLS)
async def test_after_each_kill_of_the_master_every_connection_reaches_the_new_one(topology):
    async with Fleet(topology.url) as fleet:
        for _ in range(KILLS):
            master, replica = topology.roles
            await fleet.works(master, time.monotonic())
            await fleet.is_connected(master, time.monotonic())
            master.kill()
            since = await reign(replica)
            await fleet.works(replica, since)
            await fleet.is_connected(replica, since)
            await asyncio.to_thread(topology.bring_back, master, replica)


async def test_a_planned_failover_is_followed_long_before_the_old_master_is_demoted(topology):
    async with Fleet(topology.url) as fleet:
        master, replica = topology.roles
        await fleet.works(master, time.monotonic())
        topology.fail_over()
        since = await reign(replica)
        await until(lambda: all(waits(replica, name) for name in WORKERS), since + IN_TIME)
        await fleet.works(replica, since)
        await fleet.is_connected(replica, since)
        await until(lambda: not any(connections(master, name) for name in (*WORKERS, "producer")), since + IN_TIME)
        assert is_master(master), "the old master was demoted so soon that this shows nothing"


@pytest.mark.parametrize("planned", [False, True], ids=["killed", "planned"])
async def test_after_a_failover_in_a_cluster_every_connection_reaches_the_new_master(cluster, planned):
    """The URL names the old master only."""
    master, replica, url = cluster
    async with Fleet(url, "{resque}") as fleet:
        await fleet.works(master, time.monotonic())
        if planned:
            replica.command("CLUSTER", "FAILOVER")
        else:
            master.kill()
        since = await reign(replica)
        await fleet.works(replica, since)
        await fleet.is_connected(replica, since)
