"""Stores as Ruby Resque, resque-scheduler and node-resque leave them, and hand-made ones that trip their readers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_fuzz import look, mend

from taskhero import TaskHero

pytestmark = pytest.mark.anyio

#: Each store's name, and its keys with their types and values.
STORES = json.loads((Path(__file__).parents[2] / "data" / "stores.json").read_text("utf-8"))


def restore(server, store):
    """Make a store of these keys."""
    assert server.command("FLUSHALL") == b"+OK"
    for key, (kind, value) in store.items():
        if kind == "string":
            server.command("SET", key, value)
        elif kind in {"list", "set"}:
            server.command("RPUSH" if kind == "list" else "SADD", key, *value)
        elif kind == "hash":
            server.command("HSET", key, *(part for pair in value.items() for part in pair))
        else:
            members = value.items() if isinstance(value, dict) else value
            server.command("ZADD", key, *(part for member, score in members for part in (score, member)))


@pytest.mark.parametrize("name", STORES)
async def test_the_store_is_shown_as_it_is_and_can_be_mended(server_pool, name):
    from server_fixtures import _start

    server = server_pool.get("redis7") or server_pool.setdefault("redis7", _start("redis7"))
    store = STORES[name]
    restore(server, store)
    async with TaskHero(server.url) as app:
        for key, (_, value) in store.items():
            what = key.removeprefix("resque:")
            if what.startswith("queue:"):
                assert [job.raw for job in await app.queue.queued(what.removeprefix("queue:"))] == value
            elif what == "failed":
                assert [failed.raw for failed in await app.queue.failed()] == value
            elif what == "workers":
                states = (await app.queue.details()).workers
                assert sorted(f"{state.name}:{state.queues}".rstrip(":") for state in states) == sorted(
                    worker.rstrip(":") for worker in value
                )
            elif what.startswith("delayed:") and what.removeprefix("delayed:").isdigit():
                jobs = await app.queue.delayed_at(int(what.removeprefix("delayed:")))
                assert [job.raw for job in jobs] == value
        busy = [
            state
            for state in (await app.queue.details()).workers
            if f"resque:worker:{state.name}:{state.queues}".rstrip(":") in {key.rstrip(":") for key in store}
        ]
        assert all(state.working is not None for state in busy)
        await look(app)
        await mend(app)
        await look(app)
