"""The verbs that look and mend, on a real server: what they print, what they change, and what they leave alone."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pages import shape, shown_json

from taskhero import TaskHero
from taskhero.backends.protocol import Entry
from taskhero.cli.main import taskhero as command
from taskhero.wire.failures import encode_failure

SHOP = """
import os
from taskhero import TaskHero, hookimpl
from taskhero.plugins import QueueLock

class Closed:
    @hookimpl
    def taskhero_before_enqueue(self, job, ctx):
        if job.args == [-1, -1]:
            raise OSError("the calendar is away")
        return job.args != [0, 0]

app = TaskHero(os.environ["SHOP_URL"], plugins=[Closed()])

@app.task(queue="math")
def add(a: int, b: int) -> int:
    return a + b

@app.task(queue="math", plugins=(QueueLock(),))
def once(n: int) -> None: ...

@app.task(frequency=3600)
async def clean_up() -> None: ...
"""
MENDING = [
    ["queues", "delete", "math"],
    ["delayed", "delete", "--all"],
    ["workers", "clean", "--age", "60"],
    ["workers", "clean", "old:1+1"],
    ["workers", "retry-stuck"],
    ["failed", "retry", "0"],
    ["failed", "retry", "--all"],
    ["failed", "remove", "0"],
    ["failed", "remove", "--all"],
    ["locks", "delete", "lock:x"],
]


class Shop:
    """A folder with `shop.py` whose app is on a server, and the command in it."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.url: str = server.url

    def __call__(self, *words: str, typed: str = "") -> Result:
        """Run a verb on the app."""
        told = CliRunner().invoke(command, [*words, "--app", "shop:app"], input=typed, prog_name="taskhero")
        assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
        assert "Traceback" not in told.stderr
        return told

    def json(self, *words: str, code: int = 0) -> Any:
        """What a verb prints with ``--json``."""
        told = self(*words, "--json")
        assert told.exit_code == code, told.output
        return json.loads(told.stdout)

    def do(self, work: Callable[[TaskHero], Awaitable[Any]]) -> Any:
        """Do something with an app of no tasks on the server."""

        async def main() -> Any:
            async with TaskHero(self.url) as app:
                return await work(app)

        return asyncio.run(main())

    def redis(self, *words: str | bytes | int) -> None:
        """Send a command to the server."""
        assert not self.server.command(*words).startswith(b"-"), words

    def fail(self, name: str, *args: Any, queue: str = "math", exception: str = "LookupError", age: float = 0) -> None:
        """List a failure."""
        raw = json.dumps({"class": name, "args": args})
        text = encode_failure(
            raw=raw,
            queue=queue,
            worker="host:17+1",
            exception=exception,
            error=f"no {name}",
            backtrace=["Traceback", "  line"],
            failed_at=time.time() - age,
        )
        self.redis("RPUSH", "resque:failed", text)

    def failures(self) -> list[Any]:
        """The arguments of all that is listed as failed."""
        return [each.job.args for each in self.do(lambda app: app.queue.failed())]

    def queued(self, queue: str = "math") -> list[Any]:
        """The arguments of all that waits in a queue."""
        return [each.args for each in self.do(lambda app: app.queue.queued(queue))]

    def leave_worker(self, name: str = "old:1+1", queues: str = "math", args: tuple[Any, ...] = (7,)) -> None:
        """A worker of node-resque, busy for an hour."""
        date = datetime.fromtimestamp(time.time() - 3600, UTC).isoformat()
        working = {"run_at": date, "queue": "math", "payload": {"class": "add", "args": list(args)}, "worker": name}
        self.redis("SADD", "resque:workers", f"{name}:{queues}")
        self.redis("SET", f"resque:worker:{name}:{queues}", json.dumps(working))


