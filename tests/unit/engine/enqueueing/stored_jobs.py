"""What the tests of enqueueing find on the wire."""

from __future__ import annotations

__all__ = ["NOW", "delayed", "raws"]


NOW = 1_800_000_000.25


async def raws(app, queue):
    return await app.backend.queued(queue)


async def delayed(app):
    """What is delayed, as (second, text), when all is due."""
    clock = app.queue.context.clock
    clock.advance(10**9)
    due = await app.backend.due(1000)
    clock.advance(-(10**9))
    return [(job.at, job.raw) for job in due.jobs]
