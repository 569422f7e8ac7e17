"""Let pushes that arrive during a round trip share the next one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from taskhero._internal.async_helpers import cancel_and_wait
from taskhero.errors import BackendRefused, PartlyRefused, TaskheroError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from taskhero.backends.protocol import Entry

__all__ = ["PushBatcher", "refusal"]

#: The maximum size of one step, in jobs and in bytes.
MAX_JOBS = 1000
MAX_BYTES = 4 * 1024 * 1024

_Pending = tuple["Sequence[Entry]", "asyncio.Future[list[bool]]"]


class PushBatcher:
    """The pushes that wait for their round trip, and the task that sends them.

    Args:
        store: Stores jobs in one step. It returns for each job 1 (stored), 0 (a guard did not hold) or the error with
            which Redis refused it.
        location: Where the jobs are stored, for error messages.
    """

    def __init__(self, store: Callable[[list[Entry]], Awaitable[list[int | bytes]]], location: str) -> None:
        self._store = store
        self._location = location
        self._pending: list[_Pending] = []
        self._sender: asyncio.Task[None] | None = None

    async def push(self, entries: Sequence[Entry]) -> Sequence[bool]:
        """See `Backend.push`."""
        if not entries:
            return []
        future: asyncio.Future[list[bool]] = asyncio.get_running_loop().create_future()
        self._pending.append((entries, future))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send(), name="taskhero-push")
        return await future

    async def close(self) -> None:
        """Cancel the pushes that have no reply yet."""
        sender = self._sender
        if sender is not None:
            await cancel_and_wait([sender])
        self.reset()

    def reset(self) -> None:
        """Forget all pushes, such as those of an event loop that is closed."""
        self._pending, self._sender = [], None

    async def _send(self) -> None:
        while self._pending:
            pending, self._pending = self._pending, []
            batch: list[_Pending] = []
            jobs: list[Entry] = []
            for entries, future in pending:
                # A push that was cancelled before it was sent stores nothing.
                if not future.done():
                    batch.append((entries, future))
                    jobs += entries
            results: list[int | bytes] = []
            try:
                for chunk in _chunks(jobs):
                    results += await self._store(chunk)
            except BaseException as error:
                self._fail(batch, error)
                if not isinstance(error, Exception):
                    raise
                continue
            start = 0
            for entries, future in batch:
                self._answer(future, results[start : start + len(entries)])
                start += len(entries)

    def _fail(self, batch: list[_Pending], error: BaseException) -> None:
        for _, future in batch:
            if future.done():
                continue
            if isinstance(error, TaskheroError):
                # Each caller gets its own copy, with its own traceback.
                copy = type(error)(*error.args)
                copy.__cause__ = error.__cause__
                future.set_exception(copy)
            elif isinstance(error, asyncio.CancelledError):
                future.cancel()
            else:
                future.set_exception(error)

    def _answer(self, future: asyncio.Future[list[bool]], results: list[int | bytes]) -> None:
        if future.done():
            return
        problems: dict[int, str] = {}
        for position, result in enumerate(results):
            if isinstance(result, bytes):
                problems[position] = result.decode("utf-8", "replace")
        if problems:
            answers = [None if isinstance(result, bytes) else bool(result) for result in results]
            future.set_exception(refusal(self._location, problems, answers, stored=any(answers)))
        else:
            future.set_result(list(map(bool, results)))


def refusal(
    location: str, problems: dict[int, str], answers: Sequence[bool | str | None], *, stored: bool
) -> BackendRefused | PartlyRefused:
    """Return the error that says which jobs were not stored, and whether others were."""
    where, reason = f"Redis at {location}", next(iter(problems.values()))
    if not stored:
        return BackendRefused(f"{where} could not store the job: {reason}")
    message = f"{where} could not store {len(problems)} of {len(answers)} jobs, but processed the others: {reason}"
    return PartlyRefused(message, problems, answers)


def _chunks(entries: list[Entry]) -> Iterator[list[Entry]]:
    """Split entries so that no step exceeds `MAX_JOBS` and `MAX_BYTES`."""
    chunk: list[Entry] = []
    size = 0
    for entry in entries:
        if chunk and (len(chunk) >= MAX_JOBS or size + len(entry.raw) > MAX_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(entry)
        size += len(entry.raw)
    if chunk:
        yield chunk
