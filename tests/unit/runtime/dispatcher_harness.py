"""A process on a backend in memory that can be made to fail, for tests of what works jobs."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import Any

from memory_view import MemoryView

from taskhero.backends.memory import MemoryBackend
from taskhero.backends.protocol import Claim, Entry, Failed, Process, Succeeded
from taskhero.clock import ManualClock
from taskhero.events import EVENTS, Emitter
from taskhero.models import Failure, Success
from taskhero.runtime.backoff import Backoff, Outage
from taskhero.runtime.execution.executor import JobResult
from taskhero.runtime.execution.preparation import RunPreparation
from taskhero.runtime.worker.control import WorkerControl
from taskhero.runtime.worker.listener import WakeupListener
from taskhero.runtime.worker.wiring import wire_parts
from taskhero.wire.jobs import decode_job, encode_job


def tasks_left() -> list[asyncio.Task[object]]:
    """The tasks of ours that still run."""
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("taskhero")]


class Signals:
    """Lets a test wait until something is so, looking whenever anything happens."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def happen(self) -> None:
        """Something happened; any thread may say so."""
        for future in list(self._waiting):
            future.get_loop().call_soon_threadsafe(lambda future=future: future.done() or future.set_result(None))

    async def until(self, condition: Callable[[], object], timeout: float = 5.0) -> None:
        """Wait until *condition* is so; fail the test if it is not in time."""
        try:
            async with asyncio.timeout(timeout):
                while not condition():
                    future = asyncio.get_running_loop().create_future()
                    self._waiting.add(future)
                    try:
                        await future
                    finally:
                        self._waiting.discard(future)
        except TimeoutError:
            raise AssertionError(f"did not happen in {timeout} s: {inspect.getsource(condition).strip()}") from None


class FaultyBackend:
    """A backend whose verbs can be made to fail, before they act or after, and to answer otherwise."""

    def __init__(self, inner: Any, signals: Signals) -> None:
        self.inner = inner
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.times: Counter[str] = Counter()
        self._signals = signals
        self._faults: dict[str, deque[tuple[BaseException | Callable[[Any], Any], bool]]] = defaultdict(deque)
        self._always: dict[str, BaseException] = {}
        self._gates: dict[str, asyncio.Event] = {}

    def fail(self, verb: str, error: BaseException, *, acted: bool = False, times: int = 1) -> None:
        """The next calls of *verb* raise *error*, after they *acted* or before."""
        self._faults[verb].extend([(error, acted)] * times)

    def change(self, verb: str, change: Callable[[Any], Any]) -> None:
        """The next call of *verb* answers what *change* makes of its answer."""
        self._faults[verb].append((change, True))

    def break_down(self, *verbs: str, error: BaseException) -> None:
        """These verbs raise *error* until `mend`."""
        self._always.update(dict.fromkeys(verbs, error))

    def mend(self) -> None:
        """All verbs work again."""
        self._always.clear()
        self._faults.clear()

    def hold(self, verb: str) -> asyncio.Event:
        """The answers of *verb* are held back until the event is set."""
        self._gates[verb] = asyncio.Event()
        return self._gates[verb]

    def heartbeat(self, *args: Any, **kwargs: Any) -> Any:
        error, acted = self._enter("heartbeat", args)
        if error is not None and not acted:
            raise error
        answer = self.inner.heartbeat(*args, **kwargs)
        if isinstance(error, BaseException):
            raise error
        return answer if error is None else error(answer)

    def __getattr__(self, verb: str) -> Any:
        inner = getattr(self.inner, verb)
        if not inspect.iscoroutinefunction(inner):
            return inner

        async def call(*args: Any, **kwargs: Any) -> Any:
            error, acted = self._enter(verb, args)
            if error is not None and not acted:
                raise error
            try:
                answer = await inner(*args, **kwargs)
            finally:
                self._signals.happen()
            if verb in self._gates:
                await self._gates[verb].wait()
            if isinstance(error, BaseException):
                raise error
            return answer if error is None else error(answer)

        return call

    def _enter(self, verb: str, args: tuple[Any, ...]) -> tuple[Any, bool]:
        self.calls.append((verb, args))
        self.times[verb] += 1
        self._signals.happen()
        if verb in self._always:
            return self._always[verb], False
        return self._faults[verb].popleft() if self._faults[verb] else (None, False)


