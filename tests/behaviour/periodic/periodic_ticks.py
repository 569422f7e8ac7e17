"""The task that the tests of periodic tasks declare, and its forms on the wire."""

from __future__ import annotations

import asyncio

__all__ = ["SPELLINGS", "Ticks", "delayed"]


SPELLINGS = (
    '{"class":"tick","queue":"default","args":[{}]}',
    '{"class":"tick","queue":"default","args":[null]}',
    '{"class":"tick","queue":"default","args":[]}',
    '{"class":"tick","args":[{}]}',
    '{"class":"tick","args":[],"queue":"default"}',
)


class Ticks:
    """What a task called tick did; it can be held up, and can fail."""

    def __init__(self, harness):
        self.stage = harness
        self.runs = self.running = self.most = 0
        self.error = None
        self.go_on = asyncio.Event()
        self.go_on.set()

    def declare(self, app, **options):
        """Declare the task; several apps may declare the same one."""

        @app.task(name="tick", **{"frequency": 10, **options})
        async def tick():
            self.runs += 1
            self.running += 1
            self.most = max(self.most, self.running)
            self.stage.look()
            try:
                await self.go_on.wait()
                if self.error is not None:
                    raise self.error
            finally:
                self.running -= 1

        return tick


async def delayed(harness, app, within=5000):
    """All that is delayed: moments from now on, in seconds, each as often as there are jobs."""
    now = int(harness.clock.now())
    harness.clock.advance(within)
    found = [job.at - now for job in (await app.backend.due(1000)).jobs]
    harness.clock.advance(-within)
    return found
