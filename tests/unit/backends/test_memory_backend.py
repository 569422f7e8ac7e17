"""What is the memory backend's own; that it keeps the contract, the conformance kit shows."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_view import MemoryView

from taskhero.backends.memory import MemoryBackend
from taskhero.backends.memory.delayed_store import DelayedStore
from taskhero.backends.memory.locks import ExpiringMap
from taskhero.backends.memory.queue_store import slice_of
from taskhero.backends.periodic_protocol import PeriodicTaskVerbs
from taskhero.backends.protocol import (
    Backend,
    Claim,
    Entry,
    PeriodicTask,
    Process,
    QueueLockGuard,
    Released,
    Removal,
    Retried,
    Settlement,
    Subscription,
    Succeeded,
    Wakeup,
)
from taskhero.clock import ManualClock
from taskhero.errors import NotConnected

pytestmark = pytest.mark.anyio

PROCESS = Process("host.th0123456789:1", ("q",))
PERIODIC = PeriodicTask(name="tick", queue="q", raw="{}", equivalent_payloads=("{}",), frequency=5)
SOON = 0.02

#: How each verb may be called.
CALLS = {
    "push": ([],),
    "schedule": ([],),
    "due": (1,),
    "promote": ([],),
    "register": (PROCESS, (1,), 60.0),
    "deregister_slots": (PROCESS, (1,)),
    "deregister": (PROCESS,),
    "settle_and_claim": (PROCESS, (), (), ()),
    "claims": (PROCESS,),
    "prepare": (PROCESS, []),
    "restore": (PROCESS, []),
    "mark_exclusive": (PROCESS, Claim(1, "1", "q", "")),
    "leases": (),
    "rescue": ([], 1),
    "wait": (PROCESS, Subscription(), SOON),
    "notify": ([],),
    "lead": ("a", 1.0),
    "resign": ("a",),
    "ensure_periodic": ((PERIODIC,),),
    "restart_periodic": (PERIODIC,),
    "stop_periodic": (PERIODIC,),
    "resume_periodic": (["tick"],),
    "fire_cron": (PERIODIC, None, 1, 1),
    "queued": ("q",),
    "length": ("q",),
    "remove": ("q", [Removal("x")]),
    "delete_queue": ("q",),
    "pause_all_workers": (True,),
}
VERBS = sorted(
    name
    for name in {*vars(PeriodicTaskVerbs), *vars(Backend), "pause_all_workers"} - {"location", "connect", "close"}
    if name[0] != "_"
)


@pytest.fixture
def clock():
    """The time."""
    return ManualClock()


@pytest.fixture
async def backend(clock):
    """A memory backend in use."""
    backend = MemoryBackend(clock=clock)
    await backend.connect()
    yield backend
    await backend.close()


async def call(backend, verb):
    """Call a verb in a way that would succeed."""
    if verb == "heartbeat":
        return backend.heartbeat(PROCESS, (1,), 60.0, full=False)
    return await getattr(backend, verb)(*CALLS.get(verb, ()))


# --- where it may be used


@pytest.mark.parametrize("verb", VERBS)
async def test_a_verb_before_connect_or_after_close_says_what_to_do(verb):
    """Whatever the verb; between the two it works."""
    backend = MemoryBackend()
    with pytest.raises(NotConnected, match=r"call `await backend\.connect\(\)` first"):
        await call(backend, verb)
    await backend.connect()
    await call(backend, verb)
    await backend.close()
    with pytest.raises(NotConnected, match=r"call `await backend\.connect\(\)` first"):
        await call(backend, verb)


def test_another_event_loop_is_refused():
    """While it is connected in one, a second one could see half a step."""
    backend = MemoryBackend()

    async def elsewhere():
        with pytest.raises(NotConnected, match="another event loop"):
            await backend.push([Entry("q", "x")])
        with pytest.raises(NotConnected, match="another event loop"):
            await backend.connect()

    async def here():
        await backend.connect()
        await asyncio.to_thread(asyncio.run, elsewhere())
        await backend.push([Entry("q", "x")])

    asyncio.run(here())


def test_it_outlives_its_event_loop():
    """Closed or forgotten: the next loop connects it again, and finds what the last one left."""
    backend = MemoryBackend()

    async def use(*, close):
        await backend.connect()
        await backend.push([Entry("q", "x")])
        if close:
            await backend.close()
        return MemoryView(backend).jobs

    assert [asyncio.run(use(close=True)), asyncio.run(use(close=False)), asyncio.run(use(close=True))] == [1, 2, 3]


def test_it_shows_where_it_is():
    """For people and for debuggers."""
    assert MemoryBackend().location == "memory://"
    assert repr(MemoryBackend()) == "<MemoryBackend>"


# --- waiting in line


async def test_who_waited_longest_is_woken_first(backend):
    """One for each push, the others wait on."""
    interest = Subscription(queues=("q",))
    waits = [asyncio.create_task(backend.wait(PROCESS, interest, 60)) for _ in range(3)]
    await asyncio.sleep(0)
    for number in range(3):
        await backend.push([Entry("q", "x")])
        assert await waits[number] == Wakeup(jobs=True)
        assert [wait.done() for wait in waits] == [True] * (number + 1) + [False] * (2 - number)


async def test_one_wake_up_is_left_for_a_queue(backend):
    """However many pushes nobody waited for."""
    for _ in range(3):
        await backend.push([Entry("q", "x")])
    assert await backend.wait(PROCESS, Subscription(queues=("q",)), SOON) == Wakeup(jobs=True)
    assert await backend.wait(PROCESS, Subscription(queues=("q",)), SOON) == Wakeup()


@pytest.mark.parametrize("way", ["claimed", "removed", "deleted"])
async def test_an_empty_queue_leaves_no_wake_up(backend, way):
    """Whoever waits next would look in vain."""
    await backend.register(PROCESS, (1,), 60.0)
    await backend.push([Entry("q", "x")])
    if way == "claimed":
        await backend.settle_and_claim(PROCESS, (), (1,), ("q",))
    elif way == "removed":
        await backend.remove("q", [Removal("x")])
    else:
        await backend.delete_queue("q")
    assert await backend.wait(PROCESS, Subscription(queues=("q",)), SOON) == Wakeup()


async def test_who_waits_for_something_else_is_passed_over(backend):
    """In the line, and by what is left for others."""
    other = asyncio.create_task(backend.wait(PROCESS, Subscription(queues=("other",), schedule=True), 60))
    mine = asyncio.create_task(backend.wait(PROCESS, Subscription(queues=("q",)), 60))
    await asyncio.sleep(0)
    await backend.push([Entry("q", "x"), Entry("third", "x")])
    assert await mine == Wakeup(jobs=True)
    assert not other.done()
    assert await backend.wait(PROCESS, Subscription(queues=("q",)), SOON) == Wakeup()
    await backend.push([Entry("other", "x")])
    assert await other == Wakeup(jobs=True)


async def test_nothing_is_kept_of_a_wait_that_ended(backend):
    """By its time or by cancellation."""
    wait = asyncio.create_task(backend.wait(PROCESS, Subscription(queues=("q",)), 60))
    await asyncio.sleep(0)
    wait.cancel()
    await asyncio.gather(wait, return_exceptions=True)
    await backend.wait(PROCESS, Subscription(queues=("q",)), 0)
    assert MemoryView(backend).waiting == 0


# --- as on the wire


async def test_a_lock_has_node_resques_value(backend, clock):
    """The second in which it lapses, and one more."""
    clock.advance(0.7)
    await backend.push([Entry("q", "x", guards=(QueueLockGuard("lock:a", 3600),))])
    assert backend.store.locks.get("lock:a", clock.now()) == (None, int(clock.now()) + 3601)


async def test_a_worker_that_leaves_takes_its_counters_along(backend):
    """As all programs on the wire do; what is counted in all stays."""
    await backend.register(PROCESS, (1, 2), 60.0)
    await backend.push([Entry("q", "x"), Entry("q", "y")])
    claims = (await backend.settle_and_claim(PROCESS, (), (1, 2), ("q",))).claims
    await backend.settle_and_claim(PROCESS, [Settlement(claim, Succeeded()) for claim in claims], (), ())
    await backend.deregister_slots(PROCESS, (1,))
    assert await backend.stats() == {"processed": 2, f"processed:{PROCESS.worker(2)}": 1}
    await backend.deregister(PROCESS)
    assert await backend.stats() == {"processed": 2}


async def test_a_retry_loses_the_mark_of_a_rescue(backend, clock):
    """The next attempt is not quarantined: it was tried, and failed by itself."""
    marked = '{"class":"a","args":[],"taskhero:rescues":2}'
    await backend.register(PROCESS, (1,), 60.0)
    await backend.push([Entry("q", marked)])
    (claim,) = (await backend.settle_and_claim(PROCESS, (), (1,), ("q",))).claims
    await backend.settle_and_claim(PROCESS, [Settlement(claim, Retried("no", "retry:a", 3, (1.0,)))], (), ())
    clock.advance(2)
    assert [job.raw for job in (await backend.due(1)).jobs] == ['{"class":"a","args":[]}']


async def test_an_ending_that_cannot_be_recorded_keeps_its_claim(backend):
    """A mistake of the caller's loses no job."""
    await backend.register(PROCESS, (1,), 60.0)
    await backend.push([Entry("q", "x")])
    (claim,) = (await backend.settle_and_claim(PROCESS, (), (1,), ("q",))).claims
    with pytest.raises(TypeError):
        await backend.settle_and_claim(PROCESS, [Settlement(claim, Retried("no", ["retry:a"], 3, (1.0,)))], (), ())
    assert list((await backend.claims(PROCESS)).claims) == [claim]
    await backend.settle_and_claim(PROCESS, [Settlement(claim, Released())], (), ())
    assert await backend.queued("q") == ["x"]


