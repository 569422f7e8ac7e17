"""Whatever stands in Redis, wherever: looking and mending never breaks, and shows it as it is."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from store_inspection import administer, inspect_all

from taskhero import TaskHero

#: Documents in one store, and stores: on three kinds of servers more than 10,000 documents.
DOCUMENTS, STORES = 80, 45
#: Where a document is put: keys of all kinds, and members of sets that name others.
PLACES = (
    "queue",
    "delayed",
    "failed",
    "own failed",
    "working",
    "ping",
    "heartbeat",
    "started",
    "lock",
    "stat",
    "worker",
    "queues",
    "failed_queues",
    "schedule",
    "leader",
    "pause",
)
TYPES = ("string", "list", "set", "zset", "hash")

JOB = {"class": "add", "queue": "math", "args": [1, 2]}
TEMPLATES = [
    JOB,
    {"class": "add", "args": {}},
    {"queue": "math", "run_at": "2026-11-23T10:32:05Z", "payload": JOB, "worker": "vm:1"},
    {"payload": JOB, "queue": "math", "exception": "E", "error": "no", "backtrace": None, "failed_at": "2026/11/23"},
    {"time": 1795430191, "name": "vm:1", "queues": "math"},
]
atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(
        ["2026/11/23 10:32:07 UTC", "Mon Nov 23 2026", "2026-99-99T00:00:00Z", "1e999", "queue#forceCleanWorker"]
    ),
)
values = st.recursive(
    atoms,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated(draw):
    """A document of some program's, with one thing wrong."""
    document = dict(draw(st.sampled_from(TEMPLATES)))
    key = draw(st.sampled_from([*document, "payload", "class", "new"]))
    if draw(st.booleans()):
        document.pop(key, None)
    else:
        document[key] = draw(values)
    text = json.dumps(document, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(text)))
        return text[:at] + draw(st.sampled_from([b"", b"\xff", b"\x00", b"}", b"["])) + text[at + 1 :]
    return text


documents = st.one_of(
    mutated(), mutated(), values.map(lambda value: json.dumps(value).encode()), st.binary(max_size=12)
)
stores = st.lists(documents, min_size=DOCUMENTS, max_size=DOCUMENTS)


def put(server, place, number, document):
    """Put a document somewhere; return which worker it belongs to."""
    worker = f"vm:{number}"
    command, key, *rest = {
        "queue": ("RPUSH", "queue:math"),
        "delayed": ("RPUSH", f"delayed:{4_000_000_000 + number % 3}"),
        "failed": ("RPUSH", "failed"),
        "own failed": ("RPUSH", "math_failed"),
        "working": ("SET", f"worker:{worker}:math"),
        "ping": ("SET", f"worker:ping:{worker}"),
        "heartbeat": ("HSET", "workers:heartbeat", f"{worker}:math"),
        "started": ("SET", f"worker:{worker}:math:started"),
        "lock": ("SET", f"lock:add:math:{number}"),
        "stat": ("SET", f"stat:processed:{worker}"),
        "worker": ("SADD", "workers"),
        "queues": ("SADD", "queues"),
        "failed_queues": ("SADD", "failed_queues"),
        "schedule": ("ZADD", "delayed_queue_schedule", "4000000005"),
        "leader": ("SET", "taskhero:leader"),
        "pause": ("SET", "pause-all-workers"),
    }[place]
    server.command(command, f"resque:{key}", *rest, document)
    if place in {"working", "ping", "heartbeat", "started", "stat"}:
        server.command("SADD", "resque:workers", f"{worker}:math")
    if place == "delayed":
        server.command("ZADD", "resque:delayed_queue_schedule", *2 * (str(4_000_000_000 + number % 3),))


def texts(documents, place):
    return [document for number, document in enumerate(documents) if PLACES[number % len(PLACES)] == place]


def raws(found):
    return [each.raw.encode("utf-8", "surrogateescape") for each in found]


@given(store=stores)
@settings(max_examples=STORES, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@pytest.mark.timeout(300)
def test_any_document_anywhere_is_shown_as_it_is(server, store):
    assert server.command("FLUSHALL") == b"+OK"
    for number, document in enumerate(store):
        put(server, PLACES[number % len(PLACES)], number, document)

    async def run():
        app = TaskHero(server.url)
        async with app:
            assert raws(await app.queue.queued("math")) == texts(store, "queue")
            assert raws(await app.queue.failed()) == texts(store, "failed")
            assert raws(await app.queue.failed(source="math_failed")) == texts(store, "own failed")
            await inspect_all(app)
            await administer(app)
            await inspect_all(app)

    asyncio.run(run())


KEYS = [
    *("queues", "queue:math", "queue:more", "delayed_queue_schedule", "delayed:4000000000", "delayed:4000000001"),
    *("failed", "failed_queues", "math_failed", "workers", "worker:vm:1:math", "worker:vm:1:math:started"),
    *("worker:ping:vm:1", "workers:heartbeat", "stat:processed", "stat:failed", "stat:processed:vm:1", "lock:add"),
    *(
        "workerslock:add",
        "taskhero:leader",
        "taskhero:signs",
        "taskhero:workers",
        "taskhero:processes",
        "taskhero:renewals",
        "taskhero:leases",
    ),
    *("pause-all-workers", "timestamps:x", "resque_scheduler_leader_lock"),
]
MEMBERS = ["math", "more", "vm:1:math", "math_failed", "4000000000", "4000000001", '{"class":"add","args":[1,2]}', ""]


@given(kinds=st.lists(st.sampled_from(TYPES), min_size=len(KEYS), max_size=len(KEYS)))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@pytest.mark.timeout(300)
def test_keys_of_any_type_break_no_call(server, kinds):
    assert server.command("FLUSHALL") == b"+OK"
    for key, kind in zip(KEYS, kinds, strict=True):
        for number, member in enumerate(MEMBERS):
            score = member if member.isdigit() else str(number)
            command = {
                "string": ("SET", member),
                "list": ("RPUSH", member),
                "set": ("SADD", member),
                "zset": ("ZADD", score, member),
                "hash": ("HSET", member, member),
            }[kind]
            server.command(command[0], f"resque:{key}", *command[1:])

    async def run():
        async with TaskHero(server.url) as app:
            await inspect_all(app)

    asyncio.run(run())
