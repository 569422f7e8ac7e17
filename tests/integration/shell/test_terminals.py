"""The command line on every terminal: encodings, widths, colours, closed streams, and readers that end first."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from taskhero import Settings, TaskHero

TASKHERO = (sys.executable, "-m", "taskhero")
SNOW = "no snow: \N{SNOWMAN} \N{EM DASH} \u202eevil\x1b[2J caf\N{LATIN SMALL LETTER E WITH ACUTE}"
WORDS = "the quick brown fox jumps over the lazy dog and then over the fence"
LONG = "worker-with-a-long-name-that-has-no-blank-" + "x" * 150
LISTINGS = [
    "failed",
    "failed show 0",
    "failed --verbose",
    "delayed",
    "queues",
    "queues show mail",
    "workers",
    "locks",
    "status",
]


pytestmark = pytest.mark.parametrize("server", ["redis7"], indirect=True)


@pytest.fixture
def store(redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A Redis with a failed, a delayed and two queued jobs whose text has all kinds of characters."""

    async def fill() -> None:
        app = TaskHero(redis_url, settings=Settings(max_task_processors=1, queues=("now",), grace=0))
        failed = asyncio.Event()
        app.on("failure", failed.set)

        @app.task(queue="now")
        async def melt(what: str) -> None:
            raise ValueError(f"{SNOW} {what} {WORDS}")

        async with app.running():
            await melt.enqueue(SNOW)
            await asyncio.wait_for(failed.wait(), 20)
            await app.queue.enqueue("send", [SNOW, WORDS], "mail")
            await app.queue.enqueue("send", [LONG], "mail")
            await app.queue.enqueue_in(3600, "send", [SNOW, LONG], "mail")

    asyncio.run(fill())
    monkeypatch.setenv("TASKHERO_BACKEND", redis_url)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return redis_url


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*TASKHERO, *words], env={**os.environ, **environment}, capture_output=True, check=False, timeout=60
    )


def shell(script: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["bash", "-c", script], capture_output=True, check=False, timeout=60)


