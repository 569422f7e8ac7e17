"""A multi-worker on a backend in memory that can be made to fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dispatcher_harness import FakeExecutor, FaultyBackend, Signals, quick, tasks_left
from memory_view import MemoryView

from taskhero.backends.memory import MemoryBackend
from taskhero.backends.protocol import Entry, Process
from taskhero.clock import ManualClock
from taskhero.events import EVENTS, Emitter
from taskhero.runtime.backoff import Outage
from taskhero.runtime.execution.preparation import RunPreparation
from taskhero.runtime.worker.lease_watch import LeaseSnapshot
from taskhero.runtime.worker.listener import WakeupListener
from taskhero.runtime.worker.pool import MultiWorker, MultiWorkerContext
from taskhero.settings import Settings
from taskhero.wire.jobs import decode_job, encode_job


class Delay:
    """A loop delay that a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.running = False

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False

    def take(self) -> float:
        return self.seconds


class WorkerPoolHarness:
    """A multi-worker on a backend in memory, whose checks a test makes by itself."""

    def __init__(self, minimum: int = 1, maximum: int = 8, **more: Any) -> None:
        given = {"check_interval": 60, "heartbeat_interval": 3, "queues": "default", "grace": 0, **more}
        self.settings = Settings(min_task_processors=minimum, max_task_processors=maximum, **given)
        self.signals = Signals()
        self.until: Callable[..., Any] = self.signals.until
        self.clock = ManualClock()
        self.memory = MemoryBackend(clock=self.clock)
        self.backend = FaultyBackend(self.memory, self.signals)
        self.executor = FakeExecutor(self.signals)
        self.process = Process("host.abc:1", ("default",))
        self.events: list[Any] = []
        self.looks: list[LeaseSnapshot] = []
        self.losses = 0
        self.troubles: list[Exception] = []
        self.delay = Delay()
        emitter = Emitter()
        for kind in EVENTS:
            emitter.on(kind, self._listen)
        outage = Outage(lambda _who, error: self._note(error), lambda _seconds: None)
        self.listener = WakeupListener(
            backend=self.backend, process=self.process, timeout=60, outage=outage, new_backoff=quick
        )
        self.preparation = RunPreparation(backend=self.backend, process=self.process, outage=outage, heartbeat=3)
        context = MultiWorkerContext(
            backend=self.backend,
            process=self.process,
            settings=self.settings,
            emitter=emitter,
            executor=self.executor,
            preparation=self.preparation,
            listener=self.listener,
            outage=outage,
            on_leases=self._on_leases,
            on_lease_lost=self._on_lease_lost,
        )
        self.multi_worker = MultiWorker(context, loop_delay=self.delay)

    def _listen(self, event: Any) -> None:
        self.events.append(event)
        self.signals.happen()

    def _note(self, error: Exception) -> None:
        self.troubles.append(error)
        self.signals.happen()

    def _on_leases(self, look: LeaseSnapshot) -> None:
        self.looks.append(look)
        self.signals.happen()

    def _on_lease_lost(self) -> None:
        self.losses += 1
        self.signals.happen()

    async def __aenter__(self) -> WorkerPoolHarness:
        await self.memory.connect()
        self.preparation.start()
        self.listener.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.backend.mend()
        await self.multi_worker.stop(0)
        await self.listener.stop()
        await self.preparation.stop()
        assert not tasks_left()
        assert not self.delay.running
        await self.memory.close()

    async def push(self, *names: str) -> None:
        await self.memory.push([Entry("default", encode_job(name, [], "default")) for name in names])

    async def queued(self) -> list[str]:
        return [decode_job(text, "").name for text in await self.memory.queued("default")]

    def events_of(self, kind: type) -> list[Any]:
        return [event for event in self.events if type(event) is kind]

    def slots(self) -> list[int]:
        return [worker.slot for worker in self.multi_worker.workers]

    def visible(self) -> list[int]:
        """The slots that others see."""
        return MemoryView(self.memory).slots_of(self.process)
