"""Queues and delayed lists that node-resque and Ruby wrote are worked, with the arguments that went in."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from taskhero import Settings, TaskHero
from taskhero.backends.redis import RedisBackend
from taskhero.clock import ManualClock

pytestmark = pytest.mark.anyio

WRITTEN: dict[str, Any] = json.loads((Path(__file__).parents[2] / "data" / "foreign_jobs.json").read_text("utf-8"))
AFTER_ALL = 4_102_444_900.0

TEXTS = [
    "héllo wörld",
    "日本語",
    "emoji 😀 family 👩\u200d👧",
    'quote" back\\ slash/ tab\t nl\n cr\r bs\b ff\f nul\0 esc\x1b del\x7f',
    "ls \u2028 ps \u2029 nbsp \xa0 bom \ufeff",
    "<script>&amp;'</script>",
    {"nested": {"b": [1, [2, []]], "a": {}}, "ключ": None},
    [],
    {},
    None,
    True,
    False,
]
FLOATS = [1.0, 0.1, 1e21, 1e-7, 1e20, 1e15, 1e16, 100.0, 123456789.12345679, 0.0, 5e-324, 1.7976931348623157e308]
# JavaScript has no larger integers: what node was given was rounded before it was written.
NODE_INTEGERS = [0, -1, 2**53 - 1, 2**53, 12345678901234567000, -9223372036854776000, 1e23]
RUBY_INTEGERS = [0, -1, 2**53 - 1, 2**53 + 1, 12345678901234567890, -(2**63), 10**23]

QUEUED = {
    "node": [
        ("OkJob", [*TEXTS, *FLOATS, *NODE_INTEGERS]),
        ("QueuedOnce", ["x", {"k": [1]}]),
        ("QueuedOnce", []),
        ("DelayedOnce", ["y"]),
    ],
    "ruby": [
        ("OkJob", [*TEXTS, *FLOATS, *RUBY_INTEGERS]),
        ("OkJob", []),
        ("OkJob", [None]),
        ("OkJob", [{"a": 1}]),
        ("OkJob", ["extra"]),
        ("Some::Module::Job", [1]),
        ("OkJob", [[1, 2]]),
    ],
}
DELAYED = {
    "node": [
        ("OkJob", ["a", {"k": 1}]),
        ("OkJob", ["hé", 1, [], None]),
        ("OkJob", []),
        ("OkJob", ["r"]),
        ("OkJob", ["r"]),
    ],
    "ruby": [
        ("OkJob", ["a", {"k": 1}]),
        ("OkJob", ["a", {"k": 1}]),
        ("OkJob", ["hé", 1.0, [], None]),
        ("NoQueueJob", [1]),
        ("OkJob", []),
    ],
}


async def restore(backend: RedisBackend, writer: str, part: str) -> None:
    for name, raws in WRITTEN[writer][part].items():
        if part == "queued":
            await backend._link.call("SADD", "resque:queues", name)
            await backend._link.call("RPUSH", f"resque:queue:{name}", *raws)
            continue
        await backend._link.call("RPUSH", f"resque:delayed:{name}", *raws)
        await backend._link.call("ZADD", "resque:delayed_queue_schedule", name, name)
        for raw in raws:
            await backend._link.call("SADD", f"resque:timestamps:{raw}", f"delayed:{name}")


@pytest.mark.parametrize("part", ["queued", "delayed"])
@pytest.mark.parametrize("writer", ["node", "ruby"])
async def test_jobs_of_other_writers_arrive_with_what_their_producers_put_in(redis_url, writer, part):
    backend = RedisBackend(redis_url, clock=ManualClock(AFTER_ALL))
    app = TaskHero(backend, settings=Settings(scheduler=part == "delayed", max_task_processors=1, timeout=0.2))
    expected = (QUEUED if part == "queued" else DELAYED)[writer]
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
        await restore(backend, writer, part)
        async with app.running(), asyncio.timeout(20):
            await all_worked.wait()
        assert await app.queue.failed() == []
        assert (await app.queue.stats())["processed"] == len(expected)
        assert await backend._link.call("KEYS", "resque:timestamps:*") == []

    def order(job: tuple[str, list[Any]]) -> str:
        return json.dumps(job)

    assert sorted(worked, key=order) == sorted(expected, key=order)
    # True equals 1 in Python, and None is easily lost.
    assert kinds(sorted(worked, key=order)) == kinds(sorted(expected, key=order))


def kinds(jobs: list[tuple[str, list[Any]]]) -> list[str]:
    return [type(arg).__name__ for _, args in jobs for arg in args if isinstance(arg, bool | None)]