def on_terminal(*words: str, columns: int, **environment: str) -> str:
    """Return what a terminal of this width receives."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    shown = {**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8", **environment}
    process = subprocess.Popen([*TASKHERO, *words], env=shown, stdin=child, stdout=child, stderr=child)
    os.close(child)
    read = bytearray()
    with contextlib.suppress(OSError):  # the terminal is closed
        while piece := os.read(parent, 65536):
            read += piece
    os.close(parent)
    assert process.wait(60) == 0, read
    return read.decode("utf-8").replace("\r\n", "\n")


def without_styles(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "ascii:strict", "utf-8", "cp437"])
def test_a_character_that_the_encoding_lacks_is_escaped(encoding: str, store: str) -> None:
    for verb in (
        *LISTINGS,
        "--help",
        "failed --help",
        "plugins",
        "enqueue \N{SNOWMAN} --queue mail",
        "queues show \N{SNOWMAN}",
    ):
        done = run(*verb.split(), PYTHONIOENCODING=encoding)
        assert b"Traceback" not in done.stderr, done.stderr
        assert done.returncode == (1 if verb == "queues show \N{SNOWMAN}" else 0), (verb, done.stderr)
        text = done.stdout.decode(encoding.partition(":")[0])
        assert not re.search("[\x1b\u202e\x9b]", text)
    details = run("failed", "show", "0", PYTHONIOENCODING=encoding).stdout.decode(encoding.partition(":")[0])
    assert (r"\u2603" if encoding != "utf-8" else "\N{SNOWMAN}") in details
    assert r"\u202eevil\x1b[2J" in details


def test_the_locale_c_is_a_terminal_too(store: str) -> None:
    done = run("failed", "show", "0", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u2603" in done.stdout


@pytest.mark.parametrize("verb", LISTINGS)
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_as_good_as_the_null_device(verb: str, closed: str, store: str) -> None:
    command = " ".join(TASKHERO)
    done = shell(f"{command} {verb} {closed}")
    assert (done.returncode, done.stderr) == (0, b"")
    assert bool(done.stdout) is (">&-" not in closed.replace("2>&-", ""))


def test_a_closed_stream_does_not_get_text_into_a_connection(store: str) -> None:
    """Otherwise the socket of Redis has the number 2, and messages of the command reach the server."""
    command = " ".join(TASKHERO)
    done = subprocess.run(
        ["bash", "-c", f"{command} work --tasks . --burst --backend {store} 2>&-"],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1  # the folder declares no task
    assert run("failed", "remove", "0").returncode == 2
    done = shell(f"{command} failed remove 0 <&-")
    assert done.returncode == 2
    assert b"pass --yes to proceed" in done.stderr


@pytest.fixture
def many(store: str) -> str:
    """The same store with more jobs than a pipe holds."""

    async def fill() -> None:
        async with TaskHero(store) as app:
            await app.queue.enqueue_many([app.queue.job("send", ["y" * 500], "mail") for _ in range(900)])

    asyncio.run(fill())
    return store


@pytest.mark.parametrize("more", ["", "--json"])
def test_a_reader_that_ends_first_ends_the_command_as_a_shell_expects(more: str, many: str) -> None:
    command = f"{' '.join(TASKHERO)} queues show mail --limit 1000 {more}"
    for reader in ("| head -c 10", "2>&1 | head -c 10"):
        for unbuffered in ("", "1"):
            done = shell(f"PYTHONUNBUFFERED={unbuffered} {command} {reader} >/dev/null; echo ${{PIPESTATUS[0]}}")
            assert (done.stdout, done.stderr) == (b"141\n", b"")


def test_a_watched_status_ends_with_its_reader(store: str) -> None:
    script = f"{' '.join(TASKHERO)} status --watch --interval 0.1 | head -1 >/dev/null; echo ${{PIPESTATUS[0]}}"
    done = shell(script)
    assert (done.stdout, done.stderr) == (b"141\n", b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")  # noqa: PTH110 - not a file
def test_a_full_disk_is_an_error_of_one_line(store: str) -> None:
    done = shell(f"{' '.join(TASKHERO)} failed >/dev/full")
    assert (done.returncode, done.stderr) == (1, b"Error: the output cannot be written: No space left on device\n")


@pytest.mark.parametrize("columns", [60, 61, 72, 80, 100, 132, 200])
def test_a_table_fits_its_terminal_and_breaks_no_word(columns: int, store: str) -> None:
    known = set(re.findall(r"\S+", without_styles(on_terminal("queues", "show", "mail", "--wide", columns=columns))))
    for verb in ("failed", "delayed", "queues", "queues show mail", "workers", "locks", "status", "plugins"):
        shown = without_styles(on_terminal(*verb.split(), columns=columns))
        assert max(map(len, shown.splitlines())) <= columns, shown
    shown = without_styles(on_terminal("queues", "show", "mail", columns=columns))
    for word in re.findall(r"\S+", shown):
        assert word in known or word.endswith("…") or set(word) == {"─"}, (word, shown)
    rows = shown.splitlines()
    assert len(rows) == 5, "each row is one line"
    assert rows[-1].endswith("…")
    assert "─" * 20 in shown


def test_columns_beats_the_size_of_the_terminal(store: str) -> None:
    shown = without_styles(on_terminal("queues", "show", "mail", columns=200, COLUMNS="60"))
    assert max(map(len, shown.splitlines())) <= 60


def test_wide_and_a_pipe_truncate_nothing(store: str) -> None:
    for text in (
        on_terminal("queues", "show", "mail", "--wide", columns=60),
        on_terminal("queues", "--wide", "show", "mail", columns=60),
        run("queues", "show", "mail", COLUMNS="60", PYTHONIOENCODING="utf-8").stdout.decode(),
    ):
        assert LONG in text
        assert WORDS in text
        assert "…" not in text


@pytest.mark.parametrize(("encoding", "ellipsis"), [("ascii", "..."), ("latin-1", "..."), ("utf-8", "…")])
def test_the_ellipsis_is_one_of_the_encoding(encoding: str, ellipsis: str, store: str) -> None:
    shown = without_styles(on_terminal("queues", "show", "mail", columns=60, PYTHONIOENCODING=encoding))
    assert shown.splitlines()[-1].endswith(ellipsis)
    assert ("─" in shown) is (encoding == "utf-8")
    assert r"\u2026" not in shown


@pytest.mark.parametrize("verb", ["failed", "status", "plugins", "demo --plain"])
def test_no_color_means_no_style(verb: str, store: str) -> None:
    styled = on_terminal(*verb.split(), columns=80)
    assert "\x1b[" in styled
    plain = on_terminal(*verb.split(), columns=80, NO_COLOR="1", FORCE_COLOR="1")
    assert "\x1b" not in plain


TIMES = {
    "failed": r"failed at.*?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d)",
    "failed show 0": r"failed at: (\S+ \S+)",
    "delayed": r"due at.*?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d)",
    "enqueue send --queue mail --in 1h": r" for (\S+)",
}


@pytest.mark.parametrize("verb", TIMES)
def test_every_time_has_the_zone_of_the_machine_or_utc_with_the_offset(verb: str, store: str) -> None:
    def time(*more: str) -> str:
        if verb.startswith("enqueue"):
            more += ("--args", json.dumps([*more]))  # an equal job is refused in the same second
        text = run(*verb.split(), *more, TZ="Asia/Kolkata").stdout.decode()
        found = re.search(TIMES[verb], text, re.DOTALL)
        assert found is not None, text
        return found[1]

    assert time().endswith("+05:30")
    assert time("--utc").endswith("+00:00")
    if verb.startswith("failed"):
        first, *rest = verb.split()
        text = run(first, "--utc", *rest, TZ="Asia/Kolkata").stdout.decode()
        assert "+00:00" in text


def test_json_is_in_utc(store: str) -> None:
    (entry,) = json.loads(run("failed", "--json", TZ="Asia/Kolkata").stdout)["failed"]
    assert entry["failed_at"].endswith("+00:00")
