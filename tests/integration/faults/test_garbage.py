"""Whatever lies in a queue: a clear failed entry with its text, and the worker goes on."""

from __future__ import annotations

import asyncio
import json

import pytest

from taskhero import Settings, TaskHero
from taskhero.backends.protocol import Entry

pytestmark = pytest.mark.anyio

GARBAGE = [
    "",
    " ",
    "not json",
    "null",
    "true",
    "1",
    '"text"',
    "[1]",
    "{}",
    '{"class":null,"args":[]}',
    '{"class":"","args":[]}',
    '{"class":7,"args":[]}',
    '{"args":[1]}',
    '{"class":"ok","args":[1]} trailing',
    '\ufeff{"class":"ok","args":[1]}',
    '{"class":"ok","args":[NaN]}',
    '{"class":"ok","args":[Infinity]}',
    '{"class":"ok","args":[1e400]}',
    '{"class":"ok","args":["raw \x01 control"]}',
    '{"class":"ok","args":["unfinished',
    '{"class":"ok","args":["\udcff\udcfe"]}',
    '{"class":"ok","args":' + "[" * 2000 + "]" * 2000 + "}",
    '{"class":"ok","args":[' + "9" * 5000 + "]}",
    '{"class":"unknown","args":[1]}',
    '{"class":"ok","args":[1,2,3]}',
]
FINE = [
    ('{"class":"ok","args":[1]}', 1),
    ('{"args":[2],"class":"ok","extra":{"x":1},"queue":null}', 2),
    (' {"class" : "ok" , "args" : [ 3 ] } ', 3),
    ('{"class":"\\u006fk","args":["\\u00e9\\/"]}', "é/"),
    ('{"class":"no","class":"ok","args":[4]}', 4),
    ('{"class":"ok","args":5}', 5),
    ('{"class":"ok","args":"six"}', "six"),
    ('{"class":"ok","args":{"n":7,"m":8}}', {"n": 7, "m": 8}),
    ('{"class":"ok","args":["\\ud83d"]}', "\ud83d"),
]


@pytest.fixture(params=["memory", "fakeredis", "redis"])
def url(request: pytest.FixtureRequest) -> str:
    """Each kind of backend."""
    if request.param == "redis":
        return request.getfixturevalue("start_server")("redis7").url
    return f"{request.param}://"


async def test_garbage_becomes_failed_entries_and_all_else_is_worked(url):
    app = TaskHero(url, settings=Settings(max_task_processors=3, timeout=0.2))
    seen: list[object] = []
    done = asyncio.Event()

    @app.task
    async def ok(n: object) -> None:
        seen.append(n)
        if len(seen) == len(FINE):
            done.set()

    async with app:
        # Two copies of each piece of garbage around the good jobs.
        raws = [*GARBAGE, *(raw for raw, _ in FINE), *GARBAGE]
        await app.backend.push([Entry("default", raw) for raw in raws])
        async with app.running():
            async with asyncio.timeout(30):
                await done.wait()
                while await app.queue.failed_count() < 2 * len(GARBAGE):
                    await asyncio.sleep(0)
        failed = await app.queue.failed()
        assert len(failed) == 2 * len(GARBAGE)
        assert await app.queue.length("default") == 0
        stats = await app.queue.stats()
    assert sorted(map(repr, seen)) == sorted(repr(value) for _, value in FINE)
    assert (stats["processed"], stats["failed"]) == (len(FINE), 2 * len(GARBAGE))
    for entry in failed:
        parsed = json.loads(entry.raw)  # what we write is valid for every reader
        entry.raw.encode("utf-8")
        assert parsed["queue"] == "default"
        assert isinstance(parsed["backtrace"], list)
        assert parsed["exception"]
        assert parsed["error"]
        assert entry.failed_at is not None
    undecodable = [entry for entry in failed if entry.exception == "Undecodable"]
    assert {entry.job.name for entry in undecodable} == {""}
    texts = [entry.job.args[0] for entry in undecodable if entry.job.args]
    for raw in ("not json", "null", "[1]", '{"class":"ok","args":[NaN]}'):
        assert texts.count(raw) == 2, "the text itself is kept"
    exceptions = {entry.job.name: entry.exception for entry in failed if entry.job.name}
    assert exceptions == {"unknown": "NoSuchTask", "ok": "ArgumentsMismatch"}
