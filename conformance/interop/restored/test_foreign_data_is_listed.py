"""What other programs leave, and what trips their readers, is shown as it stands, breaks no call, and can be mended."""

from __future__ import annotations

import pytest
from restored_dumps import all_dumps
from store_inspection import administer, inspect_all
from test_harmful_states import FINE, POISONS

from taskhero import TaskHero

pytestmark = pytest.mark.anyio

WRITTEN_BY = {"list": "RPUSH", "set": "SADD", "hash": "HSET", "string": "SET", "zset": "ZADD"}


def write(server, keys):
    """Write keys of the form that the rules of what hurts others have."""
    for key, (kind, _, elements) in keys.items():
        # A dump has the score behind its member, the command wants it before.
        given = elements if kind != "zset" else [elements[at ^ 1] for at in range(len(elements))]
        if given:
            reply = server.command(WRITTEN_BY[kind], f"resque:{key}", *map(_bytes, given))
            assert not reply.startswith(b"-"), reply


def _bytes(text):
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text


async def check(app, queue, failed):
    """*queue* and *failed* are the texts that were written."""
    assert [_bytes(job.raw) for job in await app.queue.queued("q")] == [_bytes(text) for text in queue]
    assert [_bytes(entry.raw) for entry in await app.queue.failed()] == [_bytes(text) for text in failed]
    await inspect_all(app)
    await administer(app)
    await inspect_all(app)


@pytest.mark.parametrize(("rule", "poison"), POISONS)
async def test_what_hurts_other_readers(place, rule, poison):
    keys = {**FINE, **poison}
    write(place, keys)
    async with TaskHero(place.url) as app:
        await check(app, keys["queue:q"][2], keys["failed"][2])


@all_dumps
async def test_what_others_leave(restored, place, path):
    queued, failed = (restored.get(key, ("", 0, ()))[2] for key in ("queue:q", "failed"))
    async with TaskHero(place.url) as app:
        await check(app, queued, failed)
