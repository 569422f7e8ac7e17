"""The verbs for queues, delayed jobs, workers, locks and periodic tasks, on a real server; and garbage."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime
from typing import Any

import pytest
from docs_pages import shape, shown_json
from shell_fixtures import Shop

from taskhero import TaskHero

MASTER_LOCK = "resque:resque:resque_scheduler_master_lock"

# --- queues and what is delayed


def test_queues_are_shown_page_by_page_and_deleted(shop: Shop) -> None:
    for n in range(3):
        shop.redis("RPUSH", "resque:queue:math", json.dumps({"class": "add", "args": [n, n]}))
    shop.redis("RPUSH", "resque:queue:math", '{"args":[9],"class":"mul"}')
    shop.redis("SADD", "resque:queues", "math")
    told = shop.json("queues", "show", "math", "--limit", "2")
    assert shape({**told, "next": None}) == shape(shown_json("queues show"))
    assert ([job["job"]["args"] for job in told["jobs"]], told["length"], told["next"]) == ([[0, 0], [1, 1]], 4, 2)
    (last,) = shop.json("queues", "show", "math", "--start", "-1")["jobs"]
    assert (last["position"], last["raw"]) == (3, '{"args":[9],"class":"mul"}')
    assert "Next page: --start 2" in shop("queues", "show", "math", "--limit", "2").stdout
    assert shop.json("queues", "delete", "math", "--task", "add", "--args", "[1, 1]", "--yes") == {
        "queue": "math",
        "deleted": 1,
    }
    assert shop.json("queues", "delete", "math", "--task", "add", "--yes")["deleted"] == 2
    told = shop.json("queues", "delete", "math", "--yes")
    assert (told["deleted"], shape(told)) == (1, shape(shown_json("queues delete")))
    told = shop("queues", "delete", "math", "--yes")
    assert (told.exit_code, told.stderr) == (1, "Error: there is no queue 'math'\n")


def test_deleting_jobs_releases_the_locks_that_they_held(shop: Shop) -> None:
    assert shop("enqueue", "once", "--args", "[1]").exit_code == 0
    assert shop("enqueue", "once", "--args", "[1]").exit_code == 1
    assert len(shop.json("locks")["locks"]) == 1
    assert shop("queues", "delete", "math", "--yes").stdout == "deleted 1 job of queue math, and the queue\n"
    assert shop.json("locks") == {"locks": []}


def test_delayed_jobs_are_listed_by_filters_and_deleted(shop: Shop, asked: None) -> None:
    async def fill(app: TaskHero) -> None:
        for n in (3, 1, 2):
            await app.queue.enqueue_at(4_000_000_000 + n, "add", [n], "math")
        await app.queue.enqueue_at(4_000_000_001, "mail", {"to": "ann"}, "mail")

    shop.do(fill)
    told = shop.json("delayed", "--limit", "3")
    assert shape({**told, "next": None}) == shape(shown_json("delayed"))
    assert [(each["job"]["name"], each["job"]["args"]) for each in told["delayed"]] == [
        ("add", [1]),
        ("mail", [{"to": "ann"}]),
        ("add", [2]),
    ]
    assert (told["delayed"][0]["at"], told["total"], told["next"]) == ("2096-10-02T07:06:41+00:00", 4, 3)
    assert [each["position"] for each in shop.json("delayed", "--task", "add", "--start", "1")["delayed"]] == [2, 3]
    assert [each["position"] for each in shop.json("delayed", "--queue", "mail")["delayed"]] == [1]
    told = shop("delayed", "delete", "--task", "add", "--args", "[1]", typed="y\n")
    assert (told.stdout, "Delete 1 delayed job? [y/N]" in told.stderr) == ("deleted 1 delayed job\n", True)
    assert shop("delayed", "delete", "--task", "ad", "--yes").stdout == "deleted 0 delayed jobs\n"
    told = shop.json("delayed", "delete", "--queue", "math", "--yes")
    assert (told, shape(told)) == ({"deleted": 2}, shape(shown_json("delayed delete")))
    assert shop.json("delayed")["total"] == 1


# --- workers, locks, periodic tasks


def test_workers_are_shown_cleaned_by_name_and_their_jobs_retried(shop: Shop) -> None:
    shop.leave_worker()
    shop.redis("SADD", "resque:workers", "idle:2+1:mail")
    told = shop.json("workers")
    (idle, old) = told["workers"]
    assert shape({**told, "workers": [old]}) == shape(shown_json("workers"))
    assert (idle["working"], idle["queues"], old["working"]["job"]["args"]) == (None, ["mail"], [7])
    assert [each["name"] for each in shop.json("workers", "--busy")["workers"]] == ["old:1+1"]
    told = shop("workers", "clean", "odl:1+1", "--yes")
    assert (told.exit_code, "did you mean 'old:1+1'?" in told.stderr) == (1, True)
    told = shop.json("workers", "clean", "old:1+1", "--yes")
    assert shape(told) == shape(shown_json("workers clean"))
    assert shop("workers", "clean", "idle:2+1", "--yes").stdout == "cleaned idle:2+1: was idle\n"
    assert shop.json("workers")["workers"] == []
    assert shop.failures() == [[7]]
    told = shop.json("workers", "retry-stuck", "--yes")
    assert (told, shape(told)) == ({"retried": 1}, shape(shown_json("workers retry-stuck")))
    assert shop.queued() == [[7]]


def test_a_worker_that_died_before_anyone_watched_it_is_cleaned_by_its_timestamps(shop: Shop) -> None:
    shop.leave_worker()
    assert shop.json("workers", "clean", "--age", "7200", "--yes")["cleaned"] == []
    (cleaned,) = shop.json("workers", "clean", "--age", "0.2", "--yes")["cleaned"]
    assert (cleaned["name"], cleaned["job"]["args"]) == ("old:1+1", [7])
    assert cleaned["silent_for"] >= 3600


def test_locks_are_listed_with_their_owners_and_deleted(shop: Shop) -> None:
    shop.redis("SET", "resque:lock:add:math:[1]", "4000000000")
    shop.redis("SET", "resque:workerslock:add:math:[1]", "4000000000:host:1+1/token")
    told = shop.json("locks")
    assert shape(told) == shape(shown_json("locks"))
    assert [(each["name"], each["lapses_at"], each["owner"]) for each in told["locks"]] == [
        ("lock:add:math:[1]", "2096-10-02T07:06:40+00:00", None),
        ("workerslock:add:math:[1]", "2096-10-02T07:06:40+00:00", "host:1+1/token"),
    ]
    assert [(each["kind"], each["has_lifetime"]) for each in told["locks"]] == [("queued", False), ("running", False)]
    told = shop("locks", "delete", "lock:add:math:[1]", "lock:add:math:[2]", "--yes")
    assert (told.exit_code, told.stdout) == (1, "deleted 1 lock\n")
    assert "there is no lock 'lock:add:math:[2]'" in told.stderr
    told = shop.json("locks", "delete", "workerslock:add:math:[1]", "--yes")
    assert (told, shape(told)) == ({"deleted": 1, "missing": []}, shape(shown_json("locks delete")))
    told = shop("locks", "delete", "queues", "--yes")
    assert (told.exit_code, "is not the name of a lock" in told.stderr) == (1, True)


def test_what_ends_each_lock_is_shown(shop: Shop) -> None:
    """The real lifetime, or what counts where a program left none."""
    shop.redis("SET", "resque:lock:a", "4000000000", "EX", "90")
    shop.redis("SET", "resque:lock:b", "true")
    shop.redis("SET", "resque:workerslock:a", "4000000000")
    shop.redis("SET", "resque:workerslock:b", "4000000000", "EX", "90")
    shop.redis("SET", "resque:workerslock:c", "true")
    shop.redis("SET", "resque:workerslock:d", "4000000000:host:1+1/1.1", "EX", "90")
    shop.redis("SET", MASTER_LOCK, "ruby-host:7", "EX", "170")
    locks = {lock["name"]: lock for lock in shop.json("locks")["locks"]}
    now = time.time()
    left = {
        name: None if lock["lapses_at"] is None else datetime.fromisoformat(lock["lapses_at"]).timestamp() - now
        for name, lock in locks.items()
    }
    for name, seconds in (("lock:a", 90), ("workerslock:b", 90), ("workerslock:d", 90), (MASTER_LOCK, 170)):
        assert locks[name]["has_lifetime"] is True
        assert seconds - 20 < left[name] < seconds + 2
    assert left["workerslock:a"] == pytest.approx(4_000_000_060 - now)
    assert left["workerslock:c"] is None
    assert {name: lock["ends"] for name, lock in locks.items()} == {
        "lock:a": "a worker claims its job, or the job is deleted",
        "lock:b": "its value is not a Unix second, so it counts as free",
        "workerslock:a": "its job ends in the program that holds it",
        "workerslock:b": "its job ends in the program that holds it",
        "workerslock:c": "nothing ends it: delete it if no job needs it",
        "workerslock:d": "its job or its process ends",
        MASTER_LOCK: "its scheduler stops",
    }
    told = shop("locks").stdout
    assert "7 locks" in told
    assert "no TTL" in told
    assert "never" in told


def test_the_lock_of_another_programs_scheduler_is_shown(shop: Shop) -> None:
    """With its holder, in the status and among the locks; without a lifetime too."""
    assert shop.json("status")["scheduler_lock"] is None
    shop.redis("SET", MASTER_LOCK, "dead-host:123")
    told = shop.json("status")["scheduler_lock"]
    assert told == {"key": MASTER_LOCK, "holder": "dead-host:123", "since": None, "expires_in": None, "dead": False}
    lines = shop("status").stdout.splitlines()
    first = lines.index("taskhero promotes no delayed jobs: another program's scheduler leads")
    assert lines[first + 1 : first + 3] == [f"  lock: {MASTER_LOCK}", "  holder: dead-host:123, no TTL"]
    (lock,) = shop.json("locks")["locks"]
    assert (lock["name"], lock["kind"], lock["owner"], lock["lapses_at"]) == (
        MASTER_LOCK,
        "scheduler",
        "dead-host:123",
        None,
    )
    assert lock["ends"] == "its scheduler stops; it counts as dead after 10 minutes without a change"


def test_periodic_tasks_are_shown_stopped_and_started(shop: Shop) -> None:
    def clean_up() -> Any:
        return next(task for task in shop.json("tasks")["tasks"] if task["name"] == "clean_up")

    assert (clean_up()["frequency"], clean_up()["state"]) == (3600, None)
    assert "every 3600 s: no process schedules it" in shop("tasks").stdout
    told = shop.json("tasks", "start", "clean_up")
    assert (told, shape(told)) == ({"task": "clean_up", "started": True}, shape(shown_json("tasks stop", 1)))
    told = shop.json("tasks", "stop", "clean_up")
    assert (told, shape(told)) == ({"task": "clean_up", "removed": 1}, shape(shown_json("tasks stop")))

    async def declare() -> None:
        import shop as module

        async with module.app as app:
            await app.backend.declare_periodic(app.queue.declared_periodic(), 60)

    asyncio.run(declare())
    assert clean_up()["state"] == "stopped"
    assert "every 3600 s: stopped" in shop("tasks").stdout
    assert shop("tasks", "start", "clean_up").stdout == "started clean_up; it runs every 3600 s\n"
    assert clean_up()["state"] == "active"
    assert "is not periodic" in shop("tasks", "stop", "add").stderr
    assert shop("tasks", "stop", "ad").exit_code == 1


def test_tasks_are_listed_though_redis_is_away(shop: Shop) -> None:
    shop.server.kill()
    told = shop("tasks", "--json")
    assert told.exit_code == 0
    assert told.stderr.startswith("Note: the states of periodic tasks are unknown: cannot reach Redis")
    assert {task["state"] for task in json.loads(told.stdout)["tasks"]} == {None}


# --- everything at once


def test_status_shows_who_works_on_what_and_that_all_are_paused(shop: Shop) -> None:
    shop.leave_worker()
    shop.redis("SET", "resque:pause-all-workers", "true")
    told = shop("status").stdout
    assert "1 worker, 1 busy" in told
    assert "add [7]" in told
    assert "all workers are paused" in told
    told = shop.json("status")
    assert told["paused"] is True
    assert shape(told["workers"]) == shape(shown_json("workers")["workers"])


def test_status_shows_the_numbers_before_what_may_be_long(shop: Shop) -> None:
    """A terminal cuts at the bottom: of many busy workers some are shown, and how many more there are."""
    for n in range(20):
        shop.leave_worker(f"old:{n}+1", args=(n,))
    told = shop("status").stdout
    assert told.index("20 workers, 20 busy") < told.index(" queue ") < told.index(" worker ")
    assert told.count("add [") == 15
    assert "5 more are busy: taskhero workers --busy" in told
    assert len(shop.json("status")["workers"]) == 20


GARBAGE = [
    b"",
    b"no json",
    b"null",
    b"7",
    b"[1]",
    b"{}",
    b'{"class":"add","args":[' + b"9" * 5000 + b"]}",
    b'{"class":"add","args":' + b"[" * 2000 + b"]" * 2000 + b"}",
    b'{"class":"\\ud800\\u001b[2J","args":["\xff\xfe \xe2\x80\xae"]}',
    b'{"class":"add","args":"[bold]x[/bold]"}',
    b'{"failed_at":"yesterday","payload":7,"exception":[],"error":{},"backtrace":"x","worker":0,"queue":null}',
]


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["queues"],
        ["queues", "show", "math"],
        ["queues", "show", "wrong"],
        ["delayed"],
        ["delayed", "--task", "add"],
        ["workers"],
        ["failed"],
        ["failed", "--verbose"],
        ["failed", "--task", "add", "--older-than", "1h"],
        ["failed", "show", *map(str, range(len(GARBAGE)))],
        ["locks"],
    ],
    ids=" ".join,
)
def test_garbage_is_shown_as_such_and_breaks_no_verb(words: list[str], shop: Shop) -> None:
    """Whatever lies in Redis, each verb ends with 0, prints JSON that can be read, and does not steer the terminal."""
    for at, text in enumerate(GARBAGE):
        shop.redis("RPUSH", "resque:queue:math", text)
        shop.redis("RPUSH", "resque:failed", text)
        shop.redis("RPUSH", "resque:delayed:4000000000", text)
        shop.redis("SADD", "resque:workers", b"w%d:1:" % at + text[:50])
        shop.redis("SET", b"resque:worker:w%d:1:" % at + text[:50], text)
        shop.redis("SET", b"resque:worker:ping:w%d:1" % at, text)
        shop.redis("SET", b"resque:lock:%d" % at + text[:50], text[:100])
    shop.redis("SADD", "resque:queues", "math", "wrong", b"\xff\x1b[2J")
    shop.redis("ZADD", "resque:delayed_queue_schedule", 4_000_000_000, "4000000000", 1, "never", 2, "1e400")
    shop.redis("SET", "resque:delayed:5", "no list")
    shop.redis("HSET", "resque:queue:wrong", "a", "b")
    shop.redis("HSET", "resque:lock:wrong", "a", "b")
    shop.redis("HSET", "resque:worker:w1:1:", "a", "b")
    shop.redis("SET", "resque:stat:processed", "many")
    told = shop(*words)
    assert (told.exit_code, told.stderr) == (0, "")
    assert not any(sign in told.stdout for sign in "\x1b\u202e\x00")
    json.loads(shop(*words, "--json").stdout)