class FakeExecutor:
    """Performs jobs for tests: `gates` hold jobs of a name, `tricks` do something else for it."""

    def __init__(self, signals: Signals) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.running: set[str] = set()
        self.together: list[set[str]] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.tricks: dict[str, Callable[[Claim], Any]] = {}
        self.failing: dict[asyncio.Task[Any], Exception] = {}
        self._signals = signals

    def hold(self, *names: str) -> asyncio.Event:
        """Jobs of these names do not end before the event is set."""
        gate = asyncio.Event()
        self.gates.update(dict.fromkeys(names, gate))
        return gate

    def cancel(self, running: asyncio.Task[None], _worker: str) -> None:
        running.cancel()

    def fail(self, running: asyncio.Task[None], _worker: str, error: Exception) -> bool:
        """Fail it as an executor does, if its job is one that may."""
        if running.done() or running in self.failing:
            return False
        self.failing[running] = error
        running.cancel()
        return True

    async def abandon(self, running: asyncio.Task[None], _worker: str, claim: Claim) -> JobResult | None:
        await asyncio.wait({running}, timeout=0.02)
        if running.done():
            return None
        job = decode_job(claim.raw, claim.queue)
        return JobResult(job, Failure(self.failing[running]), Failed(f'{{"failed":"{job.name}"}}'), running)

    async def perform(self, claim: Claim, worker: str) -> JobResult:
        job = decode_job(claim.raw, claim.queue)
        name = job.name
        self.begun.append(name)
        self.running.add(name)
        self.together.append(set(self.running))
        self._signals.happen()
        try:
            if name in self.gates:
                await self.gates[name].wait()
            if name in self.tricks:
                answer = self.tricks[name](claim)
                answer = await answer if inspect.isawaitable(answer) else answer
                if isinstance(answer, JobResult):
                    return answer
            if name.startswith("bad"):
                return JobResult(job, Failure(ValueError(name)), Failed(f'{{"failed":"{name}"}}'))
            return JobResult(job, Success(name), Succeeded())
        except asyncio.CancelledError:
            error = self.failing.get(asyncio.current_task())  # type: ignore[arg-type]
            if error is None:
                raise
            return JobResult(job, Failure(error), Failed(f'{{"failed":"{name}"}}'))
        finally:
            self.running.discard(name)
            self.ended.append(name)
            self._signals.happen()


def quick() -> Backoff:
    """Delays that are too short to notice."""
    return Backoff(first=0.001, limit=0.002)


class DispatcherHarness:
    """A process with a backend, a waiter, an exchanger and a crew."""

    def __init__(
        self, *queues: str, clock: ManualClock | None = None, timeout: float = 60.0, lease: float = 60.0
    ) -> None:
        self.clock = clock or ManualClock()
        self.signals = Signals()
        self.until = self.signals.until
        self.memory = MemoryBackend(clock=self.clock)
        self.backend = FaultyBackend(self.memory, self.signals)
        self.process = Process("host.abc:1", queues or ("*",))
        self.executor = FakeExecutor(self.signals)
        self.events: list[Any] = []
        self.emitter = Emitter()
        for kind in EVENTS:
            self.emitter.on(kind, self._listen)
        self.troubles: list[tuple[str, Exception]] = []
        self.recoveries = 0
        self.outage = Outage(self._began, self._ended)
        self.control = WorkerControl()
        self.listener = WakeupListener(
            backend=self.backend, process=self.process, timeout=timeout, outage=self.outage, new_backoff=quick
        )
        self.preparation = RunPreparation(
            backend=self.backend, process=self.process, outage=self.outage, heartbeat=3, new_backoff=quick
        )
        self.parts = wire_parts(
            backend=self.backend,
            process=self.process,
            executor=self.executor,
            preparation=self.preparation,
            emitter=self.emitter,
            listener=self.listener,
            outage=self.outage,
            timeout=timeout,
            lease=lease,
            rescue_limit=3,
            control=self.control,
            new_backoff=quick,
        )
        self.dispatcher = self.parts.dispatcher
        self.slots = self.parts.slots

    def _listen(self, event: Any) -> None:
        self.events.append(event)
        self.signals.happen()

    def _began(self, who: str, error: Exception) -> None:
        self.troubles.append((who, error))
        self.signals.happen()

    def _ended(self, _seconds: float) -> None:
        self.recoveries += 1
        self.signals.happen()

    async def __aenter__(self) -> DispatcherHarness:
        await self.memory.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.backend.mend()
        await self.dispatcher.drain(0, 1)
        await self.listener.stop()
        await self.preparation.stop()
        await self.memory.close()
        left = tasks_left()
        assert not left, f"tasks were left behind: {left}"

    async def start(self, processors: int) -> None:
        """Start with so many task processors."""
        slots = range(1, processors + 1)
        await self.memory.register(self.process, slots, 60.0)
        self.slots.add(slots)
        self.dispatcher.start()
        self.preparation.start()
        self.listener.start()

    async def push(self, *names: str, queue: str = "default", raw: str | None = None) -> None:
        """Put jobs of these names into a queue."""
        texts = [raw] if raw is not None else [encode_job(name, [], queue) for name in names]
        await self.memory.push([Entry(queue, text) for text in texts])

    async def queued(self) -> list[str]:
        """Names of the jobs in the default queue."""
        return [decode_job(text, "default").name for text in await self.memory.queued("default")]

    async def idle(self) -> None:
        """Wait until the process listens for jobs."""
        await self.until(lambda: self.waits)

    @property
    def waits(self) -> bool:
        """Whether the process listens for jobs."""
        return MemoryView(self.memory).waiting > 0

    def events_of(self, kind: type) -> list[Any]:
        """The events of this class, in order."""
        return [event for event in self.events if type(event) is kind]

    async def stats(self) -> dict[str, int]:
        """How many jobs succeeded and failed."""
        counters = await self.memory.stats()
        return {name: counters.get(name, 0) for name in ("processed", "failed")}