@pytest.fixture
def shop(start_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """An app on a server."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "shop.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    server = start_server("redis7")
    monkeypatch.setenv("SHOP_URL", server.url)
    return Shop(server)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sits at a terminal."""
    monkeypatch.setattr("taskhero.cli.given._can_ask", lambda: True)


# --- asking


@pytest.mark.parametrize("words", MENDING, ids=" ".join)
def test_what_changes_something_wants_yes_where_nobody_can_be_asked(words: list[str], shop: Shop) -> None:
    """Nothing is done, one line says why, and the exit code is that of a command written wrongly."""
    shop.fail("add", 1, 2)
    shop.redis("RPUSH", "resque:queue:math", '{"class":"add","args":[1,2]}')
    told = shop(*words)
    assert (told.exit_code, told.stdout, len(told.stderr.splitlines())) == (2, "", 1)
    assert "--yes" in told.stderr
    assert (shop.failures(), shop.queued()) == ([[1, 2]], [[1, 2]])


@pytest.mark.parametrize("words", MENDING, ids=" ".join)
def test_a_redis_that_is_away_is_one_line(words: list[str], run_away: Callable[..., Result]) -> None:
    """Without a traceback or a password."""
    told = run_away(*words, "--yes", "--backend", "redis://ann:s3cr3t@127.0.0.1:1/0")
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr.startswith("Error: cannot reach Redis at redis://127.0.0.1:1/0: ")
    assert len(told.stderr.splitlines()) == 1


@pytest.fixture
def run_away() -> Callable[..., Result]:
    """Run the command without any app."""
    return lambda *words: CliRunner().invoke(command, words, prog_name="taskhero")


def test_a_no_leaves_all_as_it_is(shop: Shop, asked: None) -> None:
    shop.fail("add", 1, 2)
    told = shop("failed", "retry", "0", typed="n\n")
    assert told.exit_code == 1
    assert "0  add [1, 2] in queue math: LookupError: no add" in told.stderr
    assert "Retry 1 failed job? [y/N]" in told.stderr
    assert told.stderr.endswith("Error: nothing was done\n")
    assert (shop.failures(), shop.queued()) == ([[1, 2]], [])


def test_what_was_shown_is_retried_though_the_list_has_moved(
    shop: Shop, asked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one reads the question, others remove what stood before, and more jobs fail."""
    for n in range(4):
        shop.fail("add", n, n + 1)

    def think(question: str, **_options: Any) -> bool:
        shop.redis("LPOP", "resque:failed")
        shop.fail("add", 9, 9)
        return True

    monkeypatch.setattr("click.confirm", think)
    told = shop("failed", "retry", "2", "-1")
    assert told.exit_code == 0, told.output
    assert told.stdout == "retried add [2, 3] of queue math\nretried add [3, 4] of queue math\n"
    assert shop.queued() == [[2, 3], [3, 4]]
    assert shop.failures() == [[1, 2], [9, 9]]


@pytest.mark.parametrize("verb", ["retry", "remove"])
def test_what_somebody_else_mended_meanwhile_is_told(
    verb: str, shop: Shop, asked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.fail("add", 1, 2)
    monkeypatch.setattr("click.confirm", lambda *_, **__: shop.redis("DEL", "resque:failed") is None)
    told = shop("failed", verb, "0")
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr.endswith("gone: add [1, 2]: somebody else retried or removed it\n")
    assert shop.queued() == []


def test_a_person_at_a_terminal_is_asked(shop: Shop, tmp_path: Path) -> None:
    """A real process on a real terminal."""
    shop.fail("add", 1, 2)
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "taskhero", "failed", "retry", "0", "--app", "shop:app"]
    process = subprocess.Popen(
        words, cwd=tmp_path, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ}, text=True
    )
    os.close(theirs)
    os.write(ours, b"y\n")
    told, errors = process.communicate(timeout=60)
    os.close(ours)
    assert (process.returncode, told) == (0, "retried add [1, 2] of queue math\n")
    assert "Retry 1 failed job? [y/N]" in errors


def test_long_work_shows_how_far_it_is_on_a_terminal(shop: Shop, tmp_path: Path) -> None:
    """On the error output, so that what is printed for programs stays clean."""
    shop.fail("add", 1, 2)
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "taskhero", "failed", "retry", "--all", "--yes", "--app", "shop:app"]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    process = subprocess.Popen(
        words, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, env=environment, text=True
    )
    os.close(theirs)
    told, _ = process.communicate(timeout=60)
    bar = os.read(ours, 100_000).decode()
    os.close(ours)
    assert (process.returncode, told) == (0, "retried 1 failed job, 0 stay\n")
    assert "failed jobs" in bar
    assert "1/1" in bar


@pytest.mark.parametrize("words", MENDING, ids=" ".join)
def test_in_memory_they_say_that_they_see_only_their_own_process(
    words: list[str], run_away: Callable[..., Result]
) -> None:
    """And then that there is nothing to mend."""
    told = run_away(*words, "--yes", "--backend", "memory://")
    assert "jobs in memory:// are seen by their own process only" in told.stderr
    assert told.exit_code in {0, 1}


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("queues show mat", "plain,math"),
        ("queues delete --backend URL mat", "plain,math"),
        ("tasks stop cl", "plain,clean_up"),
        ("failed re", "plain,remove plain,retry"),
    ],
)
def test_names_are_completed(typed: str, completed: str, shop: Shop) -> None:
    """Those of queues are asked for where the jobs are."""
    shop.redis("SADD", "resque:queues", "math", "mail")
    words = typed.replace("URL", shop.url)
    variables = {"_TASKHERO_COMPLETE": "bash_complete", "COMP_WORDS": f"taskhero {words}", "TASKHERO_APP": "shop:app"}
    told = CliRunner().invoke(
        command, [], env={**variables, "COMP_CWORD": str(len(words.split()))}, prog_name="taskhero"
    )
    assert told.stdout.split() == completed.split()


# --- failures


def test_failures_that_stay_are_told_with_the_reason(shop: Shop) -> None:
    """A plugin refuses, a plugin breaks, there is no job: each stays, the others are done, the exit code is 1."""
    for args in ((0, 0), (-1, -1), (1, 2)):
        shop.fail("add", *args)
    shop.redis("RPUSH", "resque:failed", "no job at all")
    told = shop("failed", "retry", "0", "1", "2", "3", "--yes")
    assert told.exit_code == 1
    assert told.stdout == "retried add [1, 2] of queue math\n"
    refused, broken, impossible = told.stderr.splitlines()
    assert refused.startswith("stays: add [0, 0]: a plugin does not let it be stored")
    assert broken == "stays: add [-1, -1]: OSError: the calendar is away"
    assert impossible.startswith("stays: (unreadable) ")
    assert "holds no job" in impossible
    assert len(shop.failures()) == 3
    told = shop.json("failed", "retry", "--all", "--yes", code=1)
    assert shape(told) == shape(shown_json("failed retry"))
    assert {key: told[key] for key in ("done", "gone", "refused", "impossible")} == {
        "done": 0,
        "gone": 0,
        "refused": 2,
        "impossible": 1,
    }
    told = shop("failed", "remove", "--all", "--yes")
    assert (told.exit_code, told.stdout) == (0, "removed 3 failed jobs, 0 stay\n")
    assert shop.failures() == []


def test_filters_say_which_failures_are_listed_and_mended(shop: Shop, asked: None) -> None:
    shop.fail("add", 1, 1)
    shop.fail("add", 2, 2, exception="net.ConnectionError", age=7200)
    shop.fail("mail", 3, queue="mail", exception="ConnectionError")
    shop.fail("add", 4, 4, exception="ConnectionError")

    def found(*words: str) -> list[tuple[int, Any]]:
        return [(each["position"], each["job"]["args"]) for each in shop.json("failed", *words)["failed"]]

    assert found("--exception", "ConnectionError") == [(1, [2, 2]), (2, [3]), (3, [4, 4])]
    assert found("-q", "mail") == found("--task", "mail") == [(2, [3])]
    assert found("-t", "add", "--older-than", "1h") == [(1, [2, 2])]
    assert found("-t", "add", "--younger-than", "1h") == [(0, [1, 1]), (3, [4, 4])]
    page = shop.json("failed", "-t", "add", "--limit", "2")
    assert ([each["position"] for each in page["failed"]], page["next"]) == ([0, 1], 2)
    assert found("-t", "add", "--start", str(page["next"])) == [(3, [4, 4])]
    told = shop("failed", "retry", "--all", "-t", "add", "-e", "ConnectionError", typed="y\n")
    assert "Retry 2 failed jobs? [y/N]" in told.stderr
    assert told.stdout == "retried 2 failed jobs, 0 stay\n"
    assert shop.failures() == [[1, 1], [3]]
    assert sorted(shop.queued()) == [[2, 2], [4, 4]]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["failed", "retry", "--yes"], "or --all"),
        (["failed", "retry", "0", "--all", "--yes"], "or --all"),
        (["failed", "retry", "0", "--task", "add", "--yes"], "are for --all"),
        (["failed", "--queue", "mail", "remove", "--all", "--yes"], "--queue stands before 'remove'"),
        (["failed", "retry", "--al"], "No such option '--al'"),
        (["failed", "retry", "first", "--yes"], "'first' is no position"),
        (["failed", "--list", "math", "--json"], "is no list of failures"),
        (["failed", "retyr", "0"], "Did you mean 'retry'?"),
        (["queues", "delete", "math", "--args", "[1]", "--yes"], "pass --task NAME"),
        (["delayed", "delete", "--yes"], "say which delayed jobs"),
        (["delayed", "delete", "--all", "--task", "add", "--yes"], "say which delayed jobs"),
        (["workers", "clean", "--yes"], "or --age SECONDS"),
        (["workers", "clean", "old:1+1", "--age", "1h", "--yes"], "or --age SECONDS"),
    ],
)
def test_what_is_written_wrong_changes_nothing(words: list[str], why: str, shop: Shop) -> None:
    shop.fail("add", 1, 2)
    told = shop(*words)
    assert (told.exit_code, told.stdout) == (2, "")
    assert why in told.stderr
    assert shop.failures() == [[1, 2]]


def test_a_position_beyond_the_list_says_which_there_are(shop: Shop) -> None:
    """Of several positions, none is touched if one is wrong."""
    assert "'failed' holds 0 failed jobs" in shop("failed", "show", "0").stderr
    shop.fail("add", 1, 2)
    shop.fail("add", 2, 3)
    for wrong in ("2", "-3"):
        told = shop("failed", "remove", "0", wrong, "--yes")
        assert (told.exit_code, told.stdout) == (1, "")
        assert told.stderr == f"Error: there is no failure at position {wrong} of 'failed': its positions are 0 to 1\n"
    assert len(shop.failures()) == 2


def test_lists_of_ruby_for_single_queues_are_told_and_mended(shop: Shop) -> None:
    shop.fail("Mail", 1, queue="mail")
    shop.redis("RENAME", "resque:failed", "resque:mail_failed")
    shop.redis("SADD", "resque:failed_queues", "mail_failed")
    told = shop("failed")
    assert "no failed jobs" in told.stdout
    assert "Another list of failures: --list mail_failed (1 entry)" in told.stdout
    assert shop.json("failed", "show", "0", "--list", "mail_failed")["failed"][0]["list"] == "mail_failed"
    assert "did you mean 'mail_failed'?" in shop("failed", "show", "0", "--list", "mial_failed").stderr
    assert shop("failed", "retry", "0", "--list", "mail_failed", "--yes").exit_code == 0
    assert shop.queued("mail") == [[1]]


def test_show_tells_all_and_options_may_stand_before_the_verb(shop: Shop) -> None:
    shop.fail("add", 1, 2)
    told = CliRunner().invoke(command, ["failed", "--backend", shop.url, "--json", "show", "-1"])
    assert told.exit_code == 0, told.output
    assert shape(json.loads(told.stdout)["failed"]) == shape(shown_json("failed")["failed"])
    told = shop("failed", "show", "0")
    for line in ("0  add in queue math: LookupError: no add", "  args: [1, 2]", "  worker: host:17+1", "    Traceback"):
        assert line in told.stdout.splitlines()


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
    assert "The next: --start 2" in shop("queues", "show", "math", "--limit", "2").stdout
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


def test_workers_by_age_are_first_watched_and_then_cleaned(shop: Shop) -> None:
    """Another program's worker is silent from the first look on, whatever its own clock said."""
    shop.leave_worker()
    told = shop("workers", "clean", "--age", "0.2", "--yes")
    assert told.stdout == "no worker is known to have been silent for 0 s\n"
    deadline = time.monotonic() + 20
    while not (cleaned := shop.json("workers", "clean", "--age", "0.2", "--yes")["cleaned"]):
        assert time.monotonic() < deadline
    assert (cleaned[0]["name"], cleaned[0]["job"]["args"]) == ("old:1+1", [7])
    assert cleaned[0]["silent_for"] >= 0.2


def test_locks_are_listed_with_their_owners_and_deleted(shop: Shop) -> None:
    shop.redis("SET", "resque:lock:add:math:[1]", "4000000000")
    shop.redis("SET", "resque:workerslock:add:math:[1]", "4000000000:host:1+1/token")
    told = shop.json("locks")
    assert shape(told) == shape(shown_json("locks"))
    assert [(each["name"], each["lapses_at"], each["owner"]) for each in told["locks"]] == [
        ("lock:add:math:[1]", "2096-10-02T07:06:40+00:00", None),
        ("workerslock:add:math:[1]", "2096-10-02T07:06:40+00:00", "host:1+1/token"),
    ]
    told = shop("locks", "delete", "lock:add:math:[1]", "lock:add:math:[2]", "--yes")
    assert (told.exit_code, told.stdout) == (1, "deleted 1 lock\n")
    assert "there is no lock 'lock:add:math:[2]'" in told.stderr
    told = shop.json("locks", "delete", "workerslock:add:math:[1]", "--yes")
    assert (told, shape(told)) == ({"deleted": 1, "missing": []}, shape(shown_json("locks delete")))
    told = shop("locks", "delete", "queues", "--yes")
    assert (told.exit_code, "is no lock's name" in told.stderr) == (1, True)


def test_periodic_tasks_are_shown_stopped_and_started(shop: Shop) -> None:
    def clean_up() -> Any:
        return next(task for task in shop.json("tasks")["tasks"] if task["name"] == "clean_up")

    assert (clean_up()["frequency"], clean_up()["state"]) == (3600, None)
    assert "every 3600 s: no process keeps it going" in shop("tasks").stdout
    told = shop.json("tasks", "start", "clean_up")
    assert (told, shape(told)) == ({"task": "clean_up", "started": True}, shape(shown_json("tasks stop", 1)))
    told = shop.json("tasks", "stop", "clean_up")
    assert (told, shape(told)) == ({"task": "clean_up", "removed": 1}, shape(shown_json("tasks stop")))

    async def declare() -> None:
        import shop as module

        async with module.app as app:
            await app.backend.periodic(app.queue.declared_periodic(), 60)

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
    assert told.stderr.startswith("Note: whether periodic tasks are stopped is not known: cannot reach Redis")
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


def test_failures_of_a_wrong_type_are_shown_and_mended_no_further(shop: Shop) -> None:
    shop.redis("SET", "resque:failed", "no list")
    told = shop("failed")
    assert (told.exit_code, told.stderr) == (0, "")
    for verb in ("retry", "remove"):
        told = shop("failed", verb, "--all", "--yes")
        assert (told.exit_code, told.stdout.startswith(("retried 0", "removed 0"))) == (0, True)


def test_many_failures_are_mended_in_bulk(shop: Shop) -> None:
    async def fill(app: TaskHero) -> None:
        await app.backend.push([Entry("math", json.dumps({"class": "add", "args": [n, n]})) for n in range(2)])

    shop.do(fill)
    raw = json.dumps({"failed_at": "x", "payload": {"class": "add", "args": [5, 5]}, "queue": "math"})
    for _ in range(4):
        shop.redis("RPUSH", "resque:failed", *[raw] * 300)
    assert shop("failed", "retry", "--all", "--yes").stdout == "retried 1200 failed jobs, 0 stay\n"
    assert shop.do(lambda app: app.queue.length("math")) == 1202
