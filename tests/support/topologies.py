"""Servers in other forms than one with a port: over TLS, at a socket, behind Sentinels, as a Cluster."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis
import trustme
from servers import READY_WITHIN, Server, program, start

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Watched", "cluster", "cluster_with_replica", "is_master", "sentinel", "tls", "unix_socket", "watched"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def tls(folder: Path) -> Iterator[tuple[Server, str, Path]]:
    """A server that speaks TLS too; its plain self, its TLS URL without options, and the authority's certificate."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    port = _free_port()
    options = ("--tls-port", str(port), "--tls-auth-clients", "no", "--tls-cert-file", str(folder / "cert.pem"))
    server = start("redis7", *options, "--tls-key-file", str(folder / "key.pem"))
    try:
        yield server, f"rediss://127.0.0.1:{port}/0", folder / "ca.pem"
    finally:
        server.close()


@contextlib.contextmanager
def unix_socket(folder: Path) -> Iterator[tuple[Server, str]]:
    """A server at a socket in the file system, and its URL."""
    path = folder / "redis.sock"
    server = start("valkey9", "--unixsocket", str(path))
    try:
        yield server, f"unix://{path}?db=0"
    finally:
        server.close()


@contextlib.contextmanager
def sentinel(folder: Path) -> Iterator[tuple[Server, str]]:
    """A master and its Sentinel; the master, and the URL by the Sentinel."""
    master = start("redis7")
    port = _free_port()
    settings = folder / "sentinel.conf"
    settings.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor jobs 127.0.0.1 {master.port} 1\nsentinel down-after-milliseconds jobs 1000\n"
    )
    process = subprocess.Popen([program("redis7"), str(settings), "--sentinel"], stdout=subprocess.DEVNULL)
    try:
        _until(lambda: _answers(port, b"SENTINEL get-master-addr-by-name jobs\r\n", str(master.port).encode()))
        yield master, f"redis+sentinel://127.0.0.1:{port}/jobs/0"
    finally:
        process.terminate()
        process.wait()
        master.close()


class Watched:
    """A master, its replica, and three Sentinels that make the one the other.

    Attributes:
        url: The URL by the Sentinels.
        servers: The two servers.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        options = ("--repl-diskless-sync-delay", "0")
        self.servers = [start(kind, *options) for _ in range(2)]
        master, replica = self.servers
        replica.command("REPLICAOF", master.host, master.port)
        self._ports = [_free_port() for _ in range(3)]
        self._sentinels = [self._start_sentinel(folder, kind, port, master) for port in self._ports]
        self.url = "redis+sentinel://" + ",".join(f"127.0.0.1:{port}" for port in self._ports) + "/jobs/0"
        self.wait_for_sentinels()

    def _start_sentinel(self, folder: Path, kind: str, port: int, master: Server) -> subprocess.Popen[bytes]:
        settings = folder / f"sentinel-{port}.conf"
        settings.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor jobs 127.0.0.1 {master.port} 2\n"
            "sentinel down-after-milliseconds jobs 500\nsentinel failover-timeout jobs 3000\n"
        )
        return subprocess.Popen([program(kind), str(settings), "--sentinel"], stdout=subprocess.DEVNULL)

    def ask(self, *words: str | int) -> list[Any]:
        """What each Sentinel answers."""
        replies = []
        for port in self._ports:
            with redis.Redis(port=port, protocol=2) as client:
                replies.append(client.execute_command("SENTINEL", *words))
        return replies

    def wait_for_sentinels(self) -> None:
        """Wait until each Sentinel knows all others, the same master, and a replica that could take its place."""
        _until(self._settled)

    def _settled(self) -> bool:
        try:
            masters = [_pairs(reply) for reply in self.ask("MASTER", "jobs")]
            replicas = [[_pairs(each) for each in reply] for reply in self.ask("REPLICAS", "jobs")]
        except redis.RedisError:
            return False
        return (
            len({each[b"port"] for each in masters}) == 1
            and all((each[b"flags"], each[b"num-other-sentinels"]) == (b"master", b"2") for each in masters)
            and all(
                [(each[b"flags"], each[b"master-link-status"]) for each in known] == [(b"slave", b"ok")]
                for known in replicas
            )
        )

    @property
    def roles(self) -> tuple[Server, Server]:
        """The master as the Sentinels name it, and the other one."""
        (_, port), *_ = self.ask("GET-MASTER-ADDR-BY-NAME", "jobs")
        first, second = self.servers
        return (first, second) if first.port == int(port) else (second, first)

    def fail_over(self) -> None:
        """Ask for a planned failover."""
        with redis.Redis(port=self._ports[0]) as client:
            client.execute_command("SENTINEL", "FAILOVER", "jobs")

    def bring_back(self, server: Server, master: Server) -> None:
        """Start a server that was killed as the replica of the new master, and wait until the Sentinels know."""
        server.restart("--repl-diskless-sync-delay", "0", "--replicaof", f"{master.host} {master.port}")
        self.wait_for_sentinels()

    def close(self) -> None:
        """End all of them."""
        for sentinel in self._sentinels:
            sentinel.kill()
            sentinel.wait()
        for server in self.servers:
            server.close()


def is_master(server: Server) -> bool:
    """Whether a server says that it is the master."""
    try:
        with redis.Redis(port=server.port) as client:
            return bool(client.execute_command("ROLE")[0] == b"master")
    except redis.RedisError:
        return False


def _is_one_healthy(replicas: list[dict[bytes, bytes]]) -> bool:
    return [(each[b"flags"], each[b"master-link-status"]) for each in replicas] == [(b"slave", b"ok")]


def _pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    """Names and values in turn, as a mapping."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


