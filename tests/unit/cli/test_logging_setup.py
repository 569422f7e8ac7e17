"""Lines of the log, for people and for programs."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from taskhero import Settings
from taskhero.cli.logging_setup import JsonFormatter, TextFormatter, log_options, set_up_logging


@pytest.fixture(autouse=True)
def root_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    set_up_logging("text")  # the program's hooks are as before
    root.handlers[:] = handlers
    root.setLevel(level)


def record(message: str, *args: object, **more: object) -> logging.LogRecord:
    made = logging.getLogger("taskhero.worker").makeRecord(
        "taskhero.worker", logging.INFO, __file__, 1, message, args, None, extra=more
    )
    made.created = 1_800_000_000.1234
    return made


def test_a_line_for_people_has_time_level_logger_message_and_args():
    line = TextFormatter().format(record("task %r succeeded", "add", job_args=[1, {"to": "ann"}], queue="math"))
    time = r"2027-01-1\d \d\d:\d\d:\d\d\.123[+-]\d\d:\d\d"
    text = r"""task 'add' succeeded args=\[1, \{"to": "ann"\}\]"""
    assert re.fullmatch(rf"{time} INFO     taskhero\.worker  {text}", line)
    assert "\x1b[32mINFO" in TextFormatter(color=True).format(record("x"))


def test_no_text_of_a_job_can_pass_for_a_line_of_the_log_or_reach_the_terminal():
    line = TextFormatter().format(record("failed: %s", "a\n10:00:00.000 ERROR b\x1b[2J\r\udcff\x9b"))
    assert line.endswith(r"failed: a" + "\n    " + r"10:00:00.000 ERROR b\x1b[2J\r\udcff\x9b")


def test_long_args_are_cut_for_people_only():
    long = record("x", job_args=["y" * 1000])
    assert TextFormatter().format(long).endswith("yyy...")
    assert json.loads(JsonFormatter().format(long))["job_args"] == ["y" * 1000]


def test_a_line_for_programs_is_one_object_with_the_fields():
    text = JsonFormatter().format(
        record("a\n%s", "b\u2028\udcff", event="success", duration=0.5, job_args=[{"a": None}])
    )
    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text) == {
        "time": "2027-01-15T08:00:00.123+00:00",
        "level": "info",
        "logger": "taskhero.worker",
        "message": "a\nb\u2028\udcff",
        "event": "success",
        "duration": 0.5,
        "job_args": [{"a": None}],
    }


def test_what_json_cannot_hold_is_given_as_its_repr():
    class Bad:
        def __repr__(self) -> str:
            raise RuntimeError

    loop: list[object] = []
    loop.append(loop)
    got = json.loads(
        JsonFormatter().format(record("x", nan=float("nan"), odd={(1, 2): 3}, inner=[{1, 2}], l=loop, b=Bad()))
    )
    assert (got["nan"], got["odd"], got["inner"], got["l"]) == ("nan", "{(1, 2): 3}", ["{1, 2}"], "[[...]]")
    assert got["b"] == "<a Bad whose repr raises RuntimeError>"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_is_part_of_its_line(log_format: str):
    stream = io.StringIO()
    set_up_logging(log_format, stream=stream)
    try:
        raise LookupError("gone")
    except LookupError:
        logging.getLogger("shop").exception("no luck")
    lines = stream.getvalue().splitlines()
    if log_format == "json":
        (line,) = lines
        assert json.loads(line)["traceback"].endswith("LookupError: gone")
    else:
        assert lines[0].endswith("ERROR    shop  no luck")
        assert lines[-1] == "    LookupError: gone"


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_line_whose_arguments_do_not_fit_is_logged_all_the_same(formatter: logging.Formatter):
    assert "%d of %s ('x',) (the arguments do not fit: TypeError)" in formatter.format(record("%d of %s", "x"))


def test_what_python_says_by_itself_is_in_lines_for_programs_too():
    """Warnings, and errors that nobody handles, in the main thread and in others."""
    code = (
        "import sys, threading, warnings\n"
        "from taskhero.cli.logging_setup import set_up_logging\n"
        "set_up_logging('json')\n"
        "warnings.warn('some\\nwarning')\n"
        "thread = threading.Thread(target=lambda: 1 / 0, name='mine')\n"
        "thread.start(); thread.join()\n"
        "raise LookupError('the\\nend')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    warned, thread, last = (json.loads(line) for line in done.stderr.splitlines())
    assert (warned["level"], warned["logger"]) == ("warning", "py.warnings")
    assert "UserWarning: some\nwarning" in warned["message"]
    assert (thread["level"], thread["message"]) == ("error", "thread 'mine' ended with ZeroDivisionError")
    assert thread["traceback"].endswith("ZeroDivisionError: division by zero")
    assert (last["level"], last["message"]) == ("critical", "the program ends with LookupError")
    assert last["traceback"].endswith("LookupError: the\nend")


def test_a_second_call_replaces_the_first_and_users_handlers_stay():
    users = logging.NullHandler()
    logging.getLogger().addHandler(users)
    first, second = io.StringIO(), io.StringIO()
    set_up_logging("text", stream=first)
    set_up_logging("json", "debug", stream=second)
    logging.getLogger("shop").debug("hello")
    assert first.getvalue() == ""
    assert json.loads(second.getvalue())["message"] == "hello"
    assert users in logging.getLogger().handlers


def test_levels_below_the_least_are_not_logged():
    stream = io.StringIO()
    set_up_logging("json", "warning", stream=stream)
    logging.getLogger("shop").info("hello")
    assert stream.getvalue() == ""


def test_the_reading_of_settings_says_nothing_of_each_variable_that_is_not_there():
    stream = io.StringIO()
    set_up_logging("json", "debug", stream=stream)
    Settings.load()
    assert stream.getvalue() == ""


def test_a_command_gets_the_options(monkeypatch: pytest.MonkeyPatch):
    @click.command()
    @log_options
    def verb(log_format: str, log_level: str) -> None:
        click.echo(f"{log_format} {log_level}")

    run = CliRunner().invoke
    assert run(verb).output == "text info\n"
    assert run(verb, ["--log-format", "JSON", "--log-level", "debug"]).output == "json debug\n"
    monkeypatch.setenv("TASKHERO_LOG_FORMAT", "json")
    assert run(verb).output == "json info\n"
    monkeypatch.setenv("TASKHERO_LOG_LEVEL", "warning")
    assert run(verb).output == "json warning\n"
    assert run(verb, ["--log-format", "xml"]).exit_code == 2
