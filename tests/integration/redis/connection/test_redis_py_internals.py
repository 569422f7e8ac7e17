"""Each private attribute of redis-py and asyncio can be missing in their next versions."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from redis.asyncio import Connection
from renamed import copy_without, names_read

from taskhero.backends.redis.connection import redis_py_internals as internals

PROGRAM = Path(__file__).parents[3] / "support" / "programs" / "each_verb.py"


NAMES = names_read(internals, "_read")


def _log_of_program(url: str, folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, PROGRAM, url],
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_names_are_found():
    assert NAMES == ["_buffer", "_reader", "_sock", "_writer", "parse_error"]


def test_with_all_attributes_nothing_is_logged(redis_url, tmp_path):
    assert _log_of_program(redis_url, tmp_path) == []


@pytest.mark.parametrize("name", NAMES)
def test_without_an_attribute_all_verbs_work_and_one_line_says_so(redis_url, tmp_path, name):
    copy_without(name, tmp_path, "redis", "asyncio")
    (line,) = _log_of_program(redis_url, tmp_path)
    assert f"the attribute {name} of " in line
    assert f"redis-py {redis.__version__}" in line


# --- other shapes ------------------------------------------------------------------------------------------------


@pytest.fixture
def log(caplog, monkeypatch):
    monkeypatch.setattr(internals, "_reported", set())
    caplog.set_level(logging.WARNING, "taskhero.backends.redis")
    return caplog


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["_writer", "_reader"])
async def test_an_attribute_of_another_type_is_not_used(redis_url, log, monkeypatch, name):
    connection = Connection(port=int(redis_url.rpartition(":")[2].partition("/")[0]))
    await connection.connect()
    assert isinstance(internals.stream_transport(connection), asyncio.Transport)
    with monkeypatch.context() as patch:
        patch.setattr(connection, name, object())
        assert internals.stream_transport(connection) is None
        assert internals.stream_transport(connection) is None
    assert [name in record.getMessage() for record in log.records] == [True]
    await connection.disconnect()
    assert internals.stream_transport(connection) is None, "it is closed"
    assert len(log.records) == 1


@pytest.mark.anyio
async def test_a_stream_with_unread_data_keeps_it(redis_url, log):
    connection = Connection(port=int(redis_url.rpartition(":")[2].partition("/")[0]))
    await connection.connect()
    await connection.send_command("ECHO", "unread")
    async with asyncio.timeout(5):
        while internals.stream_transport(connection) is not None:
            await asyncio.sleep(0)
    assert await connection.read_response() == b"unread"
    assert internals.stream_transport(connection) is not None
    await connection.disconnect()
    assert not log.records


@pytest.mark.parametrize("name", ["_sock"])
def test_a_socket_of_another_type_is_not_used(log, name):
    connection = redis.Connection()
    with socket.socket() as real:
        setattr(connection, name, real)
        assert internals.thread_socket(connection) is real
        setattr(connection, name, object())
        assert internals.thread_socket(connection) is None
        setattr(connection, name, None)
    assert len(log.records) == 1


@pytest.mark.parametrize("parse_error", [lambda: None, lambda text: text, "text"])
def test_an_error_parser_of_another_shape_is_not_used(log, monkeypatch, parse_error):
    monkeypatch.setattr(internals.async_connection.DefaultParser, "parse_error", parse_error, raising=True)
    internals.error_parser.cache_clear()
    try:
        assert internals.error_parser() is None
    finally:
        internals.error_parser.cache_clear()
    assert ["parse_error" in record.getMessage() for record in log.records] == [True]
