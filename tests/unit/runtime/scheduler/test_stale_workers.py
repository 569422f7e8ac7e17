"""How the leader goes on looking after stuck workers when the store was away."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from taskhero.errors import BackendUnavailable
from taskhero.events import Emitter
from taskhero.runtime.backoff import Backoff, Outage
from taskhero.runtime.scheduler.stale_workers import StaleWorkers
from taskhero.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("still_leads", [True, False])
async def test_the_end_of_an_outage_is_told_soon_and_not_at_the_next_look(still_leads: bool) -> None:
    """Whether it tries again, or leads no longer, so that there is nothing for it to try."""
    scheduler = SimpleNamespace(leader=True)
    ended = asyncio.Event()
    looks = []

    async def sweep_workers(*_: Any, **__: Any) -> list[Any]:
        looks.append(None)
        if len(looks) == 1:
            scheduler.leader = still_leads
            raise BackendUnavailable("away")
        return []

    care = StaleWorkers(
        queue=SimpleNamespace(sweep_workers=sweep_workers),  # type: ignore[arg-type]
        scheduler=scheduler,
        settings=Settings(),
        emitter=Emitter(),
        name="host.t:1",
        outage=Outage(lambda *_: None, lambda _: ended.set()),
        new_backoff=lambda: Backoff(0.01, 0.01),
    )
    care.start()
    care.wake()
    try:
        await asyncio.wait_for(ended.wait(), 10)
    finally:
        await care.stop()
    assert len(looks) == (2 if still_leads else 1)
