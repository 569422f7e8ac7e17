"""`taskhero demo` shows what it promises, in colour if asked, and ends by itself."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time

import pytest

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
#: The periodic task runs as often as there is time for.
IN_ALL = re.compile(r"processed 6[5-9], failed 3")


def demo(**environment: str) -> str:
    """What the demo prints into a pipe."""
    surroundings = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "taskhero", "demo"],
        env={**surroundings, "COLUMNS": "120", "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def printed() -> str:
    """What the demo prints into a pipe without any option; under 15 seconds."""
    began = time.monotonic()
    printed = demo()
    assert time.monotonic() - began < 15
    return printed


def test_it_shows_every_kind_of_thing(printed: str) -> None:
    """Enqueued, delayed, due, working, succeeded, failed, retried, scaled, periodic, then the summary."""
    assert not ESCAPE.search(printed)
    for kind in ("enqueued", "delayed", "due", "working", "succeeded", "failed", "retried", "scaled"):
        assert re.search(rf"^ *\d+\.\d s  {kind} ", printed, re.MULTILINE), kind
    assert "PaymentDeclined: Bob's bank declined 80.00" in printed
    assert "JobTimeout" in printed
    assert "CourierBusy: no courier is free; attempt 1 of 3, next in 1 s" in printed
    assert re.search(r"succeeded +book_courier\(order=7\)", printed)
    assert "check_stock() → high, its next run" in printed
    assert len(re.findall(r"succeeded +check_stock\(", printed)) >= 2
    assert IN_ALL.search(printed), printed[-3000:]


def test_what_is_urgent_overtakes(printed: str) -> None:
    """Cards, enqueued after the photos and the words but in the high queue, are charged before most of them."""
    working = re.findall(r"working +(\w+)", printed)
    before = working[: working.index("charge_card")]
    assert "count_words" not in before
    assert before.count("resize_photo") < 8


def test_colours_can_be_forced_into_a_pipe() -> None:
    """`make demo` does so; the lines stay lines."""
    printed = demo(FORCE_COLOR="1", TERM="dumb")
    assert "\x1b[32msucceeded" in printed
    assert "\x1b[1A" not in printed  # nothing is redrawn
    assert IN_ALL.search(ESCAPE.sub("", printed))


def test_a_terminal_gets_a_picture_that_is_redrawn() -> None:
    """With a terminal, the tables of processors and queues are drawn again and again in place."""
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "taskhero", "demo"],
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "110", "LINES": "40"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = bytearray()
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # the other side is gone
            break
        if not chunk:
            break
        seen += chunk
    os.close(ours)
    assert program.wait(30) == 0
    text = seen.decode()
    assert text.count("task processors") > 20
    assert IN_ALL.search(ESCAPE.sub("", text))


def test_without_the_extra_one_line_says_what_to_install() -> None:
    """A plain installation has no command line; the program says how to get it, and no traceback."""
    code = (
        "import sys, runpy\n"
        "sys.modules['click'] = None\n"
        "import importlib.util as util\n"
        "real = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name in ('click', 'rich') else real(name, *rest)\n"
        "from taskhero.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "taskhero: the command line needs click and rich: pip install 'taskhero[cli]'\n"
