"""The log of `taskhero work`: the configuration of the app's module, of a file, or taskhero's own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

APP = """
import logging, logging.config
from taskhero import Settings, TaskHero

app = TaskHero("memory://", settings=Settings(filtered_params=("password",)))


@app.task(frequency=3600)
async def tick(): ...


@app.task
async def login(user, password): ...


@app.task(frequency=3600)
async def enqueue():
    await login.enqueue("PRIVATE", "SECRET")
"""
WORKS = "process (\\d+) works"
FILES = {
    "log.json": json.dumps(
        {
            "version": 1,
            "formatters": {"mine": {"format": "FILE %(levelname)s %(message)s"}},
            "handlers": {"mine": {"class": "logging.StreamHandler", "formatter": "mine"}},
            "root": {"level": "INFO", "handlers": ["mine"]},
        }
    ),
    "log.toml": """
version = 1
formatters.mine.format = "FILE %(levelname)s %(message)s"
handlers.mine = {class = "logging.StreamHandler", formatter = "mine"}
root = {level = "INFO", handlers = ["mine"]}
""",
    "log.ini": """
[loggers]
keys=root
[handlers]
keys=mine
[formatters]
keys=mine
[logger_root]
level=INFO
handlers=mine
[handler_mine]
class=StreamHandler
formatter=mine
args=(sys.stderr,)
[formatter_mine]
format=FILE %(levelname)s %(message)s
""",
}
BASIC = 'logging.basicConfig(level="INFO", format="APP %(levelname)s %(name)s %(message)s")'
DICT = """logging.config.dictConfig({
    "version": 1,
    "formatters": {"mine": {"format": "APP %(levelname)s %(name)s %(message)s"}},
    "handlers": {"mine": {"class": "logging.StreamHandler", "formatter": "mine"}},
    "KEY": {"level": "INFO", "handlers": ["mine"]},
})"""
DICT_OF_ROOT = DICT.replace("KEY", "root")
DICT_OF_TASKHERO = DICT.replace('"KEY": {', '"loggers": {"taskhero": {').replace("]},\n}", "]}},\n}")

Log = Callable[..., list[str]]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """Run a worker until it is ready, and return the lines of its log."""

    def work(*options: str, configure: str = "", until: str = WORKS, **environment: str) -> list[str]:
        (tmp_path / "shop.py").write_text(APP + configure)
        words = [sys.executable, "-m", "taskhero", "work", "--app", "shop:app", "-c", "1", *options]
        process = subprocess.Popen(
            words, cwd=tmp_path, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True, errors="replace"
        )
        assert process.stderr is not None
        lines = []
        with process:
            for line in process.stderr:
                lines.append(line.rstrip("\n"))
                if re.search(until, line):
                    break
            process.send_signal(signal.SIGTERM)
            lines += process.stderr.read().splitlines()
            assert process.wait(60) in {0, -signal.SIGTERM}, lines
        return lines

    return work


def forms(lines: list[str]) -> set[str]:
    return {
        "own" if re.match(r"\d{4}-", line) else "json" if line.startswith("{") else line.split()[0] for line in lines
    }


@pytest.mark.parametrize("configure", [BASIC, DICT_OF_ROOT, DICT_OF_TASKHERO], ids=["basic", "root", "taskhero"])
def test_the_configuration_of_the_apps_module_counts(configure: str, log: Log) -> None:
    """`dictConfig` disables existing loggers unless it is told otherwise, which must not silence the worker."""
    lines = log(configure=configure)
    assert forms(lines) == {"APP"}
    assert any(re.search(WORKS, line) for line in lines)
    assert len(set(lines)) == len(lines), "no line is written twice"


@pytest.mark.parametrize(
    "configure",
    ["", "logging.getLogger().setLevel(logging.INFO)", "logging.warning('implicit')", "logging.basicConfig()"],
    ids=["none", "level", "implicit", "without-options"],
)
def test_without_a_configuration_the_log_is_taskheros_own(configure: str, log: Log) -> None:
    lines = log(configure=configure)
    assert forms(lines) - {"WARNING:root:implicit"} == {"own"}


def test_a_level_of_the_module_counts_unless_an_option_sets_it(log: Log) -> None:
    quiet = "logging.getLogger().setLevel(logging.WARNING)"
    assert not any(" INFO " in line for line in log(configure=quiet, until="memory"))
    assert any(" INFO " in line for line in log("--log-level", "info", configure=quiet))
    assert any("APP DEBUG" in line for line in log(configure=BASIC, TASKHERO_LOG_LEVEL="debug"))


def test_an_explicit_format_replaces_the_handlers_for_the_terminal_only(log: Log, tmp_path: Path) -> None:
    configure = BASIC + "\nlogging.getLogger().addHandler(logging.FileHandler('worker.log'))"
    assert forms(log("--log-format", "json", configure=configure)) == {"json"}
    assert re.search(WORKS, (tmp_path / "worker.log").read_text())


@pytest.mark.parametrize("name", FILES)
def test_a_file_beats_the_module(name: str, log: Log, tmp_path: Path) -> None:
    (tmp_path / name).write_text(FILES[name])
    assert forms(log("--log-config", name, configure=DICT_OF_ROOT)) == {"FILE"}
    assert forms(log(configure=BASIC, TASKHERO_LOG_CONFIG=name)) == {"FILE"}


def test_none_leaves_the_log_to_the_module(log: Log) -> None:
    assert forms(log("--log-config", "none", configure=DICT_OF_ROOT)) == {"APP"}
    (line,) = log("--log-config", "none", until="memory")
    assert "this process's memory" in line


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.json", None, "the file cannot be read: No such file"),
        ("log.json", "no", "JSONDecodeError"),
        ("log.json", "[]", "one JSON object"),
        ("log.json", '{"handlers": {"h": {"class": "nope"}}}', "No module named 'nope'"),
        ("log.toml", "= 1", "TOMLDecodeError"),
        ("log.ini", "no", "MissingSectionHeaderError"),
        ("log.xyz", "", "use the suffix .json, .toml or .ini"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_that_names_it(
    name: str, content: str | None, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(APP)
    if content is not None:
        (tmp_path / name).write_text(content)
    words = [sys.executable, "-m", "taskhero", "work", "--app", "shop:app", "--log-config", name]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: --log-config {name}: ")
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_times_have_the_offset_of_the_machine_or_of_utc(log: Log) -> None:
    assert all(line[23:29] == "+05:30" for line in log(TZ="Asia/Kolkata"))
    assert all(line[23:29] == "+00:00" for line in log("--utc", TZ="Asia/Kolkata"))
    assert all(line[23:29] == "+00:00" for line in log("--utc", "--processes", "2", TZ="Asia/Kolkata"))


@pytest.mark.parametrize("more", [(), ("--log-format", "json")], ids=["text", "json"])
def test_info_lines_have_no_arguments_and_debug_lines_have_filtered_ones(more: tuple[str, ...], log: Log) -> None:
    info = "\n".join(log(*more, "--scheduler", until="'login'.* succeeded"))
    assert "'login'" in info
    assert "PRIVATE" not in info
    debug = log(*more, "--scheduler", "--log-level", "debug", until="'login'.* succeeded")
    (started,) = [line for line in debug if "'login'" in line and "started" in line]
    assert '["PRIVATE", "[FILTERED]"]' in started
    assert "SECRET" not in "\n".join(debug)
    assert not [line for line in debug if re.search('" ?info"| INFO ', line) and "PRIVATE" in line]


def test_a_worker_outlives_the_reader_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP + "app.on('worker.start', lambda: print('started', flush=True))")
    words = [sys.executable, "-m", "taskhero", "work", "--app", "shop:app", "-c", "1"]
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=write, text=True)
    os.close(write)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 0
    process.stdout.close()
