"""A minimal worker for tests that need many of them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from taskhero.backends.protocol import Settlement, Subscription, Succeeded
from taskhero.conformance.steps import long, make_process, within

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from taskhero.backends.protocol import Backend, Process

__all__ = ["SimpleWorker", "SucceededJobs", "working"]


class SucceededJobs:
    """The payloads of all jobs that succeeded."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self._changed = asyncio.Event()

    def add(self, raw: str) -> None:
        """Record one more job."""
        self.done.append(raw)
        self._changed.set()

    async def until(self, count: int) -> None:
        """Wait until *count* jobs have succeeded; fail after `Suite.patience` seconds."""
        await within(self._reached(count))

    async def _reached(self, count: int) -> None:
        while len(self.done) < count:
            self._changed.clear()
            await self._changed.wait()


class SimpleWorker:
    """A process with one slot. It claims, settles, and waits when there are no jobs.

    Attributes:
        wakeups: Number of its waits that ended because there might be jobs.
    """

    def __init__(
        self, backend: Backend, process: Process, succeeded: SucceededJobs, meet: asyncio.Barrier | None
    ) -> None:
        self.process = process
        self.wakeups = 0
        self._meet = meet
        self._backend = backend
        self._succeeded = succeeded
        self._wait: asyncio.Task[object] | None = None

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                await self._work()
                while not await self._wait_for_jobs():
                    pass
        finally:
            if self._wait is not None:
                self._wait.cancel()

    async def _work(self) -> None:
        settled: list[Settlement] = []
        while True:
            answer = await self._backend.settle_and_claim(self.process, settled, (1,), self.process.queues)
            settled = [Settlement(claimed, Succeeded()) for claimed in answer.claims]
            if not settled:
                return
            if self._meet is not None:
                await self._meet.wait()
            for claimed in answer.claims:
                self._succeeded.add(claimed.raw)
            # A backend in memory never yields to the event loop.
            await asyncio.sleep(0)

    async def _wait_for_jobs(self) -> bool:
        """Wait. Return False if `interrupt_wait` cancelled the wait."""
        subscription = Subscription(queues=self.process.queues)
        waiting = asyncio.create_task(self._backend.wait(self.process, subscription, long()))
        self._wait = waiting
        await asyncio.wait({waiting})
        if waiting.cancelled():
            return False
        self.wakeups += waiting.result().jobs
        return True

    def interrupt_wait(self) -> None:
        """Cancel the current wait. The worker starts another one and does not look for jobs in between."""
        if self._wait is not None:
            self._wait.cancel()


@asynccontextmanager
async def working(
    backends: Sequence[Backend], count: int, succeeded: SucceededJobs, *, meet: asyncio.Barrier | None = None
) -> AsyncIterator[list[SimpleWorker]]:
    """Run *count* workers, each a process of its own, spread over these views of one store.

    With *meet*, each worker holds its job until as many workers as the barrier requires hold one at the same time.
    """
    workers = []
    for number in range(count):
        backend, process = backends[number % len(backends)], make_process(100 + number)
        await backend.register(process, (1,), 1000.0)
        workers.append(SimpleWorker(backend, process, succeeded, meet))
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        yield workers
        failed = [task for task in tasks if task.done()]
        for task in failed:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await within(asyncio.gather(*tasks, return_exceptions=True))
