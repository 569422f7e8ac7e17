"""One job, from its claim to how it is settled."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from typing import Any

import pytest
from executor_harness import APP, WAIT, WORKER, ExecutorHarness, entry, failure, raiser

from taskhero.backends.protocol import Claim, PostponedByPlugin, RefusedByPlugin, Retried, Succeeded
from taskhero.errors import ArgumentsMismatch, KilledItsProcess, NoSuchTask, PluginError, Undecodable
from taskhero.events import WorkerJob
from taskhero.hooks.specs import hookimpl
from taskhero.models import Postponed, Refused, Retrying, Success
from taskhero.runtime.execution.context import current
from taskhero.wire.jobs import encode_job, mark_rescued

pytestmark = pytest.mark.anyio


# --- running ------------------------------------------------------------------------------------------------------


async def test_an_async_task_runs_on_the_loop(harness: ExecutorHarness) -> None:
    async def add(a: int, b: int) -> tuple[int, int]:
        return a + b, threading.get_ident()

    performed = await harness.run(add, 1, 2)
    assert isinstance(performed.outcome, Success)
    assert performed.outcome.result == (3, threading.get_ident())
    assert performed.disposition == Succeeded()
    assert performed.busy is None
    assert performed.job.name == "add"


async def test_another_task_runs_in_a_thread(harness: ExecutorHarness) -> None:
    def add(a: int, b: int) -> tuple[int, int]:
        return a + b, threading.get_ident()

    performed = await harness.run(add, 1, 2)
    assert isinstance(performed.outcome, Success)
    result, thread = performed.outcome.result
    assert result == 3
    assert thread != threading.get_ident()


async def test_a_task_for_a_process_is_handed_to_the_processes(harness: ExecutorHarness) -> None:
    def add(a: int, b: int) -> None: ...

    begun = harness.begin(harness.declare(add, run_in="process"), 1, 2)
    while not harness.processes.started:
        await asyncio.sleep(0)
    harness.processes.value = 3
    harness.processes.future.set_result(None)
    performed = await begun
    assert performed.outcome.result == 3  # type: ignore[union-attr]
    task, running, bound = harness.processes.started[0]
    assert (task, running.job, running.worker) == (harness.tasks["add"], performed.job, WORKER)
    assert bound == ([1, 2], {})


async def test_a_job_discarded_in_another_context_is_no_error(harness: ExecutorHarness) -> None:
    async def wait() -> None:
        await asyncio.sleep(WAIT)

    claim = Claim(1, "token", "math", encode_job(harness.declare(wait), (), "math"))
    performing = harness.executor.perform(claim, WORKER)
    contextvars.Context().run(performing.send, None)
    performing.close()
    assert not harness.executor._running


async def test_durations_are_of_the_call(harness: ExecutorHarness) -> None:
    async def wait() -> None:
        await asyncio.sleep(0.02)

    performed = await harness.run(wait)
    assert 0.02 <= performed.outcome.duration < 1  # type: ignore[union-attr]


async def test_the_job_event_is_told_when_it_begins_and_only_if_it_is_wanted(harness: ExecutorHarness) -> None:
    seen: list[Any] = []

    async def look() -> None:
        seen.append("runs")

    harness.emitter.on("job", seen.append)
    performed = await harness.run(look)
    assert seen == [WorkerJob(WORKER, "math", performed.job), "runs"]


@pytest.mark.parametrize("kind", ["loop", "thread"])
async def test_current_tells_about_the_job(harness: ExecutorHarness, kind: str) -> None:
    async def on_loop() -> Any:
        return await asyncio.create_task(asyncio.to_thread(current))

    performed = await harness.run(on_loop if kind == "loop" else current, name="ask")
    found = performed.outcome.result  # type: ignore[union-attr]
    assert (found.job, found.worker, found.app) == (performed.job, WORKER, APP)


async def test_a_task_may_change_its_arguments_and_its_entry_shows_the_original(harness: ExecutorHarness) -> None:
    async def spoil(items: list[Any]) -> None:
        items.append("more")
        items[0]["deep"] = "changed"
        raise ValueError

    performed = await harness.run(spoil, [{"deep": "original"}])
    assert entry(performed).job.args == [[{"deep": "original"}]]
    assert performed.job.args == [[{"deep": "original"}]]


# --- what cannot be run -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", ["no json", "[]", '{"args":[]}', '{"class":7}', "\udcff", ""])
async def test_what_is_no_job_fails_with_its_text_kept(harness: ExecutorHarness, raw: str) -> None:
    performed = await harness.perform("", raw=raw)
    assert isinstance(failure(performed), Undecodable)
    failed = entry(performed)
    assert "'math' is not a job" in failed.error
    assert (failed.exception, failed.job.name, failed.job.args) == (
        "Undecodable",
        "",
        [raw.replace("\udcff", "\\udcff")],
    )


async def test_an_unknown_name_fails_and_says_how_to_declare_it(harness: ExecutorHarness) -> None:
    harness.declare(lambda: None, name="add")
    performed = await harness.perform("ad", 1)
    assert isinstance(failure(performed), NoSuchTask)
    assert entry(performed).error == (
        "No job defined for class 'ad': declare it in the app that works queue 'math', with @app.task(name='ad') "
        "(declared: add)"
    )
    assert entry(performed).job.args == [1]


async def test_arguments_that_do_not_fit_fail_and_show_both(harness: ExecutorHarness) -> None:
    async def add(a: int, b: int) -> None: ...

    performed = await harness.run(add, 1, 2, 3)
    assert isinstance(failure(performed), ArgumentsMismatch)
    assert "add(a: int, b: int)" in entry(performed).error
    assert "[1, 2, 3]" in entry(performed).error


async def test_a_job_that_killed_its_process_too_often_is_failed_instead_of_run(harness: ExecutorHarness) -> None:
    ran: list[int] = []

    async def kill() -> None:
        ran.append(1)

    raw = encode_job(harness.declare(kill), [], "math")
    raw = mark_rescued(raw, running=False)
    for _ in range(3):
        performed = await harness.perform("", raw=raw)
        assert performed.disposition == Succeeded()
        raw = mark_rescued(raw, running=True)
    performed = await harness.perform("", raw=raw)
    assert isinstance(failure(performed), KilledItsProcess)
    assert "died 3 times" in entry(performed).error
    assert "rescues" not in performed.disposition.entry  # type: ignore[union-attr]
    assert len(ran) == 3


async def test_a_registry_that_breaks_fails_the_job_and_not_the_worker(
    harness: ExecutorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness.tasks, "get", lambda name: 1 / 0, raising=False)
    assert isinstance(failure(await harness.perform("add")), ZeroDivisionError)


# --- plugins ------------------------------------------------------------------------------------------------------


class Recorder:
    """A plugin that records what it sees, and answers as it is told."""

    def __init__(self, before: Any = None, after: Any = None) -> None:
        self.before, self.after = before, after
        self.seen: list[Any] = []

    @hookimpl
    async def taskhero_before_perform(self, job: Any, ctx: Any) -> Any:
        self.seen.append(("before", job, ctx))
        if isinstance(self.before, BaseException):
            raise self.before
        return self.before

    @hookimpl
    async def taskhero_after_perform(self, job: Any, ctx: Any, outcome: Any) -> Any:
        self.seen.append(("after", job, ctx, outcome))
        if isinstance(self.after, BaseException):
            raise self.after
        return self.after


async def test_hooks_see_job_worker_queue_and_the_outcome(harness: ExecutorHarness) -> None:
    plugin = Recorder()

    async def work() -> str:
        plugin.seen.append("work")
        return "result"

    performed = await harness.run(work, plugins=(plugin,))
    before, work_, after = plugin.seen
    assert work_ == "work"
    assert (before[1], after[1]) == (performed.job, performed.job)
    assert (before[2].worker, before[2].queue) == (WORKER, "math")
    assert after[3] == performed.outcome
    assert after[3].result == "result"
    assert after[3].duration > 0


async def test_hooks_log_with_the_jobs_fields(harness: ExecutorHarness, caplog: pytest.LogCaptureFixture) -> None:
    class Plugin:
        @hookimpl
        def taskhero_before_perform(self, ctx: Any) -> None:
            ctx.logger.warning("hello")

    await harness.run(lambda: None, name="work", plugins=(Plugin(),))
    (record,) = caplog.records
    assert (record.task, record.queue, record.worker) == ("work", "math", WORKER)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("answer", "outcome", "ending"),
    [
        (False, Refused(), RefusedByPlugin()),
        (Postponed(1.5), Postponed(1.5), PostponedByPlugin(1.5)),
        (Success("kept"), Success("kept"), Succeeded()),
    ],
)
async def test_what_a_before_hook_decides_is_carried_out_instead_of_running(
    harness: ExecutorHarness, answer: Any, outcome: Any, ending: Any
) -> None:
    async def work() -> None:
        raise AssertionError("it must not run")

    first, second = Recorder(before=answer), Recorder()
    performed = await harness.run(work, plugins=(first, second))
    assert (performed.outcome, performed.disposition) == (outcome, ending)
    assert not any(seen[0] == "before" for seen in second.seen)


async def test_after_hooks_are_told_only_of_jobs_that_ended(harness: ExecutorHarness) -> None:
    """Not of those that were refused or put off: they did not end, and did not run."""
    for answer, told in ((False, 0), (Postponed(1), 0), (Success(), 1), (None, 1), (ValueError(), 1)):
        plugin = Recorder(before=answer)
        await harness.run(lambda: None, name="work", plugins=(plugin,))
        assert sum(seen[0] == "after" for seen in plugin.seen) == told, answer


async def test_a_before_hook_that_raises_fails_the_job_and_after_hooks_see_it(harness: ExecutorHarness) -> None:
    error = OSError("no")
    plugin = Recorder(before=error)
    performed = await harness.run(lambda: None, name="work", plugins=(plugin,))
    assert failure(performed) is error
    assert plugin.seen[-1][3].error is error
    assert entry(performed).exception == "OSError"


async def test_an_after_hook_sees_a_failure_and_may_have_it_tried_again(harness: ExecutorHarness) -> None:
    error = ValueError("once")
    plugin = Recorder(after=Retrying(error, 0.1, "attempts", 3, (1.0, 5.0)))
    performed = await harness.run(raiser(error), name="work", plugins=(plugin,))
    assert plugin.seen[-1][3].error is error
    ending = performed.disposition
    assert isinstance(ending, Retried)
    assert (ending.counter, ending.limit, ending.delays) == ("attempts", 3, (1.0, 5.0))
    assert entry(performed).error == "once"


async def test_an_after_hook_that_raises_fails_a_job_that_succeeded(harness: ExecutorHarness) -> None:
    error = OSError("no")
    performed = await harness.run(lambda: None, name="work", plugins=(Recorder(after=error),))
    assert failure(performed) is error


async def test_an_after_hook_that_raises_does_not_hide_what_the_task_raised(
    harness: ExecutorHarness, caplog: pytest.LogCaptureFixture
) -> None:
    error, other = ValueError("task"), OSError("plugin")
    performed = await harness.run(raiser(error), name="work", plugins=(Recorder(after=other),))
    assert failure(performed) is error
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[1] is other


@pytest.mark.parametrize("place", ["before", "after"])
async def test_an_answer_that_is_no_outcome_fails_the_job_and_names_the_plugin(
    harness: ExecutorHarness, place: str
) -> None:
    performed = await harness.run(lambda: None, name="work", plugins=(Recorder(**{place: "nonsense"}),))
    assert isinstance(failure(performed), PluginError)
    assert "Recorder" in entry(performed).error


async def test_a_stop_in_a_before_hook_gives_the_job_back(harness: ExecutorHarness) -> None:
    began = asyncio.Event()

    class Plugin:
        @hookimpl
        async def taskhero_before_perform(self) -> None:
            began.set()
            await asyncio.sleep(WAIT)

    running = harness.begin(harness.declare(lambda: None, name="work", plugins=(Plugin(),)))
    await began.wait()
    harness.executor.cancel(running, WORKER)
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_stop_in_an_after_hook_does_not_undo_what_is_done(harness: ExecutorHarness) -> None:
    began = asyncio.Event()

    class Plugin:
        @hookimpl
        async def taskhero_after_perform(self) -> None:
            began.set()
            await asyncio.sleep(WAIT)

    running = harness.begin(harness.declare(lambda: None, name="work", plugins=(Plugin(),)))
    await began.wait()
    harness.executor.cancel(running, WORKER)
    assert (await running).disposition == Succeeded()


async def test_without_plugins_no_hook_is_called(harness: ExecutorHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    name = harness.declare(lambda: None, name="work")
    assert not harness.tasks[name].scope.performs
    monkeypatch.setattr("taskhero.hooks.scope.HookScope.before_perform", None)
    monkeypatch.setattr("taskhero.hooks.scope.HookScope.after_perform", None)
    assert (await harness.perform(name)).disposition == Succeeded()
