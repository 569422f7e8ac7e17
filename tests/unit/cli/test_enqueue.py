"""The verb enqueue: what it refuses; what it stores is seen with a real server."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["add", "--args", "[1]"], 1, "add(a: int, b: int) -> int takes a list, and these args do not fit: [1]"),
        (["ad", "--args", "[1, 2]"], 1, "does not declare a task 'ad'; did you mean 'add'?"),
        (["add", "--args", "[1"], 2, "'[1' is not JSON"),
        (["add", "--args", "[1e400]"], 2, "'[1e400]' contains a number that is too large"),
        (["add", "--args", "[NaN, 1]"], 2, "Invalid value for '--args'"),
        (["add", "--in", "soon"], 2, "'soon' is not a duration: pass seconds such as 90"),
        (["add", "--in", "-1"], 2, "'-1' is not a duration"),
        (["add", "--in", "1000000"], 2, "seconds are more than a week: pass a unit, such as 10d"),
        (["add", "--at", "tomorrow"], 2, "'tomorrow' is not a time: pass 2027-01-15T08:00:00Z"),
        (["add", "--at", "2027-01-15"], 2, "has no time zone: write 2027-01-15T00:00:00Z"),
        (["add", "--at", "1800000000000"], 2, "it looks like milliseconds"),
        (["add", "--at", "nan"], 2, "is not finite"),
        (["add", "--in", "1", "--at", "1"], 2, "pass --in or --at, not both"),
        (["add", "--queue", "a,b", "--args", "[1, 2]"], 1, "a,b"),
        (["add", "--args", "[1, 2]"], 1, "cannot reach Redis at redis://127.0.0.1:1/0"),
        ([], 2, "Missing argument 'NAME'"),
    ],
)
def test_what_cannot_be_is_said_in_a_line_or_two(words, code, said, shop, run):
    told = run("enqueue", *words, "--app", "shop:away")
    assert told.exit_code == code
    assert told.stdout == ""
    assert said in told.stderr
    assert len(told.stderr.splitlines()) <= 2
    assert "s3cr3t" not in told.output


def test_a_job_for_memory_would_be_gone_and_is_refused(shop, run):
    told = run("enqueue", "add", "--args", "[1, 2]", "--app", "shop:app")
    assert told.exit_code == 1
    assert "so this job would be lost" in told.stderr


def test_without_an_app_a_queue_is_needed(run):
    told = run("enqueue", "add", "--backend", "redis://127.0.0.1:1")
    assert told.exit_code == 2
    assert "so a queue is required: pass --queue NAME" in told.stderr


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("en", "plain,enqueue"),
        ("st", "plain,status"),
        ("work --proc", "plain,--processes"),
        ("enqueue x --qu", "plain,--queue"),
    ],
)
def test_verbs_and_options_are_completed(typed, completed, run):
    told = run(_TASKHERO_COMPLETE="bash_complete", COMP_WORDS=f"taskhero {typed}", COMP_CWORD=str(len(typed.split())))
    assert told.stdout.splitlines() == [completed]


@pytest.mark.parametrize(
    ("shell", "mark"), [("bash", "complete -o nosort"), ("zsh", "#compdef taskhero"), ("fish", "complete --")]
)
def test_each_shell_gets_its_script(shell, mark, run):
    """As docs/cli.md has it."""
    page = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    assert f"_TASKHERO_COMPLETE={shell}_source taskhero" in page
    assert mark in run(_TASKHERO_COMPLETE=f"{shell}_source").stdout


def test_names_of_tasks_are_completed(shop, run):
    told = run(
        _TASKHERO_COMPLETE="bash_complete", COMP_WORDS="taskhero enqueue s", COMP_CWORD="2", TASKHERO_APP="shop:app"
    )
    assert told.stdout == "plain,send_mail\n"
