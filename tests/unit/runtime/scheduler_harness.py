"""Schedulers on a backend in memory that can be made to fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dispatcher_harness import FaultyBackend, Signals, quick, tasks_left

from taskhero.backends.memory import MemoryBackend
from taskhero.backends.protocol import DelayedJobEntry, Process
from taskhero.clock import ManualClock
from taskhero.errors import BackendUnavailable
from taskhero.events import EVENTS, Emitter
from taskhero.models import Job
from taskhero.runtime.backoff import Outage
from taskhero.runtime.scheduler.scheduler import Scheduler, SchedulerContext
from taskhero.runtime.worker.listener import WakeupListener
from taskhero.settings import Settings
from taskhero.wire.jobs import decode_job, encode_job

AWAY = BackendUnavailable("nobody listens")


class SchedulerHarness:
    """Schedulers on one backend in memory; tests make their steps, or start them."""

    def __init__(self, timeout: float = 60.0) -> None:
        self.signals = Signals()
        self.until: Callable[..., Any] = self.signals.until
        self.clock = ManualClock()
        self.memory = MemoryBackend(clock=self.clock)
        self.backend = FaultyBackend(self.memory, self.signals)
        self.settings = Settings(scheduler=True, timeout=timeout, leader_lock_timeout=15)
        self.events: list[Any] = []
        self.emitter = Emitter()
        for kind in EVENTS:
            self.emitter.on(kind, self._listen)
        self.troubles: list[str] = []
        self.guards: Callable[[Job], Any] = lambda _job: ()
        self.schedulers: list[Scheduler] = []
        self.listeners: list[WakeupListener] = []
        self.scheduler = self.hire("host.abc:1")

    def hire(self, name: str) -> Scheduler:
        """Another scheduler."""
        outage = Outage(lambda who, _error: self._trouble(who), lambda _seconds: self._trouble("over"))
        process = Process(name, ("*",))
        waiter = WakeupListener(backend=self.backend, process=process, timeout=60, outage=outage, new_backoff=quick)
        context = SchedulerContext(
            backend=self.backend,
            settings=self.settings,
            emitter=self.emitter,
            name=name,
            listener=waiter,
            outage=outage,
            guards=self._guards,
            clock=self.clock.now,
            rest=quick,
        )
        self.schedulers.append(Scheduler(context))
        self.listeners.append(waiter)
        return self.schedulers[-1]

    def _guards(self, job: Job) -> Any:
        return self.guards(job)

    def _listen(self, event: Any) -> None:
        self.events.append(event)
        self.signals.happen()

    def _trouble(self, what: str) -> None:
        self.troubles.append(what)
        self.signals.happen()

    def events_of(self, kind: type) -> list[Any]:
        return [event for event in self.events if type(event) is kind]

    @property
    def now(self) -> int:
        return int(self.clock.now())

    async def delay(self, *names: str, seconds: int = 10, queue: str = "default", raw: str | None = None) -> None:
        """Delay jobs by so many seconds from now."""
        texts = [raw] if raw is not None else [encode_job(name, [], queue) for name in names]
        entries = [DelayedJobEntry(self.now + seconds, queue, text, unique=False) for text in texts]
        await self.memory.schedule(entries)

    async def queued(self, queue: str = "default") -> list[str]:
        return [decode_job(text, queue).name for text in await self.memory.queued(queue)]

    async def promote_all(self) -> float:
        """Promote until there is nothing to do at once; return the seconds until the next step."""
        while not (delay := await self.scheduler.promote()):
            pass
        return delay

    async def __aenter__(self) -> SchedulerHarness:
        await self.memory.connect()
        return self

    async def start(self) -> None:
        self.listeners[0].start()
        await self.scheduler.start()

    async def __aexit__(self, *_: object) -> None:
        self.backend.mend()
        for scheduler, waiter in zip(self.schedulers, self.listeners, strict=True):
            await scheduler.stop()
            await scheduler.stop()
            await waiter.stop()
        assert not tasks_left()
        await self.memory.close()
