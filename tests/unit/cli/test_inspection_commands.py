"""The verbs that look: tasks, queues, status, failed."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
from docs_pages import shape, shown_json

INSPECTING = ["queues", "status", "failed", "delayed", "workers", "locks"]


def test_tasks_shows_how_each_is_called(shop, run):
    told = run("tasks", "--app", "shop:app")
    assert told.exit_code == 0
    assert "add(a: int, b: int) -> int" in told.stdout
    assert "Add two numbers." in told.stdout
    assert "In a thread." not in told.stdout


def test_tasks_as_json(shop, run):
    told = json.loads(run("tasks", "--json", TASKHERO_APP="shop:app").stdout)
    assert [task["name"] for task in told["tasks"]] == ["add", "send_mail"]
    (add, mail) = told["tasks"]
    assert "shop.py" in add.pop("where")
    assert add.pop("description").startswith("Add two numbers.")
    assert add == {
        "name": "add",
        "queue": "math",
        "signature": "add(a: int, b: int) -> int",
        "run_in": "thread",
        "timeout": 3.0,
        "frequency": None,
        "cron": None,
        "timezone": None,
        "state": None,
    }
    assert (mail["run_in"], mail["timeout"]) == ("loop", None)


PERIODIC = """
from taskhero import TaskHero

app = TaskHero("{url}")


@app.task(frequency=90)
async def tick(): ...


@app.task(cron="*/5 * * * *", timezone="Europe/Berlin")
async def report(): ...


