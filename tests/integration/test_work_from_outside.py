"""`taskhero work` told by its environment: settings, and the form of its log."""

from __future__ import annotations

import json
import re
import signal

import pytest
from commands import commands

from taskhero import TaskHero

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


async def test_settings_and_json_lines_from_the_environment(start_server, monkeypatch):
    """What is filtered is in no line, and a variable beats the app's settings."""
    server = start_server("valkey9")
    monkeypatch.setenv("TASKHERO_LOG_FORMAT", "json")
    monkeypatch.setenv("TASKHERO_FILTERED_PARAMS", "password")
    monkeypatch.setenv("TASKHERO_QUEUES", "outside")
    async with TaskHero(server.url) as app, commands() as running:
        await app.queue.enqueue("nobody", {"password": "s3cr3t", "to": "ann"}, "outside")
        worker = await running.work("--processes", "2", url=server.url, ready=2, max_task_processors=1, queues=["work"])
        await worker.shows('"event": "failure"')
        worker.send(signal.SIGTERM)
        assert await worker.ended() == 0
    lines = [json.loads(line) for line in worker.said if re.match("{", line)]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    (failure,) = [line for line in lines if line.get("event") == "failure"]
    assert (failure["level"], failure["queue"], failure["exception"]) == ("error", "outside", "NoSuchTask")
    assert failure["job_args"] == [{"password": "[FILTERED]", "to": "ann"}]
    assert "s3cr3t" not in "\n".join(worker.said)


async def test_a_wrong_variable_is_said_in_a_line(monkeypatch):
    monkeypatch.setenv("TASKHERO_GRACE", "never")
    async with commands() as running:
        worker = await running.start("work", "--app", "shop:app")
        assert await worker.ended() == 1
    (line,) = worker.said
    assert line.startswith("Error: environment variable TASKHERO_GRACE='never': grace='never' is no duration: ")
