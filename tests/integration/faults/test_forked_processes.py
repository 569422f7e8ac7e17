"""Processes that tasks fork never act as a second worker, end as any program does, and end with their worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from process_inspection import WAIT, lives, until

PROGRAM = """
import asyncio, multiprocessing, os, sys, time
from pathlib import Path
from taskhero import Settings, TaskHero

mode, how, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
app = TaskHero(settings=Settings(min_task_processors=2, max_task_processors=2, grace=0))

def in_child():
    if how == "exits":
        sys.exit(3)
    if how == "raises":
        raise LookupError("in the child")
    if how == "sleeps":
        (folder / "child").write_text(str(os.getpid()))
        time.sleep(100)

def fork():
    if how == "multiprocessing":
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(100,))
        child.start()
        (folder / "child").write_text(str(child.pid))
        return None
    pid = os.fork()
    if pid == 0:
        in_child()
        return None
    return pid

def wait_for(pid):
    return None if pid is None or how == "sleeps" else os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def forks():
    pid = fork()
    return wait_for(pid) if how == "multiprocessing" or pid is not None else None

async def forks_on_the_loop():
    forked_by = os.getpid()
    pid = fork()
    if how == "awaits" and os.getpid() != forked_by:
        await asyncio.sleep(0)
    return wait_for(pid)

if mode == "loop":
    forking = app.task(name="forks")(forks_on_the_loop)
elif mode == "loop with a timeout":
    forking = app.task(name="forks", timeout=60)(forks_on_the_loop)
else:
    forking = app.task(name="forks", run_in=mode)(forks)

@app.task
async def beside():
    (folder / f"beside-{os.getpid()}").touch()

@app.on("multi_worker.start")
async def begin():
    await forking.enqueue()

@app.on("success")
async def succeeded(job, result):
    print(job.name, result, flush=True)
    if job.name == "forks":
        await beside.enqueue()

@app.on("failure")
def failed(job, error):
    print(job.name, "failed", repr(error), flush=True)

if __name__ == "__main__":
    app.run()
"""

MODES = ["loop", "loop with a timeout", "thread", "process"]
Start = Callable[[str, str], subprocess.Popen[str]]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a worker whose task forks."""
    started: list[subprocess.Popen[str]] = []
    program = tmp_path / "forking.py"
    program.write_text(PROGRAM)

    def begin(mode: str, how: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(program), mode, how, str(tmp_path)]
        worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(worker)
        return worker

    yield begin
    for worker in started:
        worker.kill()
        worker.communicate(timeout=WAIT)


def pid_in(file: Path) -> Any:
    return until(lambda: file.exists() and file.read_text() and int(file.read_text()))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("how", "code"), [("exits", 3), ("returns", 0), ("raises", 1), ("awaits", 1)])
def test_a_forked_process_ends_with_its_function_and_the_worker_continues(
    start: Start, tmp_path: Path, mode: str, how: str, code: int
) -> None:
    if how == "awaits" and "loop" not in mode:
        pytest.skip("only an async function awaits")
    worker = start(mode, how)
    assert worker.stdout is not None
    assert worker.stdout.readline() == f"forks {code}\n"
    assert worker.stdout.readline() == "beside None\n"
    assert [file.name for file in tmp_path.glob("beside-*")] == [f"beside-{worker.pid}"]
    worker.terminate()
    rest, errors = worker.communicate(timeout=WAIT)
    assert (rest, worker.returncode) == ("", 0)
    assert (how == "raises") == ("LookupError: in the child" in errors)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_forked_process_ends_on_a_signal(start: Start, tmp_path: Path, mode: str, number: signal.Signals) -> None:
    worker = start(mode, "sleeps")
    child = pid_in(tmp_path / "child")
    os.kill(child, number)
    until(lambda: not lives(child))
    assert worker.poll() is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", ["sleeps", "multiprocessing"])
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_forked_process_ends_with_its_worker(
    start: Start, tmp_path: Path, mode: str, how: str, end: signal.Signals
) -> None:
    worker = start(mode, how)
    child = pid_in(tmp_path / "child")
    assert worker.stdout is not None
    assert worker.stdout.readline() == "forks None\n"
    worker.send_signal(end)
    worker.wait(WAIT)
    until(lambda: not lives(child))