@app.task
async def plain(): ...
"""


def test_tasks_shows_when_they_run_by_themselves_and_what_is_stopped(shop, run, redis_url):
    """What is stopped is known in the store only."""
    Path("rhythm.py").write_text(PERIODIC.format(url=redis_url))
    Path("remote.py").write_text(PERIODIC.format(url="redis://127.0.0.1:1/0"))
    try:
        told = run("tasks", "--app", "rhythm:app").stdout
        assert "every 90 s" in told
        assert "*/5 * * * * (Europe/Berlin)" in told
        assert "stopped" not in told
        app = importlib.import_module("rhythm").app

        async def stop():
            async with app:
                await app.queue.stop_recurrent("tick")

        asyncio.run(stop())
        assert "every 90 s: stopped" in run("tasks", "--app", "rhythm:app").stdout
        for name, states in (("rhythm", [None, None, "stopped"]), ("remote", [None] * 3)):
            found = json.loads(run("tasks", "--app", f"{name}:app", "--json").stdout)["tasks"]
            assert [task["state"] for task in found] == states
            assert [task["frequency"] for task in found] == [None, None, 90.0]
            assert [(task["cron"], task["timezone"]) for task in found][1] == ("*/5 * * * *", "Europe/Berlin")
    finally:
        for name in ("rhythm", "remote"):
            sys.modules.pop(name, None)


def test_queues(filled, run):
    told = run("queues", "--app", "shop:app")
    assert [line.split() for line in told.stdout.splitlines() if line.startswith((" math", " default"))] == [
        ["default", "0"],
        ["math", "1"],
    ]
    assert json.loads(run("queues", "--app", "shop:app", "--json").stdout) == {
        "queues": [{"name": "default", "length": 0}, {"name": "math", "length": 1}]
    }


def test_status(filled, run):
    told = run("status", "--app", "shop:app")
    assert "processed 0, failed 2, in the failed list 2" in told.stdout
    assert "leader: none" in told.stdout
    assert "delayed 1" in told.stdout
    assert "a second" not in told.stdout
    status = json.loads(run("status", "--app", "shop:app", "--json").stdout)
    assert abs(datetime.fromisoformat(status.pop("now")).timestamp() - time.time()) < 60
    assert status == {
        "backend": "memory://",
        "queues": [{"name": "default", "length": 0}, {"name": "math", "length": 1}],
        "processed": 0,
        "failed": 2,
        "failed_jobs": 2,
        "leader": None,
        "scheduler_lock": None,
        "error": None,
        "delayed": 1,
        "paused": False,
        "workers": [],
        "rates": None,
    }


def test_failed_is_a_table_that_cannot_steer_the_terminal(filled, run):
    told = run("failed", "--app", "shop:app")
    assert told.exit_code == 0
    assert "2 failed jobs, positions 0 to 1" in told.stdout
    assert "LookupError: nobody is called ann" in told.stdout
    assert "\\x1b[2Jbob" in told.stdout
    assert "\x1b" not in told.stdout
    assert "really" not in told.stdout


def test_failed_in_detail(filled, run):
    told = run("failed", "--app", "shop:app", "--verbose", "--start", "-2", "--limit", "1")
    assert "0  send_mail in queue default: LookupError: nobody is called ann" in told.stdout
    assert 'args: [{"to": "ann"}]' in told.stdout
    assert "shop.py" in told.stdout
    assert "really" in told.stdout
    assert "Next page: --start 1" in told.stdout


def test_failed_page_by_page_as_json(filled, run):
    told = json.loads(run("failed", "--app", "shop:app", "--json", "--start", "1").stdout)
    assert (told["total"], told["start"], len(told["failed"])) == (2, 1, 1)
    (entry,) = told["failed"]
    assert entry["job"] == {"name": "send_mail", "args": [{"to": "\x1b[2Jbob"}], "queue": "default"}
    assert (entry["position"], entry["queue"], entry["exception"]) == (1, "default", "LookupError")
    assert entry["error"].endswith("\nreally")
    assert entry["failed_at"].endswith("+00:00")
    assert entry["retried_at"] is entry["problem"] is None
    assert json.loads(entry["raw"])["payload"]["class"] == "send_mail"
    keys = "position job queue worker exception error backtrace failed_at retried_at problem raw list"
    assert list(entry) == keys.split()


def test_failed_beyond_the_end_and_without_any(filled, shop, run):
    assert "2 failed jobs, none from position 9" in run("failed", "--app", "shop:app", "--start", "9").stdout
    assert "no failed jobs" in run("failed", "--backend", "memory://").stdout


@pytest.mark.parametrize("verb", INSPECTING)
def test_in_memory_they_say_that_they_see_only_their_own_process(verb, shop, run):
    told = run(verb, "--backend", "memory://", "--json")
    assert told.exit_code == 0
    assert "jobs in memory:// exist only in the process that runs the app" in told.stderr
    json.loads(told.stdout)


@pytest.mark.parametrize("verb", INSPECTING)
def test_a_redis_that_is_away_is_named_without_the_password(verb, shop, run):
    for words in (["--app", "shop:away"], ["--backend", "redis://ann:s3cr3t@127.0.0.1:1/0"]):
        told = run(verb, *words)
        assert told.exit_code == 1
        assert told.stdout == ""
        assert told.stderr.startswith("Error: cannot reach Redis at redis://127.0.0.1:1/0: ")
        assert len(told.stderr.splitlines()) == 1
        assert "s3cr3t" not in told.output


@pytest.mark.parametrize("verb", INSPECTING)
def test_without_app_and_backend_they_say_what_to_pass(verb, run):
    told = run(verb)
    assert told.exit_code == 2
    assert "pass --app MODULE:ATTR" in told.stderr
    assert told.stderr.endswith(f"See taskhero {verb} --help\n")


def test_an_option_beats_the_environment(filled, run):
    told = run("queues", "--backend", "memory://", "--json", TASKHERO_APP="shop:app")
    assert json.loads(told.stdout) == {"queues": []}
    told = run("queues", "--json", TASKHERO_APP="shop:app", TASKHERO_BACKEND="redis://127.0.0.1:1")
    assert len(json.loads(told.stdout)["queues"]) == 2
    told = run("queues", "--app", "shop:app", "--backend", "memory://")
    assert told.exit_code == 2
    assert "not both" in told.stderr


def test_settings_from_outside_are_read_and_wrong_ones_are_named(shop, run):
    told = run("queues", "--backend", "memory://", TASKHERO_NAMESPACE="a:b", TASKHERO_TIMEOUT="9000")
    assert told.exit_code == 1
    assert "environment variable TASKHERO_TIMEOUT='9000'" in told.stderr


def test_a_misspelt_app_or_scheme_suggests_the_near_one(shop, run):
    assert "did you mean 'shop'?" in run("queues", "--app", "shp:app").stderr
    assert "did you mean 'away'?" in run("queues", "--app", "shop:awya").stderr
    told = run("queues", "--backend", "rdis://:s3cr3t@localhost")
    assert (told.exit_code, "did you mean 'redis://'?" in told.stderr, "s3cr3t" in told.output) == (1, True, False)


@pytest.mark.parametrize("verb", ["tasks", "status", "queues", "failed", "delayed"])
def test_the_page_shows_the_json_as_it_is(verb, filled, run):
    """docs/cli.md and the verbs agree, so that programs can rely on the page."""
    told = json.loads(run(verb, "--app", "shop:app", "--json").stdout)
    if verb == "status":
        # The page says of its workers that they are as those of `taskhero workers`.
        assert told.pop("workers") == shown_json("status").pop("workers")
        told["workers"] = []
    assert shape(told) == shape(shown_json(verb))
