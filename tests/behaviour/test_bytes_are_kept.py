"""Whoever wrote a job and however it ends, it keeps its queue, the bytes of its arguments and of unknown keys."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from taskhero import current, hookimpl
from taskhero.backends.protocol import Entry, Process, Released
from taskhero.conformance.steps import claim_one, settle
from taskhero.models import Postponed
from taskhero.plugins import DelayQueueLock, Retry
from taskhero.wire.workers import new_process_name

pytestmark = pytest.mark.anyio
ON_SQLITE_TOO = True

#: The queue of the workers, and one from which only the test claims.
QUEUE, HELD = "math", "held"

# --- payloads as Ruby, node-resque, we and people write them -----------------------------------------------------

atoms = st.sampled_from(
    [
        *(
            "0",
            "7",
            "7.0",
            "-0.0",
            "1e5",
            "1E+2",
            "1.0e+22",
            "1e-07",
            "0.1",
            "12345678901234567890",
            "9007199254740993.0",
        ),
        *(
            "null",
            "true",
            '""',
            '"é 😀"',
            '"\\u00e9\\/\\ud83d\\ude00"',
            '"}"',
            '"\\"queue\\":\\"x\\""',
            '"\\\\"',
            '"\\u2028"',
        ),
    ]
)
names = st.sampled_from(['"b"', '"a"', '"10"', '"2"', '"queue"', '"args"', '"cl\\u0061ss"', '""'])


def _listed(parts):
    return "[" + ",".join(parts) + "]"


def _object(members):
    return "{" + ", ".join(f"{name}: {value}" for name, value in members) + "}"


values = st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner, max_size=3).map(_listed)
        | st.lists(st.tuples(names, inner), max_size=3, unique_by=lambda member: member[0]).map(_object)
    ),
    max_leaves=6,
)
arguments = st.one_of(st.lists(values, max_size=4).map(_listed), st.sampled_from(["null", "{}", "[]"]), values)
queues = st.sampled_from([f'"{QUEUE}"', '"other"', "null", "5", '""', '["math"]'])


@st.composite
def payloads(draw):
    """The members of a job, as texts, without its class: what comes before it, and what behind it; and the blanks."""
    members = draw(st.lists(st.tuples(st.sampled_from(['"args"', '"\\u0061rgs"']), arguments), max_size=1))
    members += draw(st.lists(st.tuples(st.sampled_from(['"queue"', '"que\\u0075e"']), queues), max_size=2))
    members += draw(st.lists(st.tuples(st.sampled_from(['"meta"', '"x"', '"payload"']), values), max_size=2))
    members = draw(st.permutations(members))
    return draw(st.integers(0, len(members))), members, draw(st.sampled_from(["", "", "", " ", "\n "]))


def written(payload, name):
    """The job's text with a class of this name."""
    place, members, blank = payload
    members = [*members[:place], ('"class"', f'"{name}"'), *members[place:]]
    return f"{{{blank}{f'{blank},{blank}'.join(f'{key}{blank}:{value}' for key, value in members)}{blank}}}"


def check(payload, kept, name, queue=QUEUE, *, named=True):
    """That a text is the job's, byte for byte but for its queue."""
    found, origin = json.loads(kept), json.loads(written(payload, name))
    assert (found.pop("queue", None) == queue) or not named
    origin.pop("queue", None)
    assert found == origin
    for key, text in payload[1]:
        if json.loads(key) != "queue":
            assert f"{key}{payload[2]}:{text}" in kept


