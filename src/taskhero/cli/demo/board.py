"""What the demo knows at each instant, put together from the app's events."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero import Job, TaskHero, events

__all__ = ["Board", "Line", "Processor", "Tally", "call"]


@attrs.frozen
class Line:
    """Something that happened: seconds since the start, what kind of thing, and what."""

    at: float
    kind: str
    text: str


@attrs.define
class Processor:
    """One task processor: what it does now and what it has done."""

    label: str
    job: Job | None = None
    since: float = 0.0
    done: int = 0
    failed: int = 0
    busy: float = 0.0
    present: bool = True


@attrs.define
class Tally:
    """How the jobs of one task ended."""

    done: int = 0
    failed: int = 0
    seconds: float = 0.0


def call(job: Job) -> str:
    """A job as one would write it: ``send_receipt(to='a@example.com')``."""
    if len(job.args) == 1 and isinstance(job.args[0], dict):
        args = ", ".join(f"{name}={value!r}" for name, value in job.args[0].items())
    else:
        args = ", ".join(repr(value) for value in job.args)
    return f"{job.name}({args})"


class Board:
    """Listens to an app and remembers what a viewer wants to see.

    Attributes:
        processors: By worker name, in the order in which they came.
        tasks: By task name, in the order in which they were enqueued.
        waiting: Delayed jobs: when they are due (seconds since the start), and what they are.
        lines: What happened last.
        finished: Set when every job of the story has ended.
    """

    def __init__(self, say: Callable[[Line], None] | None = None) -> None:
        self.processors: dict[str, Processor] = {}
        self.tasks: dict[str, Tally] = {}
        self.waiting: list[tuple[float, Job]] = []
        self.lines: deque[Line] = deque(maxlen=16)
        self.finished = asyncio.Event()
        self._say = say
        self._began = time.monotonic()
        self._open = 0
        self._told = False
        self._recurring: set[str] = set()

    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    @property
    def present(self) -> list[Processor]:
        """The task processors that are there now."""
        return [processor for processor in self.processors.values() if processor.present]

    # told by the story

    def enqueued(self, job: Job, count: int = 1) -> None:
        """*count* jobs like this one were enqueued."""
        self._expect(job, count)
        many = f" and {count - 1} more in one step" if count > 1 else ""
        self._note("enqueued", f"{call(job)} → {job.queue}{many}")

    def delayed(self, job: Job, seconds: float) -> None:
        """A job was enqueued for later."""
        self._expect(job, 1)
        self.waiting.append((self.now() + seconds, job))
        self._note("delayed", f"{call(job)} → {job.queue} in {seconds:g} s")

    def told(self) -> None:
        """The story is over: once all its jobs have ended, all is done."""
        self._told = True
        self._check()

    def _expect(self, job: Job, count: int) -> None:
        self._open += count
        self.tasks.setdefault(job.name, Tally())

    # told by the app

    def listen(self, app: TaskHero) -> None:
        """Subscribe to the events that are shown."""
        self._recurring = {task.name for task in app.tasks if task.frequency is not None}
        app.on("worker.start", self._came)
        app.on("worker.end", self._went)
        app.on("worker.job", self._began_job)
        app.on("worker.success", self._succeeded)
        app.on("worker.failure", self._failed)
        app.on("worker.retry", self._tried)
        app.on("scheduler.re_enqueue", self._comes_again)
        app.on("scheduler.transferred_job", self._promoted)

    def _came(self, event: events.WorkerStart) -> None:
        processor = self._processor(event.worker)
        processor.present = True
        self._note("scaled", f"processor {processor.label} starts ({len(self.present)} now)")

    def _went(self, event: events.WorkerEnd) -> None:
        processor = self._processor(event.worker)
        processor.present = False
        self._note("scaled", f"processor {processor.label} ends ({len(self.present)} now)")

    def _promoted(self, event: events.SchedulerTransferredJob) -> None:
        entry = next((entry for entry in self.waiting if _equal(entry[1], event.job)), None)
        if entry is not None:
            self.waiting.remove(entry)
        self._note("due", f"{call(event.job)} → {event.job.queue}")

    def _began_job(self, event: events.WorkerJob) -> None:
        processor = self._processor(event.worker)
        processor.job, processor.since = event.job, self.now()
        self._note("working", f"{call(event.job)} on processor {processor.label}")

    def _succeeded(self, event: events.WorkerSuccess) -> None:
        self._processor(event.worker).done += 1
        tally = self._ended(event)
        tally.done += 1
        self._note("done", f"{call(event.job)} in {event.duration:.2f} s")

    def _failed(self, event: events.WorkerFailure) -> None:
        self._processor(event.worker).failed += 1
        tally = self._ended(event)
        tally.failed += 1
        self._note("failed", f"{call(event.job)}: {type(event.error).__name__}: {event.error}")

    def _tried(self, event: events.WorkerRetry) -> None:
        processor = self._processor(event.worker)
        processor.job = None
        processor.busy += event.duration
        processor.failed += 1
        self.waiting.append((self.now() + event.delay, event.job))
        again = f"attempt {event.attempt} of {event.limit}, again in {event.delay:g} s"
        self._note("retried", f"{call(event.job)}: {type(event.error).__name__}: {event.error}; {again}")

    def _comes_again(self, event: events.SchedulerReEnqueue) -> None:
        self._note("delayed", f"{event.job.name}() → {event.job.queue}, its next run")

    def _ended(self, event: events.WorkerSuccess | events.WorkerFailure) -> Tally:
        processor = self._processor(event.worker)
        processor.job = None
        processor.busy += event.duration
        tally = self.tasks.setdefault(event.job.name, Tally())
        tally.seconds += event.duration
        if event.job.name not in self._recurring:
            self._open -= 1
        self._check()
        return tally

    def _processor(self, worker: str) -> Processor:
        return self.processors.setdefault(worker, Processor(worker.rpartition("+")[2]))

    def _note(self, kind: str, text: str) -> None:
        line = Line(self.now(), kind, text)
        self.lines.append(line)
        if self._say is not None:
            self._say(line)

    def _check(self) -> None:
        if self._told and self._open <= 0:
            self.finished.set()


def _equal(one: Job, other: Job) -> bool:
    return (one.name, one.args) == (other.name, other.args)
