"""Wait for the state of a store that node-resque, Ruby or another process changes: no signal tells of it."""

from __future__ import annotations

import asyncio
import inspect


async def until(condition, seconds=20):
    """Wait until a condition holds, which may be async. Raises `TimeoutError` after *seconds*."""
    # The app continues meanwhile, also if it holds already.
    await asyncio.sleep(0)
    async with asyncio.timeout(seconds):
        while True:
            holds = condition()
            if inspect.isawaitable(holds):
                holds = await holds
            if holds:
                return
            await asyncio.sleep(0.01)
