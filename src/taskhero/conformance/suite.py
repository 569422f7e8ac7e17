"""The base of all topics of the kit: fixtures, and the hooks that a suite overrides."""

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
        capabilities: What the backend and this suite can do.
        patience: Seconds after which an expected event counts as missing. Only a failing test waits that long.
    """

    pytestmark = pytest.mark.anyio
    capabilities: ClassVar[Capabilities] = Capabilities()
    patience: ClassVar[float] = 5.0

    # fixtures

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Return the name of the event loop in which backends run."""
        return "asyncio"

    @pytest.fixture
    def clock(self) -> ManualClock:
        """Return the clock that a test advances."""
        return ManualClock()

    @pytest.fixture
    def backend(self) -> Backend:
        """Override it: return a connected, empty backend that takes its time from the fixture ``clock``."""
        raise NotImplementedError(
            f"{type(self).__name__} must override the fixture `backend`, see taskhero.conformance"
        )

    @pytest.fixture(autouse=True)
    def skip_what_needs_a_missing_capability(self, request: pytest.FixtureRequest) -> None:
        """Skip a test that needs a capability which the backend, or its suite, lacks."""
        for name in needs_of(request.function):
            if not getattr(self.capabilities, name):
                pytest.skip(f"{type(self).__name__} declares Capabilities({name}=False)")

    @pytest.fixture(autouse=True)
    def wait_no_longer_than_patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Apply this suite's patience to `steps`."""
        monkeypatch.setattr(steps, "PATIENCE", self.patience)

    @pytest.fixture
    async def views(self, backend: Backend, clock: ManualClock) -> AsyncIterator[Views]:
        """Return a function that opens another view of the store of ``backend``, or returns ``backend`` itself."""
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
        """Open a second connection to the store of *backend*, as another process would. The kit closes it."""
        self._lacks("another_view", "second_view", backend, clock)

    async def set_paused(self, backend: Backend, *, paused: bool) -> None:
        """Set or clear the key ``pause-all-workers``, as it is called on the wire."""
        self._lacks("set_paused", "pausing", backend, paused)

    async def break_queue(self, backend: Backend, queue: str) -> None:
        """Store a value of a wrong type at the key of *queue*."""
        self._lacks("break_queue", "wrong_types", backend, queue)

    async def break_failures(self, backend: Backend) -> None:
        """Store a value of a wrong type at the key of the failed list."""
        self._lacks("break_failures", "wrong_types", backend)

    async def break_counter(self, backend: Backend, name: str) -> None:
        """Store a text that is not a number at the counter *name* (as in `Backend.stats`)."""
        self._lacks("break_counter", "wrong_types", backend, name)

    async def break_lock(self, backend: Backend, key: str) -> None:
        """Store a value of a wrong type at the lock *key*."""
        self._lacks("break_lock", "wrong_types", backend, key)

    async def break_attempts(self, backend: Backend, name: str) -> None:
        """Store a text that is not a number at the counter of attempts *name*."""
        self._lacks("break_attempts", "wrong_types", backend, name)

    async def break_due_time(self, backend: Backend, at: int) -> None:
        """Store a value of a wrong type at the key of the jobs that are due at the Unix second *at*."""
        self._lacks("break_due_time", "wrong_types", backend, at)

    async def break_due_times_of(self, backend: Backend, raw: str) -> None:
        """Store a value of a wrong type at the key of the due times of the payload *raw*."""
        self._lacks("break_due_times_of", "wrong_types", backend, raw)

    async def break_worker(self, backend: Backend, worker_id: str) -> None:
        """Store a value of a wrong type at the key of a worker's job."""
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
        """Register a worker of another program, or change the given values of a registered one."""
        self._lacks("add_worker", "foreign_workers", backend, worker_id, working, ping, heartbeat)

    async def add_failure(self, backend: Backend, source: str, text: str) -> None:
        """Append an entry to another program's failed list *source* (as in `Backend.failed_lists`)."""
        self._lacks("add_failure", "foreign_failures", backend, source, text)

    async def last_error_of(self, backend: Backend, name: str) -> str | None:
        """Return the text of the last error *name* (as in `Retried`), or None."""
        self._lacks("last_error_of", "last_errors", backend, name)

    async def set_foreign_scheduler(self, backend: Backend, *, leads: bool) -> None:
        """Take or release, for another program's scheduler, a master lock without a lifetime."""
        self._lacks("set_foreign_scheduler", "foreign_scheduler", backend, leads)

    async def add_orphan(self, backend: Backend, due_at: str, payload: str) -> None:
        """Delay a job as a program does that dies before it stores the due time *due_at*, which is written as given."""
        self._lacks("add_orphan", "leftovers", backend, due_at, payload)

    async def add_lock(self, backend: Backend, key: str, text: str) -> None:
        """Store a lock that has this text and no lifetime."""
        self._lacks("add_lock", "leftovers", backend, key, text)

    async def forget_lease(self, backend: Backend, process: Process) -> None:
        """Delete the lease of a process, but not its workers."""
        self._lacks("forget_lease", "lost_lease", backend, process)

    def _lacks(self, hook: str, capability: str, *_given: object) -> NoReturn:
        raise NotImplementedError(
            f"{type(self).__name__} must override the hook `{hook}`, or declare Capabilities({capability}=False)"
        )
