"""A password that the server knows is shown nowhere, whatever happens to the server."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any

import pytest

from taskhero import Settings, TaskHero
from taskhero.errors import BackendError, BackendUnavailable

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t"


async def test_no_line_about_an_outage_shows_the_password(start_server: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Of taskhero, of asyncio and of redis-py, down to the level debug."""
    caplog.set_level(logging.DEBUG)
    server = start_server("valkey9")
    assert server.command("CONFIG", "SET", "requirepass", SECRET) == b"+OK"
    settings = Settings(scheduler=True, max_task_processors=1, timeout=0.1, heartbeat_interval=0.1, rescue_after=1)
    app = TaskHero(server.url.replace("redis://", f"redis://:{SECRET}@"), settings=settings)
    outage = asyncio.Event()

    @app.on("outage")
    def met(error: BaseException) -> None:
        told.extend(traceback.format_exception(error))
        outage.set()

    told: list[str] = []
    async with app.running():
        server.kill()
        await asyncio.wait_for(outage.wait(), 30)
        with pytest.raises(BackendError) as caught:
            await app.queue.enqueue("add", [1], "math")
        told += [*traceback.format_exception(caught.value), repr(app), repr(app.backend)]
    assert "outage" in {getattr(record, "event", None) for record in caplog.records}
    assert SECRET not in "\n".join([*told, caplog.text, *(repr(vars(record)) for record in caplog.records)])


async def test_a_wrong_password_is_not_shown_either(start_server: Any) -> None:
    server = start_server("valkey9")
    assert server.command("CONFIG", "SET", "requirepass", "another") == b"+OK"
    with pytest.raises(BackendUnavailable, match="refused the password") as caught:
        async with TaskHero(server.url.replace("redis://", f"redis://:{SECRET}@")):
            pass
    assert SECRET not in "".join(traceback.format_exception(caught.value))
