"""A task of a child process runs exactly the function that was declared, wherever the program declares it."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import child_process_places as places
import pytest
from process_inspection import WAIT

from taskhero import Job, TaskHero, task
from taskhero.errors import InvalidTask
from taskhero.runtime.execution.context import Running
from taskhero.runtime.execution.processes import ProcessPool
from taskhero.runtime.execution.processes.function_reference import FunctionReference

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    pool = ProcessPool(1)
    yield pool

    async def end() -> None:
        pool.close()
        async with asyncio.timeout(WAIT):
            while pool._children:
                await asyncio.sleep(0)

    asyncio.run(end())


async def run(pool: ProcessPool, declared: Any, *args: Any) -> Any:
    call = pool.start(declared, Running(Job(declared.name, list(args), "math"), "w+1", None), (list(args), {}))
    await asyncio.wait_for(call.future, WAIT)
    if call.error is not None:
        raise call.error
    return call.value


@pytest.mark.parametrize(("declared", "result"), places.CASES, ids=[case[0].name for case in places.CASES])
async def test_the_declared_function_runs(pool: ProcessPool, declared: Any, result: int) -> None:
    assert await run(pool, TaskHero().tasks.adopt(declared), 1) == result


async def test_a_task_whose_name_another_one_took_over_still_runs_its_function(pool: ProcessPool) -> None:
    shadowed = next(found for found in places.DECLARED if found.name == "shadowed")
    assert await run(pool, shadowed, 1) == 3


async def test_a_function_of_a_reloaded_module_runs(
    pool: ProcessPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reloaded_jobs.py").write_text("def triple(a):\n    return 3 * a\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("reloaded_jobs")
    before = TaskHero().task(run_in="process")(module.triple)
    importlib.reload(module)
    after = TaskHero().task(run_in="process")(module.triple)
    assert before.function is not after.function
    assert [await run(pool, before, 1), await run(pool, after, 2)] == [3, 6]


async def test_a_function_that_a_reload_changed_fails_its_job(
    pool: ProcessPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "changed_jobs.py"
    file.write_text("def triple(a):\n    return 3 * a\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = importlib.import_module("changed_jobs")
    declared = TaskHero().task(run_in="process")(module.triple)
    file.write_text("def triple(a):\n    return 30 * a + 5\n")
    importlib.reload(module)
    with pytest.raises(InvalidTask, match="changed_jobs.triple is triple, not the function of this task"):
        await run(pool, declared, 1)


def wrapped_here() -> Any:
    return places.times(10)(places.add)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (wrapped_here, "child_process_places.add is add, not the function of this task"),
        (lambda: places.made_here(13).function, "defined inside a function"),
        (lambda: lambda: None, "is a lambda"),
        (lambda: places.Base().method, "is bound to an object, which a child process does not have"),
        (places.Adder, "is not a function"),
    ],
)
def test_what_a_child_process_cannot_find_is_refused_at_declaration(make: Any, sentence: str) -> None:
    app = TaskHero()
    with pytest.raises(InvalidTask, match=sentence):
        app.task(name="here", run_in="process")(make())
    with pytest.raises(InvalidTask, match=sentence):
        app.tasks.adopt(task(name="here", run_in="process")(make()))
    assert len(app.tasks) == 0


def test_a_module_that_defines_another_function_in_a_child_process_fails_the_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reference = FunctionReference.of(SimpleNamespace(name="x", function=places.add, declared_in=None))  # type: ignore[arg-type]
    monkeypatch.setattr(places, "add", places.times(10)(places.add))
    with pytest.raises(InvalidTask, match="child_process_places.add is another function when a child process imports"):
        reference.find()


MAIN = """
import asyncio, functools
from taskhero import Settings, TaskHero
from taskhero.errors import InvalidTask
app = TaskHero(settings=Settings(max_task_processors=1))
add = lambda a, b=0: a + b

@app.task(run_in="process")
def double(a):
    return 2 * a

tasks = [double, app.task(name="partial", run_in="process")(functools.partial(add, 5)),
         app.task(name="lambda", run_in="process")(add)]

async def main():
    ended = asyncio.Queue()
    app.on("success", lambda result: ended.put_nowait(result))
    app.on("failure", lambda error: ended.put_nowait(error))
    async with app.running():
        for task in tasks:
            await task.enqueue(1)
            print(await asyncio.wait_for(ended.get(), 40))

if __name__ == "__main__":
    def here(a): ...
    for function in (here, lambda a: a):
        try:
            app.task(name="here", run_in="process")(function)
        except InvalidTask as error:
            print("refused")
    asyncio.run(main())
"""


def test_the_main_script_may_declare_tasks_of_child_processes_above_its_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(MAIN)
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=WAIT * 3, check=False)
    assert ended.stdout.split() == ["refused", "refused", "2", "6", "1"], ended.stderr


def test_a_program_from_stdin_is_refused_because_a_child_process_cannot_import_it() -> None:
    program = (
        "from taskhero import TaskHero\nfrom taskhero.errors import InvalidTask\ndef f(): ...\n"
        "try:\n    TaskHero().task(run_in='process')(f)\nexcept InvalidTask as error:\n    print(error)\n"
    )
    ended = subprocess.run([sys.executable], input=program, capture_output=True, text=True, timeout=WAIT, check=False)
    assert "f is defined only in the main process" in ended.stdout, ended.stderr
