"""What all topics of the kit stand on: fixtures, and hooks that a suite overrides."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, ClassVar, NoReturn, TypeAlias

import pytest

from taskhero.clock import ManualClock
from taskhero.conformance import steps
from taskhero.conformance.capabilities import Capabilities
from taskhero.conformance.promises import needs_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from taskhero.backends.protocol import Backend, Process

__all__ = ["Suite", "Views"]

Views: TypeAlias = "Callable[[], Awaitable[Backend]]"


class Suite:
    """Base of all topics.

    Attributes:
        capabilities: What the backend, and this suite, can do.
        patience: Seconds after which what should happen has not happened. Only a test that fails waits so long.
    """

    pytestmark = pytest.mark.anyio
    capabilities: ClassVar[Capabilities] = Capabilities()
    patience: ClassVar[float] = 5.0

    # fixtures

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Backends live in asyncio's event loop."""
        return "asyncio"

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The time; a test moves it."""
        return ManualClock()

    @pytest.fixture
    def backend(self) -> Backend:
        """Override it: a backend that is connected, takes its time from the fixture ``clock``, and holds nothing."""
        raise NotImplementedError(
            f"{type(self).__name__} must override the fixture `backend`, see taskhero.conformance"
        )

    @pytest.fixture(autouse=True)
    def skip_what_is_not_claimed(self, request: pytest.FixtureRequest) -> None:
        """Skip a test for which the backend, or its suite, lacks a capability."""
        for name in needs_of(request.function):
            if not getattr(self.capabilities, name):
                pytest.skip(f"{type(self).__name__} declares Capabilities({name}=False)")

    @pytest.fixture(autouse=True)
    def wait_no_longer_than_patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let this suite's patience hold."""
        monkeypatch.setattr(steps, "PATIENCE", self.patience)

    @pytest.fixture
    async def views(self, backend: Backend, clock: ManualClock) -> AsyncIterator[Views]:
        """Opens further connections to the store of ``backend``; the same one if there can be no other."""
        async with AsyncExitStack() as opened:

            async def view() -> Backend:
                if not self.capabilities.second_view:
                    return backend
                other = await self.another_view(backend, clock)
                opened.push_async_callback(other.close)
                return other

            yield view

    # hooks

    async def another_view(self, backend: Backend, clock: ManualClock) -> Backend:
        """Open a second connection to the store of *backend*, as another process would; the kit closes it."""
        self._lacks("another_view", "second_view", backend, clock)

    async def set_paused(self, backend: Backend, *, paused: bool) -> None:
        """Set or clear what is called ``pause-all-workers`` on the wire."""
        self._lacks("set_paused", "pausing", backend, paused)

    async def break_queue(self, backend: Backend, queue: str) -> None:
        """Put something of a wrong type where the jobs of *queue* belong."""
        self._lacks("break_queue", "wrong_types", backend, queue)

    async def break_failures(self, backend: Backend) -> None:
        """Put something of a wrong type where the failures belong."""
        self._lacks("break_failures", "wrong_types", backend)

    async def break_counter(self, backend: Backend, name: str) -> None:
        """Put something that is no number where the counter *name* (as in `Backend.stats`) belongs."""
        self._lacks("break_counter", "wrong_types", backend, name)

    async def break_lock(self, backend: Backend, key: str) -> None:
        """Put something of a wrong type where the lock *key* belongs."""
        self._lacks("break_lock", "wrong_types", backend, key)

    async def break_attempts(self, backend: Backend, name: str) -> None:
        """Put something that is no number where the counter of attempts *name* belongs."""
        self._lacks("break_attempts", "wrong_types", backend, name)

    async def break_moment(self, backend: Backend, at: int) -> None:
        """Put something of a wrong type where the jobs belong that are delayed to the second *at*."""
        self._lacks("break_moment", "wrong_types", backend, at)

    async def break_seconds_of(self, backend: Backend, raw: str) -> None:
        """Put something of a wrong type where the seconds belong to which the text *raw* is delayed."""
        self._lacks("break_seconds_of", "wrong_types", backend, raw)

    async def break_worker(self, backend: Backend, worker_id: str) -> None:
        """Put something of a wrong type where the text under a worker's name belongs."""
        self._lacks("break_worker", "wrong_types", backend, worker_id)

    async def add_worker(
        self,
        backend: Backend,
        worker_id: str,
        *,
        working: str | None = None,
        ping: str | None = None,
        heartbeat: str | None = None,
    ) -> None:
        """Bring a worker of another program into view, or change what is given of one that is."""
        self._lacks("add_worker", "foreign_workers", backend, worker_id, working, ping, heartbeat)

    async def add_failure(self, backend: Backend, source: str, text: str) -> None:
        """List a failure where another program lists its own, in the list *source* (as in `Backend.failed_lists`)."""
        self._lacks("add_failure", "foreign_failures", backend, source, text)

    async def trace_of(self, backend: Backend, name: str) -> str | None:
        """The text of the trace *name* (as in `Retried`), or None."""
        self._lacks("trace_of", "traces", backend, name)

    async def set_foreign_scheduler(self, backend: Backend, *, leads: bool) -> None:
        """Let the scheduler of another program lead, by a lock without a lifetime, or lead no more."""
        self._lacks("set_foreign_scheduler", "foreign_scheduler", backend, leads)

    async def add_orphan(self, backend: Backend, moment: str, text: str) -> None:
        """Delay a job as a program does that dies before it says to which moment; *moment* is written as given."""
        self._lacks("add_orphan", "leftovers", backend, moment, text)

    async def add_lock(self, backend: Backend, key: str, text: str) -> None:
        """Leave a lock that has this text and no lifetime."""
        self._lacks("add_lock", "leftovers", backend, key, text)

    async def forget_lease(self, backend: Backend, process: Process) -> None:
        """Lose the lease of a process, but not its workers."""
        self._lacks("forget_lease", "lost_lease", backend, process)

    def _lacks(self, hook: str, capability: str, *_given: object) -> NoReturn:
        raise NotImplementedError(
            f"{type(self).__name__} must override the hook `{hook}`, or declare Capabilities({capability}=False)"
        )
