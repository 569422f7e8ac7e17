"""Processes for tasks with ``run_in="process"``."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import child_process_tasks as tasks
import pytest
from process_inspection import WAIT, lives, until

from taskhero.engine.task.discovery import find_tasks
from taskhero.errors import InvalidTask, JobTimeout, ProcessDied
from taskhero.models import Job
from taskhero.runtime.execution.context import Running
from taskhero.runtime.execution.failure_report import describe
from taskhero.runtime.execution.processes import ProcessCall, ProcessPool
from taskhero.runtime.execution.processes.function_reference import check_processable

pytestmark = pytest.mark.anyio


async def end(pool: ProcessPool) -> None:
    pool.close()
    await asyncio.to_thread(until, lambda: not pool._children)


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    """One for all, since processes take a while to come up."""
    pool = ProcessPool(2)
    yield pool
    asyncio.run(end(pool))


def begin(pool: ProcessPool, function: Any, *args: Any, timeout: float | None = None, **kwargs: Any) -> ProcessCall:
    task: Any = SimpleNamespace(function=function, name="work", timeout=timeout, declared_in=None)
    return pool.start(task, Running(Job("work", [1], "math"), "w+1", None), (list(args), kwargs))


async def run(pool: ProcessPool, function: Any, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
    call = begin(pool, function, *args, timeout=timeout, **kwargs)
    await asyncio.wait_for(call.future, WAIT)
    if call.error is not None:
        raise call.error
    return call.value


# --- results ------------------------------------------------------------------------------------------------------


async def test_functions_of_all_kinds_run_in_one_process_that_is_used_again(pool: ProcessPool) -> None:
    child = await run(pool, tasks.pid)
    assert child != os.getpid()
    assert await run(pool, tasks.add, 1, b=2) == 3
    assert await run(pool, tasks.add_async, 1, b=2) == 3
    assert await run(pool, tasks.declared.function, 4) == 8, "its name in the module means the task"  # type: ignore[attr-defined]
    assert await run(pool, tasks.Group.method) == "static"
    assert await run(pool, tasks.in_main_thread)
    assert await run(pool, tasks.pid) == child


async def test_current_works_there_without_an_app(pool: ProcessPool) -> None:
    assert await run(pool, tasks.who) == (Job("work", [1], "math"), "w+1", None)


async def test_calls_at_the_same_time_have_a_process_each_and_as_many_are_kept_as_the_limit_says() -> None:
    pool = ProcessPool(1)
    calls = [begin(pool, tasks.pid_after, 0.5) for _ in range(2)]
    await asyncio.wait_for(asyncio.gather(*(call.future for call in calls)), WAIT)
    first, second = (call.value for call in calls)
    assert first != second
    await asyncio.to_thread(until, lambda: lives(first) + lives(second) == 1)
    await end(pool)


async def test_a_task_may_start_processes_and_end_programs_itself(pool: ProcessPool) -> None:
    child = await run(pool, tasks.pid)
    assert await run(pool, tasks.child_of_its_own) == child
    assert await run(pool, tasks.terminate_a_program) == -signal.SIGTERM


# --- failures -----------------------------------------------------------------------------------------------------


async def test_an_exception_comes_back_with_the_lines_of_its_traceback(pool: ProcessPool) -> None:
    with pytest.raises(LookupError, match="gone") as raised:
        await run(pool, tasks.fail, "gone")
    words = describe(raised.value)
    assert (words.exception, words.error) == ("LookupError", "gone")
    assert "child_process_tasks.py" in words.backtrace[1], "no frame of taskhero stands before the task's"
    assert words.backtrace[-1] == "LookupError: gone"
    assert "child_process_tasks.py" in str(raised.value.__cause__), "where logs show it"


@pytest.mark.parametrize(
    ("function", "name", "text"),
    [
        (tasks.fail_unpicklable, "HoldsALock", "locked"),
        (tasks.fail_with_two_arguments, "TwoArguments", "1 and 2"),
        (tasks.leave, "SystemExit", "7"),
        (tasks.leave_async, "SystemExit", "7"),
        (tasks.leave_in_task_group, "SystemExit", "7"),
        (tasks.interrupt, "KeyboardInterrupt", ""),
    ],
)
async def test_whatever_is_raised_keeps_its_name_and_text_and_the_process_goes_on(
    pool: ProcessPool, function: Any, name: str, text: str
) -> None:
    child = await run(pool, tasks.pid)
    call = begin(pool, function)
    await asyncio.wait_for(call.future, WAIT)
    assert call.error is not None
    assert type(call.error).__name__ == name
    words = describe(call.error)
    assert (words.exception, words.error) == (name, text)
    assert any("child_process_tasks.py" in line for line in words.backtrace)
    assert await run(pool, tasks.pid) == child


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (tasks.return_generator, "that is not consumed"),
        (tasks.return_coroutine, "that is not awaited"),
        (tasks.return_task, "a Task that is not done"),
    ],
)
async def test_work_that_is_returned_is_a_failure_there_too(pool: ProcessPool, function: Any, text: str) -> None:
    with pytest.raises(TypeError, match=f"task 'work' returned .*{text}"):
        await run(pool, function)


async def test_a_returned_future_that_is_done_is_its_result_there_too(pool: ProcessPool) -> None:
    assert await run(pool, tasks.return_ended_task) == 3


async def test_context_variables_end_with_their_job(pool: ProcessPool) -> None:
    child = await run(pool, tasks.pid)
    for function in (tasks.exchange_tenant, tasks.exchange_tenant_async, tasks.exchange_tenant):
        assert await run(pool, function, "ann") == "the module's"
    assert await run(pool, tasks.pid) == child, "all jobs had the same process"


async def test_a_result_that_cannot_be_sent_is_a_failure_that_says_so(pool: ProcessPool) -> None:
    with pytest.raises(TypeError, match=r"task 'work' succeeded, but .* the lock that it returned .*return plain data"):
        await run(pool, tasks.return_lock)


@pytest.mark.parametrize(
    ("function", "args", "text"),
    [
        (tasks.exit_at_once, (3,), "exited with code 3"),
        (tasks.exit_at_once, (0,), "exited with code 0"),
        (tasks.crash, (), "was killed by SIGSEGV (exit code -11)"),
        (tasks.fork_and_exit, (), "exited with code 5"),
    ],
)
async def test_a_process_that_dies_fails_its_job_and_a_fresh_one_takes_its_place(
    pool: ProcessPool, function: Any, args: tuple[Any, ...], text: str
) -> None:
    before = await run(pool, tasks.pid)
    with pytest.raises(ProcessDied) as died:
        await run(pool, function, *args)
    assert text in str(died.value)
    assert await run(pool, tasks.pid) != before


async def test_a_process_that_died_while_it_had_nothing_to_do_is_replaced(pool: ProcessPool) -> None:
    before = await run(pool, tasks.pid)
    os.kill(before, signal.SIGKILL)
    until(lambda: not lives(before))
    assert await run(pool, tasks.pid) != before


# --- ending what runs ---------------------------------------------------------------------------------------------


async def test_a_timeout_kills_the_process_and_a_fresh_one_takes_its_place(pool: ProcessPool) -> None:
    before = await run(pool, tasks.pid)
    with pytest.raises(JobTimeout, match=r"task 'work' ran longer than its timeout of 0.1 s"):
        await run(pool, tasks.sleep, 1000, timeout=0.1)
    assert not lives(before)
    assert await run(pool, tasks.pid) != before


async def test_the_time_in_which_a_process_comes_up_is_not_the_tasks(pool: ProcessPool) -> None:
    """A process needs longer than this to start."""
    assert await run(pool, tasks.add, 1, timeout=0.02) == 1


async def test_kill_ends_a_call_and_only_that(pool: ProcessPool, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    call = begin(pool, tasks.touch_and_sleep, str(flag), 1000)
    while not (flag.exists() and flag.read_text()):
        await asyncio.sleep(0.01)
    call.kill()
    await asyncio.wait_for(call.future, WAIT)
    assert isinstance(call.error, ProcessDied)
    assert not lives(int(flag.read_text()))
    after = await run(pool, tasks.pid)
    call.kill()
    assert await run(pool, tasks.pid) == after, "it kills no process that was not its own"


async def test_kill_before_the_process_is_up_ends_the_call_too(pool: ProcessPool) -> None:
    call = begin(pool, tasks.sleep, 1000)
    call.kill()
    await asyncio.wait_for(call.future, WAIT)
    assert isinstance(call.error, ProcessDied)


async def test_close_ends_all_processes_and_the_pool_can_be_used_again(tmp_path: Path) -> None:
    pool, flag = ProcessPool(1), tmp_path / "flag"
    busy = begin(pool, tasks.touch_and_sleep, str(flag), 1000)
    idle = await run(pool, tasks.pid)
    while not (flag.exists() and flag.read_text()):
        await asyncio.sleep(0.01)
    await end(pool)
    assert not lives(idle)
    assert not lives(int(flag.read_text()))
    assert isinstance(busy.error, ProcessDied)
    assert await run(pool, tasks.add, 1) == 1
    await end(pool)


# --- functions that can be found ----------------------------------------------------------------------------------


def test_functions_that_no_process_could_find_are_refused_with_a_remedy() -> None:
    def local() -> None: ...

    def bound() -> Any:
        return threading.Thread().run

    for function in (local, lambda: None, bound(), threading.Lock()):
        with pytest.raises(InvalidTask, match="define it with def at the top of a module"):
            check_processable(SimpleNamespace(function=function, declared_in=None))  # type: ignore[arg-type]


@pytest.mark.parametrize("function", [tasks.add, tasks.add_async, tasks.declared.function, tasks.Group.method])  # type: ignore[attr-defined]
def test_functions_of_modules_are_accepted(function: Any) -> None:
    task: Any = SimpleNamespace(function=function, declared_in=None)
    check_processable(task)


async def test_a_function_that_is_not_where_it_says_fails_its_job(
    pool: ProcessPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> None: ...

    gone.__qualname__ = "gone"
    gone.__module__ = "child_process_tasks"
    with pytest.raises(InvalidTask, match="module child_process_tasks does not define gone any more"):
        await run(pool, gone)


async def test_tasks_of_a_folder_that_cannot_be_imported_are_found(pool: ProcessPool, tmp_path: Path) -> None:
    folder = tmp_path / "jobs"
    (folder / "more").mkdir(parents=True)
    (folder / "helper.py").write_text("FACTOR = 3\n")
    (folder / "more" / "times.py").write_text(
        "from taskhero.engine.task.task import task\nfrom ..helper import FACTOR\n\n"
        "@task(run_in='process')\ndef times(a):\n    return a * FACTOR\n"
    )
    ((_, times),) = find_tasks(folder)
    assert await run(pool, times.function, 4) == 12
