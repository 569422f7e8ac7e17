"""The state that the demo shows, collected from the app's events."""

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
    """A line of the demo's log.

    Attributes:
        at: Seconds since the start.
        kind: The kind of event, a key of `tables.COLORS`.
        text: A description of the event.
    """

    at: float
    kind: str
    text: str


@attrs.define
class Processor:
    """One task processor with its current job, its counters and its busy time in seconds."""

    label: str
    job: Job | None = None
    since: float = 0.0
    succeeded: int = 0
    failed: int = 0
    busy: float = 0.0
    present: bool = True


@attrs.define
class Tally:
    """The number of jobs of one task that succeeded and failed, and the seconds that they ran."""

    succeeded: int = 0
    failed: int = 0
    seconds: float = 0.0


def call(job: Job) -> str:
    """Return a job as a call: ``send_receipt(to='a@example.com')``."""
    if len(job.args) == 1 and isinstance(job.args[0], dict):
        args = ", ".join(f"{name}={value!r}" for name, value in job.args[0].items())
    else:
        args = ", ".join(repr(value) for value in job.args)
    return f"{job.name}({args})"


class Board:
    """A subscriber to the app's events that keeps the state for the tables.

    Args:
        on_line: A function that is called with each new line, or None.

    Attributes:
        processors: Task processors by worker name, in the order of their start.
        tasks: Tallies by task name, in the order of the first enqueue.
        waiting: Delayed jobs, each with its due time in seconds since the start.
        lines: The latest lines.
        finished: An event that is set when every job of the script has ended.
    """

    def __init__(self, on_line: Callable[[Line], None] | None = None) -> None:
        self.processors: dict[str, Processor] = {}
        self.tasks: dict[str, Tally] = {}
        self.waiting: list[tuple[float, Job]] = []
        self.lines: deque[Line] = deque(maxlen=16)
        self.finished = asyncio.Event()
        self._on_line = on_line
        self._started = time.monotonic()
        self._unfinished = 0
        self._script_ended = False
        self._periodic: set[str] = set()

    def now(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._started

    @property
    def present(self) -> list[Processor]:
        """The task processors that run now."""
        return [processor for processor in self.processors.values() if processor.present]

    # calls of the script

    def enqueued(self, job: Job, count: int = 1) -> None:
        """Record that *count* jobs like this one were enqueued."""
        self._expect(job, count)
        many = f" and {count - 1} more in one step" if count > 1 else ""
        self._add_line("enqueued", f"{call(job)} → {job.queue}{many}")

    def delayed(self, job: Job, seconds: float) -> None:
        """Record that a job was enqueued for later."""
        self._expect(job, 1)
        self.waiting.append((self.now() + seconds, job))
        self._add_line("delayed", f"{call(job)} → {job.queue} in {seconds:g} s")

    def script_ended(self) -> None:
        """Record that the script enqueues no more jobs, so that `finished` is set when all of them have ended."""
        self._script_ended = True
        self._check()

    def _expect(self, job: Job, count: int) -> None:
        self._unfinished += count
        self.tasks.setdefault(job.name, Tally())

    # events of the app

    def listen(self, app: TaskHero) -> None:
        """Subscribe to the events."""
        self._periodic = {task.name for task in app.tasks if task.frequency is not None}
        app.on("worker.start", self._on_start)
        app.on("worker.end", self._on_end)
        app.on("worker.job", self._on_job)
        app.on("worker.success", self._on_success)
        app.on("worker.failure", self._on_failure)
        app.on("worker.retry", self._on_retry)
        app.on("scheduler.re_enqueue", self._on_re_enqueue)
        app.on("scheduler.transferred_job", self._on_transferred_job)

    def _on_start(self, event: events.WorkerStart) -> None:
        processor = self._processor(event.worker)
        processor.present = True
        self._add_line("scaled", f"processor {processor.label} starts ({len(self.present)} now)")

    def _on_end(self, event: events.WorkerEnd) -> None:
        processor = self._processor(event.worker)
        processor.present = False
        self._add_line("scaled", f"processor {processor.label} ends ({len(self.present)} now)")

    def _on_transferred_job(self, event: events.SchedulerTransferredJob) -> None:
        entry = next((entry for entry in self.waiting if _equal(entry[1], event.job)), None)
        if entry is not None:
            self.waiting.remove(entry)
        self._add_line("due", f"{call(event.job)} → {event.job.queue}")

    def _on_job(self, event: events.WorkerJob) -> None:
        processor = self._processor(event.worker)
        processor.job, processor.since = event.job, self.now()
        self._add_line("working", f"{call(event.job)} on processor {processor.label}")

    def _on_success(self, event: events.WorkerSuccess) -> None:
        self._processor(event.worker).succeeded += 1
        tally = self._record_end(event)
        tally.succeeded += 1
        self._add_line("succeeded", f"{call(event.job)} in {event.duration:.2f} s")

    def _on_failure(self, event: events.WorkerFailure) -> None:
        self._processor(event.worker).failed += 1
        tally = self._record_end(event)
        tally.failed += 1
        self._add_line("failed", f"{call(event.job)}: {type(event.error).__name__}: {event.error}")

    def _on_retry(self, event: events.WorkerRetry) -> None:
        processor = self._processor(event.worker)
        processor.job = None
        processor.busy += event.duration
        processor.failed += 1
        self.waiting.append((self.now() + event.delay, event.job))
        retry = f"attempt {event.attempt} of {event.limit}, next in {event.delay:g} s"
        self._add_line("retried", f"{call(event.job)}: {type(event.error).__name__}: {event.error}; {retry}")

    def _on_re_enqueue(self, event: events.SchedulerReEnqueue) -> None:
        self._add_line("delayed", f"{event.job.name}() → {event.job.queue}, its next run")

    def _record_end(self, event: events.WorkerSuccess | events.WorkerFailure) -> Tally:
        processor = self._processor(event.worker)
        processor.job = None
        processor.busy += event.duration
        tally = self.tasks.setdefault(event.job.name, Tally())
        tally.seconds += event.duration
        if event.job.name not in self._periodic:
            self._unfinished -= 1
        self._check()
        return tally

    def _processor(self, worker: str) -> Processor:
        return self.processors.setdefault(worker, Processor(worker.rpartition("+")[2]))

    def _add_line(self, kind: str, text: str) -> None:
        line = Line(self.now(), kind, text)
        self.lines.append(line)
        if self._on_line is not None:
            self._on_line(line)

    def _check(self) -> None:
        if self._script_ended and self._unfinished <= 0:
            self.finished.set()


def _equal(job: Job, other: Job) -> bool:
    return (job.name, job.args) == (other.name, other.args)