def respelled(value):
    """The same value with other forms of numbers, and keys in another order."""
    if isinstance(value, dict):
        return {key: respelled(item) for key, item in reversed(value.items())}
    if isinstance(value, list):
        return [respelled(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


# --- all that can become of one ----------------------------------------------------------------------------------


class Refusing:
    @hookimpl
    def taskhero_before_perform(self):
        return False


class Postponing:
    """Postpones a job once."""

    def __init__(self):
        self.postponed = False

    @hookimpl
    def taskhero_before_perform(self):
        self.postponed = not self.postponed
        return Postponed(2) if self.postponed else None


@pytest.fixture
async def world(harness):
    """A running app, and what its tasks were given: the attempt and the job."""
    app = harness.app(processors=1, settings={"queues": (QUEUE,), "rescue_after": 3600})
    seen = []

    def declare(name, *plugins, error=None):
        @app.task(name=name, queue="elsewhere", plugins=plugins)
        async def work(*args):
            seen.append((current().attempt, current().job))
            if error is not None:
                raise error

    declare("Succeed")
    declare("Fail", error=ValueError("no"))
    declare("Refuse", Refusing())
    declare("Postpone", Postponing())
    declare("Again", Retry(limit=3, delay=2, jitter=0), DelayQueueLock(), error=ValueError("no"))
    async with app.running():
        yield World(harness, app, seen)


class World:
    """Leads one job through one of its lives."""

    def __init__(self, harness, app, seen):
        self.stage, self.app, self.seen = harness, app, seen
        self.queue, self.backend = app.queue, app.backend

    async def put(self, payload, name, queue=QUEUE):
        self.stage.events.clear()
        self.seen.clear()
        await self.backend.push([Entry(queue, written(payload, name))])

    async def delayed(self, payload, name):
        """Check the one delayed copy, which is found by what it means; return its arguments."""
        ((at, (job,)),) = (await self.queue.all_delayed()).items()
        check(payload, job.raw, name)
        assert await self.queue.scheduled_at(QUEUE, name, respelled(job.args)) == [at]
        return job.args

    async def failed(self, payload, name, queue=QUEUE):
        """Check the one failure."""
        (failed,) = await self.queue.failed()
        assert (failed.queue, failed.job.name, failed.problem) == (queue, name, None)
        check(payload, failed.job.raw, name, named=False)
        return failed

    async def held(self, payload, name):
        """Check the one job in the queue that nobody works, and delete it by what it means."""
        (job,) = await self.queue.queued(HELD)
        check(payload, job.raw, name, HELD)
        assert await self.queue.delete(HELD, name, respelled(job.args)) == 1
        assert await self.queue.failed_count() == 0

    async def claimed(self, payload, name, lease=60.0):
        """Claim a job for a process of the test's own."""
        process = Process(new_process_name("kit", 7), (HELD,))
        await self.backend.register(process, (1,), lease)
        await self.put(payload, name, HELD)
        return process, await claim_one(self.backend, process, queue=HELD)


async def succeeded(world, payload):
    await world.put(payload, "Succeed")
    await world.stage.happened("success")
    ((attempt, job),) = world.seen
    assert (attempt, job.queue, job.raw) == (1, QUEUE, written(payload, "Succeed"))


async def refused(world, payload):
    await world.put(payload, "Refuse")
    await world.stage.happened("refused")
    assert (world.seen, await world.queue.all_delayed()) == ([], {})


async def failed_and_retried_from_the_failed_list(world, payload):
    await world.put(payload, "Fail")
    await world.stage.happened("failure")
    failed = await world.failed(payload, "Fail")
    assert await world.queue.retry_and_remove_failed(failed)
    await world.stage.happened("failure", 2)
    (first, _), (again, job) = world.seen
    assert (first, again, job.queue) == (1, 1, QUEUE)
    check(payload, job.raw, "Fail")
    assert await world.queue.remove_failed(await world.failed(payload, "Fail")) == 1


async def postponed_and_promoted(world, payload):
    await world.put(payload, "Postpone")
    await world.stage.happened("re_enqueue")
    await world.delayed(payload, "Postpone")
    world.stage.later(world.app, 3)
    await world.stage.happened("success")
    ((attempt, job),) = world.seen
    assert (attempt, job.queue) == (1, QUEUE)
    check(payload, job.raw, "Postpone")


async def retried(world, payload):
    await world.put(payload, "Again")
    for attempt in (1, 2):
        await world.stage.happened("retry", attempt)
        meant = respelled(await world.delayed(payload, "Again"))
        assert not await world.queue.enqueue("Again", meant, QUEUE), "an equal job waits"
        world.stage.later(world.app, 3)
    await world.stage.happened("failure")
    assert [attempt for attempt, _ in world.seen] == [1, 2, 3]
    assert {job.queue for _, job in world.seen} == {QUEUE}
    assert await world.queue.remove_failed(await world.failed(payload, "Again")) == 1


async def released(world, payload):
    process, claimed = await world.claimed(payload, "Held")
    await settle(world.backend, process, claimed, Released())
    await claim_one(world.backend, process, queue=HELD)
    await world.backend.deregister_slots(process, (1,))
    await world.backend.register(process, (1,), 60.0)
    assert [job.raw for job in await world.queue.queued(HELD)] == [written(payload, "Held")]
    await claim_one(world.backend, process, queue=HELD)
    assert (await world.backend.deregister(process)).released == 1
    (job,) = await world.queue.queued(HELD)
    assert (job.raw, job.queue) == (written(payload, "Held"), HELD)
    assert await world.queue.delete_queue(HELD) == 1


async def rescued(world, payload):
    process, _ = await world.claimed(payload, "Held", lease=1.0)
    expired = [lease for lease in (await world.backend.leases()).leases if lease.process == process.name]
    while (await world.backend.claims(process)).claims:
        await world.backend.rescue(expired, 10)
    (job,) = await world.queue.queued(HELD)
    found = json.loads(job.raw)
    assert found.pop("taskhero:rescues") == 0
    check(payload, job.raw.replace(',"taskhero:rescues":0', ""), "Held", named=False)
    assert await world.queue.delete(HELD, "Held", job.args) == 1


async def cleaned_and_retried_as_stuck(world, payload):
    process, _ = await world.claimed(payload, "Held")
    await world.queue.force_clean_worker(process.worker(1))
    await world.failed(payload, "Held", HELD)
    assert await world.queue.retry_stuck_jobs() == 1
    await world.held(payload, "Held")
    await world.backend.deregister(process)


LIVES = (
    succeeded,
    refused,
    failed_and_retried_from_the_failed_list,
    postponed_and_promoted,
    retried,
    released,
    rescued,
    cleaned_and_retried_as_stuck,
)


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.__name__)
@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(payload=payloads())
async def test_a_job_keeps_its_queue_and_its_bytes(world, life, payload):
    """On every store, by every ending; a wrong queue, a rewritten number or a lost attempt is a failure."""
    await life(world, payload)