async def test_a_counter_lapses_a_day_after_the_wait_and_so_does_the_last_error(backend, clock):
    """So a job that is never tried again leaves nothing."""
    await backend.register(PROCESS, (1,), 10**6)
    await backend.push([Entry("q", "x")])
    (claim,) = (await backend.settle_and_claim(PROCESS, (), (1,), ("q",))).claims
    ending = Retried("no", "retry:a", 3, (100.0,), last_error=("error:a", "no"))
    await backend.settle_and_claim(PROCESS, [Settlement(claim, ending)], (), ())
    for seconds, expected in ((86_499, (0, "no")), (1, (None, None))):
        clock.advance(seconds)
        store, now = backend.store, clock.now()
        assert (store.attempts.get("retry:a", now), store.last_errors.get("error:a", now)) == expected


# --- its parts


def test_numbers_lapse_and_are_swept():
    """What nobody asks for again is forgotten, so that locks of many jobs do not fill the memory."""
    numbers = ExpiringMap()
    for second in range(10_000):
        numbers.set(f"lock:{second}", second, until=second + 10.0, now=float(second))
    assert len(numbers.items(0.0)) <= 1001, "none has expired at that time"
    assert numbers.get("lock:9999", 10_008.9) == 9999
    assert numbers.get("lock:9999", 10_009.0) is None
    assert numbers.get("lock:9999", 0.0) is None
    assert not numbers.delete("lock:9999")


