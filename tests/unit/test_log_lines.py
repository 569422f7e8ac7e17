"""The loggers of taskhero escape what other programs wrote, for every handler and formatter."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import taskhero
import taskhero.app
import taskhero.backends.redis.backend
import taskhero.hooks.installed
import taskhero.runtime.background_loop  # each module makes its logger
from taskhero import events
from taskhero.cli.logging_setup import JsonFormatter
from taskhero.events import Emitter
from taskhero.models import Job
from taskhero.runtime.logs.event_log import log_events
from taskhero.settings import Settings

EVIL = "a\x1b[2J\x9b\r\n2027 INFO fake\u202e\u2066\u2028\udcff\x00"
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What a program's own handler writes, with a formatter that shows fields as well."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s queue=%(queue)s"))
    logger = logging.getLogger("taskhero")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(level)


def assert_safe(text: str) -> None:
    assert text
    assert not UNSAFE.search(text), ascii(text)
    assert not [line for line in text.splitlines() if not line.startswith(("    ", "ERROR ", "INFO "))]


def test_names_errors_and_tracebacks_of_an_event_are_escaped(lines: io.StringIO) -> None:
    emitter = Emitter()
    stop = log_events(emitter, Settings())
    try:
        raise ValueError(EVIL)
    except ValueError as caught:
        caught.add_note(EVIL)
        error = caught
    emitter.emit(events.WorkerFailure(EVIL, EVIL, Job(EVIL, [EVIL], EVIL), error, 0.5))
    stop()
    written = lines.getvalue()
    assert_safe(written)
    assert r"failed after 0.500 s: ValueError: a\x1b[2J\x9b\r\n2027 INFO fake\u202e\u2066\u2028\udcff\x00" in written
    assert "    Traceback (most recent call last):" in written


@pytest.mark.parametrize(
    "name", ["backends.redis", "events", "plugins", "queue", "runtime", "scheduler", "task", "worker"]
)
@pytest.mark.parametrize(
    ("message", "args"),
    [
        (EVIL, ()),
        ("%s", (EVIL,)),
        ("%r and %.20s", (EVIL, EVIL)),
        ("%(it)s and %(it)r", ({"it": EVIL},)),
        ("%s", (OSError(EVIL),)),
        ("%s", ([EVIL],)),
        ("%s", (type("Shown", (), {"__repr__": lambda _: EVIL})(),)),
    ],
)
def test_every_logger_escapes_messages_arguments_and_fields(
    name: str, message: str, args: tuple[object, ...], lines: io.StringIO
) -> None:
    logging.getLogger(f"taskhero.{name}").error(message, *args, extra={"queue": EVIL})
    assert_safe(lines.getvalue())


def test_a_value_without_a_text_does_not_suppress_its_line(lines: io.StringIO) -> None:
    class Bad(Exception):
        def __str__(self) -> str:
            raise RuntimeError

        __repr__ = __str__

    loop: list[object] = []
    loop.append(loop)
    logging.getLogger("taskhero.worker").error("%s %r %s %d", Bad(), Bad(), loop, 7, extra={"queue": "math"})
    bad = "<a Bad whose text raises RuntimeError>"
    assert lines.getvalue() == f"ERROR taskhero.worker {bad} {bad} [[...]] 7 queue=math\n"


def test_structured_handlers_get_the_values_themselves(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("taskhero.worker").error("%s", EVIL, extra={"queue": EVIL})
    (record,) = caplog.records
    assert vars(record)["queue"] == EVIL
    assert record.args == (EVIL,)
    assert json.loads(JsonFormatter().format(record))["queue"] == EVIL
    assert "{queue:.4}".format(**vars(record)) == r"a\x1"


def test_all_loggers_come_from_the_function_that_escapes() -> None:
    folder = Path(taskhero.__file__).parent
    found = [
        str(path.relative_to(folder))
        for path in folder.rglob("*.py")
        if re.search(r"""getLogger\(["']taskhero""", path.read_text(encoding="utf-8"))
    ]
    assert found == []
