"""The servers that other tests stand on do what they promise."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest
import servers

if TYPE_CHECKING:
    from server_fixtures import StartServer

KEPT = ("--appendonly", "yes", "--appendfsync", "always")


def test_a_server_is_of_its_kind(server: servers.Server) -> None:
    """Its log names the version that its kind promises."""
    expected = {"valkey9": ("9.",), "redis62": ("6.2",), "redis7": ("7.", "8.")}[server.kind]
    _, _, version = server.log.partition("ersion=")
    assert version.startswith(expected), server.log


def test_the_url_leads_to_an_empty_server(redis_url: str, server: servers.Server) -> None:
    """What a test leaves behind is gone for the next one."""
    assert server.command("SET", "left", "behind") == b"+OK"
    assert redis_url == f"redis://127.0.0.1:{server.port}/0"


def test_the_url_leads_to_an_empty_server_again(redis_url: str, server: servers.Server) -> None:
    """The same again: whichever of the two runs second would see what the first one left."""
    assert server.command("DBSIZE") == b":0"
    assert server.command("SET", "left", "behind") == b"+OK"


@pytest.mark.parametrize("kind", servers.KINDS)
def test_a_killed_server_comes_back_with_what_it_kept(kind: str, start_server: StartServer) -> None:
    """With an append-only file nothing that was answered is lost, and the port stays."""
    server = start_server(kind, *KEPT)
    assert server.command("SET", "a", "1") == b"+OK"
    url, pid = server.url, server.pid
    server.kill()
    with pytest.raises(OSError):
        server.command("PING")
    server.restart()
    assert server.url == url
    assert server.pid != pid
    assert server.command("EXISTS", "a") == b":1"


def test_a_frozen_server_answers_when_it_is_resumed(start_server: StartServer) -> None:
    """`pause` stops the answers without closing the connections, `resume` brings them."""
    server = start_server("valkey9")
    with socket.create_connection((server.host, server.port), timeout=0.2) as connection:
        server.pause()
        connection.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(100)
        server.resume()
        connection.settimeout(10)
        assert connection.recv(100) == b"+PONG\r\n"


def test_options_reach_the_server(start_server: StartServer) -> None:
    """A server with a password is ready, and asks for it."""
    server = start_server("valkey9", "--requirepass", "secret")
    assert server.command("DBSIZE").startswith(b"-NOAUTH")


def test_a_closed_server_leaves_nothing(start_server: StartServer) -> None:
    """Neither its process nor its folder stays."""
    server = start_server("valkey9")
    pid, folder = server.pid, server.folder
    server.close()
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_option_that_no_server_knows_shows_what_it_printed() -> None:
    """The error of a server that does not start holds its own words."""
    try:
        servers.program("valkey9")
    except servers.MissingProgram:
        pytest.skip("no valkey-server here")
    with pytest.raises(RuntimeError, match="no-such-option"):
        servers.start("valkey9", "--no-such-option", "1")


def test_a_missing_program_skips_here_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, start_server: StartServer
) -> None:
    """Nobody is told that all is well by a run that tested nothing."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install redis-server"):
        start_server("redis7")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="redis7 is required"):
        start_server("redis7")
