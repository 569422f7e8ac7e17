"""Processes of tasks, seen from what may happen to their parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from process_inspection import WAIT, lives, until
from renamed import copy_without

from taskhero.runtime.execution.processes.child_main import SIGNALS

PARENT = """
    import asyncio, multiprocessing.resource_tracker, os, signal, sys, threading, time
    from types import SimpleNamespace
    from taskhero.models import Job
    from taskhero.runtime.execution.context import Running
    from taskhero.runtime.execution.processes import ProcessPool

    def work(seconds):
        print("child", os.getpid(), flush=True)
        time.sleep(seconds)
        return "result"

    async def main(seconds):
        told = asyncio.Event()
        asyncio.get_running_loop().add_reader(0, told.set)
        task = SimpleNamespace(function=work, name="work", timeout=None)
        call = ProcessPool().start(task, Running(Job("work"), "w", None), ([seconds], {}))
        waiter = asyncio.create_task(told.wait())
        await asyncio.wait({call.future, waiter}, return_when="FIRST_COMPLETED")
        # It warns if a signal killed this one.
        multiprocessing.resource_tracker.ensure_running()
        print("told to exit" if told.is_set() else (call.value, call.error), flush=True)

    if __name__ == "__main__":
        for name in ("INT", "TERM", "QUIT", "HUP", "USR1", "USR2"):
            number = getattr(signal, "SIG" + name)
            signal.signal(number, lambda *_: None)
        print("up", flush=True)
        asyncio.run(main(float(sys.argv[1])))
"""


class Parent:
    """A program of its own that runs a task in a process."""

    def __init__(self, folder: Path, seconds: float) -> None:
        script = folder / "parent.py"
        script.write_text(textwrap.dedent(PARENT))
        self.errors = folder / "stderr"
        with self.errors.open("w") as errors:
            self.program = subprocess.Popen(
                [sys.executable, str(script), str(seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        assert self._stdout.readline() == "up\n"

    def child(self) -> int:
        """The process of the task, once that runs."""
        word, pid = self._stdout.readline().split()
        assert word == "child"
        return int(pid)

    @property
    def _stdout(self) -> Any:
        return self.program.stdout

    def end(self) -> tuple[str, str, int]:
        """What it still prints, what it complained of, and its exit code."""
        try:
            return self._stdout.read(), self.errors.read_text(), self.program.wait(WAIT)
        finally:
            self.program.kill()

    def tell_to_exit(self) -> None:
        assert self.program.stdin is not None
        self.program.stdin.write("exit\n")
        self.program.stdin.flush()


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Callable[[float], Parent]]:
    parents: list[Parent] = []

    def start(seconds: float) -> Parent:
        parents.append(Parent(tmp_path, seconds))
        return parents[-1]

    yield start
    for started in parents:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.program.pid, signal.SIGKILL)
        started.program.communicate()


def test_functions_of_a_main_script_work(parent: Callable[[float], Parent]) -> None:
    started = parent(0)
    started.child()
    assert started.end() == ("('result', None)\n", "", 0)


@pytest.mark.parametrize("renamed", [None, "_inheriting"])
def test_a_main_script_that_runs_when_it_is_imported_is_told_how_to_do_better(
    tmp_path: Path, renamed: str | None
) -> None:
    script = tmp_path / "unguarded.py"
    program = textwrap.dedent(PARENT).split("if __name__")[0].replace("add_reader(0, told.set)", "time()")
    script.write_text(program + "asyncio.run(main(0))\n")
    if renamed is not None:
        copy_without(renamed, tmp_path, "multiprocessing")
    done = subprocess.run([sys.executable, str(script)], check=True, capture_output=True, text=True, timeout=WAIT)
    assert "ProcessDied" in done.stdout
    assert "before it was ready" in done.stdout
    assert "`if __name__ == '__main__':`" in done.stdout
    assert "InvalidTask: this process was started for a task" in done.stderr, "and not one process more"


def test_processes_die_with_their_parent_however_it_dies(parent: Callable[[float], Parent]) -> None:
    started = parent(1000)
    child = started.child()
    assert lives(child)
    started.program.kill()
    until(lambda: not lives(child))


def test_a_running_process_does_not_hold_up_the_exit(parent: Callable[[float], Parent]) -> None:
    started = parent(1000)
    child = started.child()
    started.tell_to_exit()
    assert started.end() == ("told to exit\n", "", 0)
    until(lambda: not lives(child))


@pytest.mark.parametrize("number", sorted(SIGNALS), ids=lambda number: number.name)
def test_signals_to_the_group_do_not_end_processes_before_the_parent_decides(
    parent: Callable[[float], Parent], number: signal.Signals
) -> None:
    started = parent(0.2)
    up = threading.Event()

    def send() -> None:
        while not up.wait(0.005):  # at every point of the process's coming up
            os.killpg(started.program.pid, number)

    sending = threading.Thread(target=send)
    sending.start()
    started.child()
    up.set()
    sending.join()
    os.killpg(started.program.pid, number)
    assert started.end() == ("('result', None)\n", "", 0)
