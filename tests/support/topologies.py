"""Servers in other forms than one with a port: over TLS, at a socket, behind Sentinels, as a Cluster."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import trustme
from servers import READY_WITHIN, Server, program, start

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cluster", "sentinel", "tls", "unix_socket"]


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
