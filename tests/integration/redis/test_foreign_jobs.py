"""Queues and delayed lists that node-resque and Ruby wrote are worked, with the arguments that went in."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from redis_view import run_command

from taskhero import Settings, TaskHero
from taskhero.backends.redis import RedisBackend
from taskhero.clock import ManualClock

pytestmark = pytest.mark.anyio

DUMPS = Path(__file__).parents[3] / "conformance" / "interop" / "dumps"
AFTER_ALL = 4_102_444_900.0

TEXTS = [
    "crème brûlée",
    "東京タワー",
    "🚲 and 👨\u200d🔧",
    '"quoted" back\\slash sla/sh\ttab\nline\rreturn\bbell\fform\0nul\x1besc\x7fdel',
    "\u2028 \u2029 \xa0 \ufeff",
    '<a href="?x=1&y=2">\'</a>',
    {"deep": {"list": [3, [4, []]], "none": {}}, "цена": None},
    [],
    {},
    None,
    True,
    False,
]
FLOATS = [2.0, 0.3, 3e21, 4e-7, 5e20, 2e15, 3e16, 250.0, 987654321.98765433, 0.0, 5e-324, 1.7976931348623157e308]
# JavaScript has no larger integers: what node was given was rounded before it was written.
NODE_INTEGERS = [0, -7, 2**53 - 1, 2**53, 98765432109876540000, -9223372036854776000, 7e23]
RUBY_INTEGERS = [0, -7, 2**53 - 1, 2**53 + 1, 98765432109876543210, -(2**63), 7 * 10**23]

# Which dumps, and what is performed.
QUEUED: dict[str, tuple[list[str], list[tuple[str, list[Any]]]]] = {
    "node": (
        ["node-enqueue", "node-queuelock", "node-delayqueuelock"],
        [
            ("SendInvoice", [*TEXTS, *FLOATS, *NODE_INTEGERS]),
            ("SyncStock", ["shelf", {"rows": [1]}]),
            ("SyncStock", []),
            ("CloseShop", ["south"]),
        ],
    ),
    "ruby": (
        ["ruby-enqueue", "ruby-enqueue-shapes"],
        [
            ("SendInvoice", [*TEXTS, *FLOATS, *RUBY_INTEGERS]),
            ("SendInvoice", []),
            ("SendInvoice", [None]),
            ("SendInvoice", [{"copies": 2}]),
            ("SendInvoice", ["pushed"]),
            ("Shop::Mail::Digest", ["weekly"]),
            ("SendInvoice", [[3, 4]]),
        ],
    ),
}
DELAYED: dict[str, tuple[list[str], list[tuple[str, list[Any]]]]] = {
    "node": (
        ["node-delayed"],
        [
            ("SendInvoice", ["ann", {"copies": 2}]),
            ("ResizeImage", ["ø.png", 3, [], None]),
            ("SendInvoice", []),
            ("SendInvoice", ["round"]),
            ("SendInvoice", ["round"]),
        ],
    ),
    "ruby": (
        ["ruby-delayed"],
        [
            ("SendInvoice", ["ann", {"copies": 2}]),
            ("SendInvoice", ["ann", {"copies": 2}]),
            ("SendInvoice", ["ø.png", 1.0, [], None]),
            ("ResizeImage", [7]),
            ("SendInvoice", []),
        ],
    ),
}


def written(dump: str, prefix: str) -> dict[str, list[str]]:
    """The lists in a dump whose keys begin so, by what follows."""
    keys = json.loads((DUMPS / f"{dump}.json").read_text("utf-8"))["keys"]
    lists = {one["key"]: one["value"] for one in keys if one["type"] == "list"}
    return {key.removeprefix(prefix): raws for key, raws in lists.items() if key.startswith(prefix)}


async def restore(backend: RedisBackend, part: str, dumps: list[str]) -> None:
    for dump in dumps:
        if part == "queued":
            for queue, raws in written(dump, "resque:queue:").items():
                await run_command(backend, "SADD", "resque:queues", queue)
                await run_command(backend, "RPUSH", f"resque:queue:{queue}", *raws)
            continue
        for moment, raws in written(dump, "resque:delayed:").items():
            await run_command(backend, "RPUSH", f"resque:delayed:{moment}", *raws)
            await run_command(backend, "ZADD", "resque:delayed_queue_schedule", moment, moment)
            for raw in raws:
                await run_command(backend, "SADD", f"resque:timestamps:{raw}", f"delayed:{moment}")


@pytest.mark.parametrize("part", ["queued", "delayed"])
@pytest.mark.parametrize("writer", ["node", "ruby"])
async def test_jobs_of_other_writers_arrive_with_what_their_producers_put_in(redis_url, writer, part):
    backend = RedisBackend(redis_url, clock=ManualClock(AFTER_ALL))
    app = TaskHero(backend, settings=Settings(scheduler=part == "delayed", max_task_processors=1, timeout=0.2))
    dumps, expected = (QUEUED if part == "queued" else DELAYED)[writer]
    worked: list[tuple[str, list[Any]]] = []
    all_worked = asyncio.Event()

    def note(name: str):
        def work(*args: Any) -> None:
            worked.append((name, list(args)))
            if len(worked) == len(expected):
                all_worked.set()

        return work

    for name in {name for name, _ in expected}:
        app.task(name=name)(note(name))
    async with app:
        await restore(backend, part, dumps)
        async with app.running(), asyncio.timeout(20):
            await all_worked.wait()
        assert await app.queue.failed() == []
        assert (await app.queue.stats())["processed"] == len(expected)
        assert await run_command(backend, "KEYS", "resque:timestamps:*") == []

    def order(job: tuple[str, list[Any]]) -> str:
        return json.dumps(job)

    assert sorted(worked, key=order) == sorted(expected, key=order)
    # True equals 1 in Python, and None is easily lost.
    assert kinds(sorted(worked, key=order)) == kinds(sorted(expected, key=order))


def kinds(jobs: list[tuple[str, list[Any]]]) -> list[str]:
    return [type(arg).__name__ for _, args in jobs for arg in args if isinstance(arg, bool | None)]