@given(st.lists(st.integers(), max_size=6), st.integers(-8, 8), st.integers(-8, 8))
def test_parts_are_cut_as_on_the_wire(texts, start, stop):
    """As LRANGE does, and no position is a mistake."""
    length = len(texts)
    first, last = (max(position + length, 0) if position < 0 else position for position in (start, stop))
    if stop < -length:
        last = -1
    assert slice_of(texts, start, stop) == texts[first : last + 1]


moment = st.integers(0, 5)
raw = st.sampled_from("abc")


@given(st.lists(st.tuples(st.sampled_from(["add", "remove", "due"]), moment, raw), max_size=40))
def test_a_schedule_is_as_simple_as_a_sorted_list(steps):
    """Whatever is added and removed in whatever order."""
    schedule, model = DelayedStore(), []
    for step, at, text in steps:
        if step == "add":
            assert schedule.add(at, text) == (not model or at < min(known for known, _ in model))
            model.append((at, text))
        elif step == "remove":
            assert schedule.remove(at, text) == ((at, text) in model)
            if (at, text) in model:
                model.remove((at, text))
        else:
            shown = [(job.at, job.raw) for job in schedule.due(at, 3)]
            assert shown == sorted((one for one in model if one[0] <= at), key=lambda one: one[0])[:3]
        assert schedule.next_at() == min((known for known, _ in model), default=None)
        assert schedule.due_times(text) == sorted({known for known, one in model if one == text})
        assert schedule.holds(at, text) == ((at, text) in model)
