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
    assert line.startswith("Error: environment variable TASKHERO_GRACE='never': grace='never' is not a duration: ")


async def test_each_line_is_json_also_where_the_process_ends_at_once(start_server, monkeypatch):
    """What is said last, too: in a handler of signals, and of an app that cannot be used."""
    server = start_server("valkey9")
    monkeypatch.setenv("TASKHERO_LOG_FORMAT", "json")
    monkeypatch.setenv("TASKHERO_LOG_LEVEL", "warning")
    async with TaskHero(server.url) as app, commands() as running:
        await app.queue.enqueue("hold", [1], "work")
        worker = await running.start("work", "--app", "shop:app", url=server.url)
        await worker.shows("began 1")
        worker.send(signal.SIGTERM)
        worker.send(signal.SIGINT)
        assert await worker.ended() > 128
        (last,) = [json.loads(line) for line in worker.said if not re.match("open|began", line)]
        assert (last["level"], last["logger"]) == ("critical", "taskhero.worker")
        assert "ends at once" in last["message"]
        monkeypatch.setenv("TASKHERO_GRACE", "never")
        worker = await running.start("work", "--app", "shop:app")
        assert await worker.ended() == 1
        (line,) = worker.said
        said = json.loads(line)
        assert said["level"] == "critical"
        assert said["message"].startswith("environment variable TASKHERO_GRACE='never'")


async def test_where_an_app_has_its_jobs_is_not_changed_from_outside_and_that_is_said(start_server, monkeypatch):
    """Those who enqueue do so with the app alone, so a worker that looked elsewhere would wait for ever."""
    server = start_server("valkey9")
    monkeypatch.setenv("TASKHERO_NAMESPACE", "theirs")
    async with TaskHero(server.url) as app, commands() as running:
        await app.queue.enqueue("quick", [1], "work")
        worker = await running.start("work", "--app", "shop:app", "--burst", url=server.url)
        assert await worker.ended() == 0
    assert any(line.startswith("did 1 ") for line in worker.said)
    (told,) = [line for line in worker.said if "WARNING" in line]
    assert "namespace='theirs' from outside is ignored: the app has 'resque'" in told
