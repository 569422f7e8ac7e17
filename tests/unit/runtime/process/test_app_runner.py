"""All that runs in a process, started and stopped together."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from dispatcher_harness import FaultyBackend, Signals, tasks_left

from taskhero import TaskHero
from taskhero.backends.memory import MemoryBackend
from taskhero.backends.protocol import Process
from taskhero.clock import ManualClock
from taskhero.errors import BackendUnavailable, InvalidQueueName, InvalidSettings, NothingToRun, ReplyLost
from taskhero.events import EVENTS
from taskhero.runtime.app_runner import AppRunner
from taskhero.runtime.scheduler.scheduler import Scheduler
from taskhero.runtime.worker.pool import MultiWorker
from taskhero.settings import Settings

pytestmark = pytest.mark.anyio


class Program:
    """An app and a runner on a backend in memory."""

    def __init__(self, **settings: Any) -> None:
        self.signals = Signals()
        self.until: Callable[..., Any] = self.signals.until
        self.clock = ManualClock()
        self.memory = MemoryBackend(clock=self.clock)
        self.backend = FaultyBackend(self.memory, self.signals)
        self.app = TaskHero(self.memory, settings=Settings(**{"grace": 0, **settings}), clock=self.clock)
        self.events: list[Any] = []
        for kind in EVENTS:
            self.app.on(kind, self._listen)
        self.done: list[Any] = []

    def _listen(self, event: Any) -> None:
        self.events.append(event)
        self.signals.happen()

    def do(self, what: Any) -> None:
        """For tasks: this was done."""
        self.done.append(what)
        self.signals.happen()

    def names(self, source: str) -> list[str]:
        """Names of the events of a source, in order."""
        return [event.name for event in self.events if event.source == source]

    def runner(self, **factories: Any) -> AppRunner:
        app = self.app
        return AppRunner(
            app=app,
            backend=self.backend,
            settings=app.settings,
            tasks=app.tasks,
            queue=app.queue,
            emitter=app._emitter,
            **factories,
        )

    @asynccontextmanager
    async def running(self, **factories: Any) -> AsyncIterator[AppRunner]:
        async with self.app:
            runner = self.runner(**factories)
            await runner.start()
            try:
                yield runner
            finally:
                self.backend.mend()
                await runner.stop()
                await runner.stop()
                assert not tasks_left()
                assert not [thread for thread in threading.enumerate() if "heart" in thread.name]


async def test_jobs_are_worked_from_the_enqueue_to_the_count() -> None:
    program = Program(max_task_processors=10)

    @program.app.task
    async def greet(*, name: str) -> str:
        program.do(name)
        return name

    @program.app.task
    def in_thread(number: int) -> None:
        program.do(number)

    async with program.running():
        await greet.enqueue(name="Ada")
        await in_thread.enqueue(7)
        await program.until(lambda: program.names("worker").count("success") == 2)
        assert sorted(map(str, program.done)) == ["7", "Ada"]
        assert (await program.app.queue.stats())["processed"] == 2


async def test_a_delayed_job_is_worked_when_its_moment_has_come_and_not_before() -> None:
    program = Program(max_task_processors=1, scheduler=True)

    @program.app.task
    async def later(number: int) -> None:
        program.do(number)

    async with program.running() as runner:
        await later.enqueue_in(10, 1)
        await later.enqueue(0)
        await program.until(lambda: program.done == [0])
        program.clock.advance(9)
        assert runner.scheduler is not None
        runner.scheduler.request_promotion()
        await program.until(lambda: program.names("scheduler").count("poll") >= 2)
        assert program.done == [0]
        program.clock.advance(1)
        runner.scheduler.request_promotion()
        await program.until(lambda: program.done == [0, 1])


async def test_only_what_the_settings_ask_for_is_started() -> None:
    program = Program(scheduler=True)
    async with program.running() as runner:
        assert runner.multi_worker is None
        assert runner.scheduler is not None
        await program.until(lambda: program.backend.times["leases"])
        assert program.backend.times["register"] == 0
    program = Program(max_task_processors=1, scheduler=False)
    async with program.running() as runner:
        assert runner.multi_worker is not None
        assert runner.scheduler is None
        assert program.backend.times["due"] == 0


async def test_nothing_to_run_is_an_error_that_says_what_to_set() -> None:
    program = Program()
    async with program.app:
        with pytest.raises(NothingToRun, match="max_task_processors=10"):
            await program.runner().start()


async def test_the_scheduler_stops_before_the_workers_and_then_the_rest() -> None:
    program = Program(max_task_processors=2, scheduler=True)
    async with program.running():
        pass
    ends = [(event.source, event.name) for event in program.events if event.name == "end"]
    assert ends == [("scheduler", "end"), ("worker", "end"), ("multi_worker", "end")]
    verbs = [verb for verb, _ in program.backend.calls]
    assert verbs.index("resign") < verbs.index("deregister")


async def test_queues_may_be_told_by_a_callable() -> None:
    async def queues() -> list[str]:
        return ["high", "low"]

    program = Program(max_task_processors=1, queues=queues)
    async with program.running() as runner:
        assert runner.process is not None
        assert runner.process.queues == ("high", "low")


@pytest.mark.parametrize(
    ("queues", "error"), [(list, InvalidSettings), (lambda: 7, InvalidSettings), (("a\nb",), InvalidQueueName)]
)
async def test_queues_that_cannot_be_worked_are_refused_at_the_start(queues: Any, error: type[Exception]) -> None:
    program = Program(max_task_processors=1, queues=queues)
    async with program.app:
        with pytest.raises(error):
            await program.runner().start()
        assert not tasks_left()


async def test_a_start_that_fails_stops_what_it_had_started() -> None:
    program = Program(max_task_processors=1, scheduler=True)

    def broken(_context: object) -> Scheduler:
        raise ZeroDivisionError

    async with program.app:
        with pytest.raises(ZeroDivisionError):
            await program.runner(scheduler=broken).start()
        assert not tasks_left()
        assert [event.name for event in program.events if event.source == "multi_worker"][-1] == "end"


async def test_an_error_in_one_stop_does_not_keep_the_others_from_stopping() -> None:
    class Clinging(Scheduler):
        async def stop(self) -> None:
            await super().stop()
            raise ZeroDivisionError

    program = Program(max_task_processors=1, scheduler=True)
    async with program.app:
        runner = program.runner(scheduler=Clinging)
        await runner.start()
        with pytest.raises(ZeroDivisionError):
            await runner.stop()
        assert not tasks_left()
        assert program.names("multi_worker")[-1] == "end"


async def test_parts_can_be_replaced_and_an_answer_of_none_means_the_default() -> None:
    class MyMultiWorker(MultiWorker):
        pass

    program = Program(max_task_processors=1, scheduler=True)
    async with program.running(multi_worker=MyMultiWorker, scheduler=lambda _context: None) as runner:
        assert type(runner.multi_worker) is MyMultiWorker
        assert type(runner.scheduler) is Scheduler


async def test_a_stop_without_grace_gives_jobs_back() -> None:
    program = Program(max_task_processors=2)

    @program.app.task
    async def endless() -> None:
        program.do("begun")
        await asyncio.Event().wait()

    async with program.app:
        await endless.enqueue()
        runner = program.runner()
        await runner.start()
        await program.until(lambda: program.done == ["begun"])
        await runner.stop()
        assert await program.app.queue.length("default") == 1
        assert "failed" not in {name for name, count in (await program.app.queue.stats()).items() if count}


async def test_a_thread_that_never_ends_does_not_hold_up_the_stop() -> None:
    program = Program(max_task_processors=1)
    release = threading.Event()

    @program.app.task
    def stuck() -> None:
        program.do("begun")
        release.wait(30)

    async with program.app:
        await stuck.enqueue()
        runner = program.runner()
        await runner.start()
        await program.until(lambda: program.done == ["begun"])
        begun = time.monotonic()
        await runner.stop()
        assert time.monotonic() - begun < 3
        assert await program.app.queue.length("default") == 1
        release.set()


async def test_a_process_rescues_the_jobs_of_a_dead_one_and_works_them() -> None:
    program = Program(max_task_processors=2, heartbeat_interval=0.05, rescue_after=0.2)

    @program.app.task
    async def orphan() -> None:
        program.do("done")

    async with program.app:
        await orphan.enqueue()
        dead = Process("host.dead:1", ("*",))
        await program.memory.register(dead, [1], 0.2)
        await program.memory.settle_and_claim(dead, [], [1], ["default"])
        runner = program.runner()
        await runner.start()
        await program.until(lambda: program.done == ["done"])
        assert "rescue" in program.names("worker")
        assert "mark_exclusive" in program.backend.times, "it ran alone"
        await runner.stop()


async def test_an_outage_is_told_once_by_each_side_and_so_is_its_end() -> None:
    program = Program(max_task_processors=1, scheduler=True, heartbeat_interval=0.01, timeout=0.01)

    @program.app.task
    async def job() -> None:
        program.do("done")

    async with program.running():
        await program.until(lambda: "ping" in program.names("worker"))
        program.backend.break_down("settle_and_claim", "due", "wait", "queues", error=BackendUnavailable("no route"))
        program.backend.break_down("heartbeat", "lead", error=ReplyLost("no answer"))
        await program.until(lambda: {"outage"} <= {*program.names("worker")} & {*program.names("scheduler")})
        failed = program.backend.times["settle_and_claim"] + program.backend.times["queues"]
        await program.until(
            lambda: program.backend.times["settle_and_claim"] + program.backend.times["queues"] > failed
        )
        program.backend.mend()
        await program.until(
            lambda: "recovered" in program.names("worker") and "recovered" in program.names("scheduler")
        )
        await job.enqueue()
        await program.until(lambda: program.done == ["done"])
        for source in ("worker", "scheduler"):
            assert program.names(source).count("outage") == 1
            assert program.names(source).count("recovered") == 1


async def test_handlers_of_events_get_to_end() -> None:
    program = Program(max_task_processors=1)
    ended = []

    @program.app.on("multi_worker.end")
    async def slow(_event: object) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        ended.append(True)

    async with program.running():
        pass
    assert ended == [True]
