"""The command `taskhero` as a whole: its help, its version, and what it says to what it does not know."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

import taskhero
from taskhero.cli.main import taskhero as command


def test_help_lists_every_verb_with_a_line() -> None:
    """Whoever types `taskhero -h` sees what there is."""
    told = CliRunner().invoke(command, ["-h"])
    assert told.exit_code == 0
    lines = dict(re.findall(r"^  (\w+) +(\w+)", told.output.partition("Commands:")[2], re.MULTILINE))
    verbs = {"demo": "Run", "enqueue": "Enqueue", "failed": "List", "generate": "Write", "queues": "List"}
    verbs |= {"plugins": "List", "status": "Show", "tasks": "List", "work": "Run"}
    assert lines == verbs | {"delayed": "List", "locks": "List", "workers": "List"}


def test_version_is_that_of_the_package() -> None:
    """One source for the version."""
    assert CliRunner().invoke(command, ["--version"]).output == f"taskhero, version {taskhero.__version__}\n"


def test_an_unknown_verb_is_refused_with_exit_code_2() -> None:
    """Scripts can trust the exit code, and nobody sees a traceback."""
    told = CliRunner().invoke(command, ["dmeo"], prog_name="taskhero")
    assert told.exit_code == 2
    assert told.stderr == "Error: No such command 'dmeo'; did you mean 'demo'?\nSee taskhero --help\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("worker", "No such command 'worker'. Run workers with taskhero work --app MODULE:ATTR"),
        ("run", "taskhero work --app MODULE:ATTR"),
        ("beat", "Run a scheduler without workers with taskhero work --app MODULE:ATTR -c 0 --scheduler"),
        ("inspect", "taskhero status"),
        ("flower", "taskhero status --watch"),
        ("purge", "taskhero queues delete NAME"),
        ("call add", "taskhero enqueue NAME"),
        ("requeue", "taskhero failed retry"),
        ("help", "taskhero --help"),
        ("--app shop:app work", "Write a verb's options after the verb: taskhero work --app ..."),
        ("-A shop worker", "Write a verb's options after the verb: taskhero work -A ..."),
        ("work shop:app", "pass the app as --app shop:app"),
        ("work --app shop:app high low", "pass queues as --queue high --queue low"),
        ("work --app shop:app --concurrency 4", "No such option '--concurrency': use --max-processors (-c)"),
        ("work --app shop:app --verbose", "use --log-level debug"),
        ("work --app shop:app -l info", "use --log-level"),
        ("work --app shop:app -w 4", "use --processes"),
        ("work --app shop:app -q high,low", "pass --queue high --queue low"),
        ("enqueue add 1 2 --app shop:app", "pass arguments as JSON, --args '[1, 2]'"),
        ("enqueue mail to=ann --app shop:app", "pass arguments as JSON, --args"),
    ],
)
def test_who_comes_from_elsewhere_is_told_how_it_is_written_here(words: str, said: str) -> None:
    told = CliRunner().invoke(command, words.split(), prog_name="taskhero")
    assert told.exit_code == 2
    assert said in told.stderr.splitlines()[0]
    assert len(told.stderr.splitlines()) == 2


def test_the_short_form_of_version() -> None:
    assert CliRunner().invoke(command, ["-V"]).output == CliRunner().invoke(command, ["--version"]).output


@pytest.mark.parametrize(
    "verb", ["enqueue", "tasks", "status", "queues", "delayed", "workers", "failed", "locks", "plugins"]
)
def test_the_help_of_a_verb_has_examples(verb: str) -> None:
    """One reads how it is meant, and copies."""
    told = CliRunner().invoke(command, [verb, "--help"], prog_name="taskhero")
    assert told.exit_code == 0
    assert f"  taskhero {verb} " in told.output
    assert "--json" in told.output


def test_starting_imports_only_what_the_verb_needs() -> None:
    """Help and completion answer quickly."""
    code = (
        "import sys, taskhero.cli.main\n"
        "print([name for name in ('rich', 'redis', 'taskhero.app', 'tomllib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
