"""The Redis driver keeps the contract over TLS, at a socket, behind a Sentinel and in a Cluster."""

from __future__ import annotations

import os

import pytest
import redis
from redis_view import keys_of, run_command
from servers import MissingProgram
from topologies import cluster, sentinel, tls, unix_socket

from taskhero.backends.protocol import Entry
from taskhero.backends.redis import RedisBackend
from taskhero.conformance import BackendConformance, Capabilities
from taskhero.errors import BackendRefused, BackendUnavailable, InvalidSettings, UnknownBackend


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Enter a topology once per module. A missing program is a failure in CI and a visible skip elsewhere."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def enter(topology, *arguments):
            try:
                return stack.enter_context(topology(*arguments))
            except MissingProgram as missing:
                if os.environ.get("CI"):
                    pytest.fail(f"required where CI is set: {missing}", pytrace=False)
                pytest.skip(str(missing))

        yield enter


@pytest.fixture(scope="module")
def tls_server(run, tmp_path_factory):
    return run(tls, tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def socket_server(run, tmp_path_factory):
    return run(unix_socket, tmp_path_factory.mktemp("socket"))


@pytest.fixture(scope="module")
def sentinel_server(run, tmp_path_factory):
    return run(sentinel, tmp_path_factory.mktemp("sentinel"))


@pytest.fixture(scope="module")
def cluster_servers(run):
    return run(cluster)


class OnTopology(BackendConformance):
    """The hooks that all suites share. The fixture ``address`` gives the URL and the namespace."""

    capabilities = Capabilities(batch_bytes=4 * 1024 * 1024)

    @pytest.fixture
    async def backend(self, address, clock):
        url, namespace = address
        backend = RedisBackend(url, namespace=namespace, clock=clock)
        backend.where = address
        await backend.connect()
        await run_command(backend, "FLUSHALL")
        yield backend
        await backend.close()

    async def another_view(self, backend, clock):
        url, namespace = backend.where
        other = RedisBackend(url, namespace=namespace, clock=clock)
        await other.connect()
        return other

    async def set_paused(self, backend, *, paused):
        await run_command(backend, "SET", keys_of(backend).pause, str(paused).lower())

    async def break_queue(self, backend, queue):
        await run_command(backend, "DEL", keys_of(backend).queue(queue))
        await run_command(backend, "SET", keys_of(backend).queue(queue), "no list")

    async def break_failures(self, backend):
        await run_command(backend, "SET", keys_of(backend).failed, "no list")

    async def break_counter(self, backend, name):
        await run_command(backend, "SET", keys_of(backend).named(f"stat:{name}"), "no number")

    async def break_lock(self, backend, key):
        await run_command(backend, "DEL", keys_of(backend).named(key))
        await run_command(backend, "RPUSH", keys_of(backend).named(key), "no text")

    async def break_attempts(self, backend, name):
        await run_command(backend, "SET", keys_of(backend).named(name), "no number")

    async def break_due_time(self, backend, at):
        await run_command(backend, "DEL", keys_of(backend).delayed(at))
        await run_command(backend, "SET", keys_of(backend).delayed(at), "no list")

    async def break_due_times_of(self, backend, raw):
        await run_command(backend, "DEL", keys_of(backend).timestamps(raw))
        await run_command(backend, "SET", keys_of(backend).timestamps(raw), "no set")

    async def break_worker(self, backend, worker_id):
        await run_command(backend, "DEL", keys_of(backend).worker(worker_id))
        await run_command(backend, "RPUSH", keys_of(backend).worker(worker_id), "no text")

    async def add_worker(self, backend, worker_id, *, working=None, ping=None, heartbeat=None):
        name = ":".join(worker_id.split(":")[:2])
        await run_command(backend, "SADD", keys_of(backend).workers, worker_id)
        if working is not None:
            await run_command(backend, "SET", keys_of(backend).worker(worker_id), working)
        if ping is not None:
            await run_command(backend, "SET", keys_of(backend).ping(name), ping)
        if heartbeat is not None:
            await run_command(backend, "HSET", keys_of(backend).heartbeats, worker_id, heartbeat)

    async def add_failure(self, backend, source, text):
        await run_command(backend, "SADD", keys_of(backend).failed_queues, source)
        await run_command(backend, "RPUSH", keys_of(backend).named(source), text)

    async def last_error_of(self, backend, name):
        text = await run_command(backend, "GET", keys_of(backend).named(name))
        return None if text is None else text.decode()

    async def set_foreign_scheduler(self, backend, *, leads):
        lock = keys_of(backend).ruby_master_lock
        await run_command(backend, *(("SET", lock, "localhost:1") if leads else ("DEL", lock)))

    async def add_orphan(self, backend, due_at, payload):
        await run_command(backend, "RPUSH", keys_of(backend).named(f"delayed:{due_at}"), payload)
        await run_command(backend, "SADD", keys_of(backend).timestamps(payload), f"delayed:{due_at}")

    async def add_lock(self, backend, key, text):
        await run_command(backend, "SET", keys_of(backend).named(key), text)

    async def forget_lease(self, backend, process):
        for key in (keys_of(backend).processes, keys_of(backend).renewals):
            await run_command(backend, "ZREM", key, process.name)
        await run_command(backend, "HDEL", keys_of(backend).leases, process.name)


class TestTls(OnTopology):
    @pytest.fixture
    def address(self, tls_server):
        _, url, authority = tls_server
        return f"{url}?ssl_ca_certs={authority}", "resque"


class TestSocket(OnTopology):
    @pytest.fixture
    def address(self, socket_server):
        return socket_server[1], "resque"


class TestSentinel(OnTopology):
    @pytest.fixture
    def address(self, sentinel_server):
        return sentinel_server[1], "resque"


class TestCluster(OnTopology):
    @pytest.fixture
    def address(self, cluster_servers):
        return cluster_servers[1], "{resque}"


@pytest.mark.anyio
async def test_a_certificate_without_a_known_authority_is_refused(tls_server):
    backend = RedisBackend(tls_server[1])
    with pytest.raises(BackendUnavailable, match="certificate"):
        await backend.connect()


def test_a_cluster_without_a_hash_tag_is_refused_with_what_to_do():
    with pytest.raises(InvalidSettings, match=r"namespace='\{jobs\}'"):
        RedisBackend("redis+cluster://localhost:7000", namespace="jobs")


@pytest.mark.anyio
@pytest.mark.parametrize(("namespace", "refusing"), [("resque", 2), ("{resque}", 1)])
async def test_a_server_of_a_cluster_that_is_named_as_a_single_one_says_what_to_write(
    cluster_servers, namespace, refusing
):
    """With a hash tag, the server that has the keys works, until they move."""
    refused = []
    for server in cluster_servers[0]:
        backend = RedisBackend(server.url, namespace=namespace)
        await backend.connect()
        try:
            assert await backend.push([Entry("alone", "{}")]) == [True]
            await backend.delete_queue("alone")
        except BackendRefused as error:
            refused.append(str(error))
        await backend.close()
    assert len(refused) == refusing
    assert all("it belongs to a Cluster: write redis+cluster://" in text for text in refused)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis+sentinel://:hush@localhost:26379", "no service"),
        ("redis+sentinel://:hush@localhost:26379/jobs/first", "'first'"),
        ("redis+sentinel://:hush@local host/jobs", "'local host'"),
        ("redis+sentinel://:hush@localhost:99999/jobs", "99999"),
        ("redis+cluster://:hush@localhost:7000/3", "no databases"),
    ],
)
def test_an_address_that_cannot_be_read_says_why_and_shows_no_password(url, said):
    with pytest.raises(UnknownBackend, match=said) as refused:
        RedisBackend(url, namespace="{resque}")
    assert "hush" not in str(refused.value)


