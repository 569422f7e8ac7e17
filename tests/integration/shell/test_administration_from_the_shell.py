"""The verbs that mend failures, on a real server, and how all that mends asks first."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from docs_pages import shape, shown_json
from shell_fixtures import MENDING, Shop

from taskhero import TaskHero
from taskhero.backends.protocol import Entry
from taskhero.cli.main import taskhero as command

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
    assert told.stderr.endswith("gone: add [1, 2]: another program retried or removed it\n")
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
    assert (process.returncode, told) == (0, "retried 1 failed job, 0 not retried\n")
    assert "failed jobs" in bar
    assert "1/1" in bar


@pytest.mark.parametrize("words", MENDING, ids=" ".join)
def test_in_memory_they_say_that_they_see_only_their_own_process(
    words: list[str], run_away: Callable[..., Result]
) -> None:
    """And then that there is nothing to mend."""
    told = run_away(*words, "--yes", "--backend", "memory://")
    assert "jobs in memory:// exist only in the process that runs the app" in told.stderr
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
    assert refused.startswith("not retried: add [0, 0]: a plugin refuses it")
    assert broken == "not retried: add [-1, -1]: OSError: the calendar is away"
    assert impossible.startswith("not retried: (unreadable) ")
    assert "cannot be stored" in impossible
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
    assert (told.exit_code, told.stdout) == (0, "removed 3 failed jobs, 0 not removed\n")
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
    assert told.stdout == "retried 2 failed jobs, 0 not retried\n"
    assert shop.failures() == [[1, 1], [3]]
    assert sorted(shop.queued()) == [[2, 2], [4, 4]]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["failed", "retry", "--yes"], "or --all"),
        (["failed", "retry", "0", "--all", "--yes"], "or --all"),
        (["failed", "retry", "0", "--task", "add", "--yes"], "filter --all"),
        (["failed", "--queue", "mail", "remove", "--all", "--yes"], "--queue has no effect before 'remove'"),
        (["failed", "retry", "--al"], "No such option '--al'"),
        (["failed", "retry", "first", "--yes"], "'first' is not a position"),
        (["failed", "--list", "math", "--json"], "is not a failed list"),
        (["failed", "retyr", "0"], "; did you mean 'retry'?"),
        (["queues", "delete", "math", "--args", "[1]", "--yes"], "pass --task NAME"),
        (["delayed", "delete", "--yes"], "pass --task NAME, --queue NAME or both"),
        (["delayed", "delete", "--all", "--task", "add", "--yes"], "pass --task NAME, --queue NAME or both"),
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
    assert "'failed' has 0 failed jobs" in shop("failed", "show", "0").stderr
    shop.fail("add", 1, 2)
    shop.fail("add", 2, 3)
    for wrong in ("2", "-3"):
        told = shop("failed", "remove", "0", wrong, "--yes")
        assert (told.exit_code, told.stdout) == (1, "")
        assert (
            told.stderr == f"Error: there is no failed job at position {wrong} of 'failed': its positions are 0 to 1\n"
        )
    assert len(shop.failures()) == 2


def test_lists_of_ruby_for_single_queues_are_told_and_mended(shop: Shop) -> None:
    shop.fail("Mail", 1, queue="mail")
    shop.redis("RENAME", "resque:failed", "resque:mail_failed")
    shop.redis("SADD", "resque:failed_queues", "mail_failed")
    told = shop("failed")
    assert "no failed jobs" in told.stdout
    assert "Another failed list: --list mail_failed (1 entry)" in told.stdout
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
    assert shop("failed", "retry", "--all", "--yes").stdout == "retried 1200 failed jobs, 0 not retried\n"
    assert shop.do(lambda app: app.queue.length("math")) == 1202