@contextlib.contextmanager
def watched(folder: Path, kind: str = "redis7") -> Iterator[Watched]:
    """A master, its replica and three Sentinels."""
    topology = Watched(folder, kind)
    try:
        yield topology
    finally:
        topology.close()


@contextlib.contextmanager
def cluster(kind: str = "redis7") -> Iterator[tuple[list[Server], str]]:
    """Two nodes that share the slots; the nodes, and a URL that names both."""
    nodes = [start(kind, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000") for _ in range(2)]
    try:
        nodes[0].command("CLUSTER", "ADDSLOTSRANGE", "0", "8191")
        nodes[1].command("CLUSTER", "ADDSLOTSRANGE", "8192", "16383")
        nodes[0].command("CLUSTER", "MEET", "127.0.0.1", str(nodes[1].port))
        _until(lambda: all(_answers(node.port, b"CLUSTER INFO\r\n", b"cluster_state:ok") for node in nodes))
        yield nodes, f"redis+cluster://127.0.0.1:{nodes[0].port},127.0.0.1:{nodes[1].port}"
    finally:
        for node in nodes:
            node.close()


@contextlib.contextmanager
def cluster_with_replica(slot: int, kind: str = "redis7") -> Iterator[tuple[Server, Server, str]]:
    """Three masters, and a replica of the one that has *slot*; that master, the replica, and the URL of the master."""
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0")
    nodes = [start(kind, *options) for _ in range(4)]
    try:
        bounds = (0, 5461, 10923, 16384)
        for node, first, end in zip(nodes, bounds, bounds[1:], strict=False):
            node.command("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
        for node in nodes[1:]:
            nodes[0].command("CLUSTER", "MEET", "127.0.0.1", node.port)
        _until(lambda: all(_answers(node.port, b"CLUSTER INFO\r\n", b"cluster_known_nodes:4") for node in nodes))
        master, replica = nodes[sum(slot >= bound for bound in bounds[1:])], nodes[3]
        with redis.Redis(port=master.port) as client:
            name = client.execute_command("CLUSTER", "MYID")
        _until(lambda: replica.command("CLUSTER", "REPLICATE", name) == b"+OK")
        _until(lambda: _answers(replica.port, b"INFO replication\r\n", b"master_link_status:up"))
        _until(lambda: all(_answers(node.port, b"CLUSTER INFO\r\n", b"cluster_state:ok") for node in nodes))
        yield master, replica, f"redis+cluster://127.0.0.1:{master.port}"
    finally:
        for node in nodes:
            node.close()


def _answers(port: int, request: bytes, wanted: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(request)
            return wanted in connection.recv(65536)
    except OSError:
        return False


def _until(ready: object) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while not ready():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise RuntimeError("the servers did not come up in time")
        time.sleep(0.02)