@pytest.mark.anyio
async def test_the_new_master_is_found_when_a_sentinel_names_another(sentinel_server, start_server):
    master, url = sentinel_server
    backend = RedisBackend(url)
    await backend.connect()
    elsewhere = start_server("redis7")
    sentinel_port = int(url.split(":")[2].split("/")[0])
    with redis.Redis(port=sentinel_port) as client:
        client.execute_command("SENTINEL REMOVE", "jobs")
        client.execute_command("SENTINEL MONITOR", "jobs", "127.0.0.1", elsewhere.port, 1)
    # The old master is a replica now and refuses to write.
    master.command("REPLICAOF", "127.0.0.1", elsewhere.port)
    try:
        assert await backend.lead("me", 60)
        assert await port_of(backend) == elsewhere.port
    finally:
        master.command("REPLICAOF", "NO", "ONE")
        with redis.Redis(port=sentinel_port) as client:
            client.execute_command("SENTINEL REMOVE", "jobs")
            client.execute_command("SENTINEL MONITOR", "jobs", "127.0.0.1", master.port, 1)
        await backend.close()


@pytest.mark.anyio
async def test_a_slot_that_moves_to_another_node_is_followed(cluster_servers):
    (first, second), url = cluster_servers
    backend = RedisBackend(url, namespace="{resque}")
    await backend.connect()
    await run_command(backend, "FLUSHALL")
    at = await port_of(backend)
    here, there = (first, second) if at == first.port else (second, first)
    slot = str(await run_command(backend, "CLUSTER", "KEYSLOT", "{resque}"))
    for node in (here, there):
        node.command("CLUSTER", "SETSLOT", slot, "NODE", name_of(there))
    assert await backend.lead("me", 60)
    assert await port_of(backend) == there.port
    await run_command(backend, "FLUSHALL")
    await backend.close()
    for node in (there, here):
        node.command("CLUSTER", "SETSLOT", slot, "NODE", name_of(here))


async def port_of(backend):
    """Return the port of the server to which a backend sends its commands."""
    return int((await run_command(backend, "CONFIG", "GET", "port"))[1])


def name_of(node):
    with redis.Redis(host=node.host, port=node.port) as client:
        return client.execute_command("CLUSTER MYID").decode()
