"""A lost reply loses nothing and doubles nothing: of every verb, before and after the server acted."""

from __future__ import annotations

import asyncio
import time

import pytest
from lost_reply_cases import (
    CASES,
    ENDINGS,
    LOCKS,
    RAW,
    READING,
    P,
    a_claim,
    a_claim_with_locks,
    a_guarded_claim,
    a_queued_job,
    case_id,
    counted,
    direct,
    end_with_locks,
    keys,
    lossy,
    prepare,
    registered,
    sha,
)
from proxy import Proxy
from redis_view import run_command, set_tracking

from taskhero.backends.protocol import (
    Entry,
    HeldLock,
    Preparation,
    Prepared,
    Settlement,
    Subscription,
    Succeeded,
)
from taskhero.backends.redis import RedisBackend
from taskhero.errors import BackendUnavailable, ReplyLost

__all__ = ["direct", "lossy"]  # fixtures

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("case", CASES, ids=case_id)
async def test_a_step_whose_request_is_lost_changes_nothing_and_can_be_asked_again(case, lossy, direct):
    backend, proxy = lossy
    given = await case.prepare(direct, backend)
    before = await case.effect(direct)
    proxy.lose("before", case.request)
    with pytest.raises(ReplyLost, match="may or may not"):
        await case.call(backend, given)
    assert proxy.cut.is_set()
    assert await case.effect(direct) == before
    await case.call(backend, given)
    assert await case.effect(direct) != before


@pytest.mark.parametrize("case", CASES, ids=case_id)
async def test_a_step_whose_answer_is_lost_was_done_once(case, lossy, direct):
    backend, proxy = lossy
    given = await case.prepare(direct, backend)
    before = await case.effect(direct)
    proxy.lose("after", case.request)
    with pytest.raises(ReplyLost, match="may or may not"):
        await case.call(backend, given)
    assert proxy.cut.is_set()
    after = await case.effect(direct)
    assert after != before, "the server did act"
    # What was done once is what an honest connection would have done: nothing was repeated.
    assert await counted(direct) <= 1


@pytest.mark.parametrize("name", READING)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_reading_verb_whose_answer_is_lost_says_so_and_works_again(name, when, lossy, direct):
    backend, proxy = lossy
    await a_queued_job(direct, backend)
    await run_command(direct, "SET", "resque:stat:processed", 1)
    call, request = READING[name]
    proxy.lose(when, request)
    with pytest.raises(ReplyLost):
        await call(backend)
    assert proxy.cut.is_set()
    await call(backend)


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=list(ENDINGS))
async def test_a_settlement_that_is_sent_again_after_a_lost_answer_changes_nothing(ending, lossy, direct):
    backend, proxy = lossy
    claim = await a_claim(direct, backend)
    proxy.lose("after", sha("settle_and_claim"))
    with pytest.raises(ReplyLost):
        await backend.settle_and_claim(P, [Settlement(claim, ending)], [], [])
    after = await keys(direct)
    again = await backend.settle_and_claim(P, [Settlement(claim, ending)], [], [])
    assert again.gone == [claim]
    assert await keys(direct) == after


async def test_an_end_that_is_sent_again_leaves_the_locks_of_others_alone(lossy, direct):
    backend, proxy = lossy
    claim = await a_claim_with_locks(direct, backend)
    proxy.lose("after", sha("settle_and_claim"))
    with pytest.raises(ReplyLost):
        await end_with_locks(backend, claim)
    await direct.push([Entry("q", RAW)])
    next_claim = (await backend.settle_and_claim(P, [], [1], ["q"])).claims[0]
    assert list(await prepare(backend, next_claim)) == [Prepared()]
    after = await keys(direct)
    assert (await end_with_locks(backend, claim)).gone == [claim]
    assert await keys(direct) == after


async def test_locks_whose_answer_is_lost_are_the_claims_own(lossy, direct):
    backend, proxy = lossy
    claim = await a_guarded_claim(direct, backend)
    proxy.lose("after", sha("prepare"))
    with pytest.raises(ReplyLost):
        await prepare(backend, claim)
    await direct.push([Entry("q", RAW)])
    equal = (await backend.settle_and_claim(P, [], [2], ["q"])).claims[0]
    answers = await backend.prepare(P, [Preparation(equal, hold=LOCKS[1:]), Preparation(claim, hold=LOCKS)])
    assert list(answers) == [Prepared(blocked_by=0), Prepared()]
    assert (await end_with_locks(backend, claim)).gone == []
    assert list(await prepare(backend, equal)) == [Prepared()]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_locks_outlive_a_beat_whose_answer_is_lost(when, lossy, direct):
    backend, proxy = lossy
    claim = await a_claim_with_locks(direct, backend)
    held = [HeldLock(claim, lock) for lock in LOCKS]
    await asyncio.to_thread(backend.heartbeat, P, [1], 60, full=True)
    proxy.lose(when, sha("heartbeat"))
    with pytest.raises(BackendUnavailable):
        await asyncio.to_thread(backend.heartbeat, P, [1], 60, full=True, locks=held)
    assert proxy.cut.is_set()
    beat = await asyncio.to_thread(backend.heartbeat, P, [1], 60, full=True, locks=held)
    assert (beat.alive, beat.lost) == (True, ())
    assert list(await prepare(direct, claim)) == [Prepared(count=0)]


async def test_a_claim_whose_answer_is_lost_is_found_under_its_own_name(lossy, direct):
    backend, proxy = lossy
    await a_queued_job(direct, backend)
    proxy.lose("after", sha("claim"))
    with pytest.raises(ReplyLost):
        await backend.settle_and_claim(P, [], [1], ["q"])
    found = (await backend.claims(P)).claims
    assert [(claim.slot, claim.queue, claim.raw) for claim in found] == [(1, "q", RAW)]
    settled = await backend.settle_and_claim(P, [Settlement(found[0], Succeeded())], [1], ["q"])
    assert (settled.gone, settled.claims) == ([], [])
    assert (await direct.stats())["processed"] == 1


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_beat_whose_answer_is_lost_is_an_error_and_the_next_one_counts(when, lossy, direct):
    backend, proxy = lossy
    await registered(direct, backend)
    # Its connection is made first, so that the proxy meets the step itself.
    await asyncio.to_thread(backend.heartbeat, P, [1], 60, full=True)
    proxy.lose(when, sha("heartbeat"))
    with pytest.raises(BackendUnavailable):
        await asyncio.to_thread(backend.heartbeat, P, [1], 60, full=True)
    assert proxy.cut.is_set()
    assert (await asyncio.to_thread(backend.heartbeat, P, [1], 60, full=True)).alive


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_wait_whose_answer_is_lost_is_an_error_and_the_next_one_wakes(when, lossy, direct):
    backend, proxy = lossy
    await registered(direct, backend)
    set_tracking(backend, enabled=False)
    interest = Subscription(queues=("q",))
    proxy.lose(when, "BLPOP")
    waiting = asyncio.create_task(backend.wait(P, interest, 10))
    if when == "after":
        async with asyncio.timeout(5):
            while not await run_command(direct, "CLIENT", "LIST", "TYPE", "NORMAL") or not await blocked(direct):
                await asyncio.sleep(0)
        await direct.push([Entry("q", RAW)])
    with pytest.raises(BackendUnavailable):
        await waiting
    assert proxy.cut.is_set()
    again = asyncio.create_task(backend.wait(P, interest, 10))
    await direct.push([Entry("q", RAW)])
    started = time.monotonic()
    assert (await again).jobs
    assert time.monotonic() - started < 5


async def blocked(direct: RedisBackend) -> bool:
    clients = await run_command(direct, "CLIENT", "LIST")
    return b"cmd=blpop" in clients


@pytest.mark.parametrize("when", ["before", "after"])
async def test_connecting_through_a_lost_answer_is_an_error_and_works_again(when, redis_url):
    port = int(redis_url.rsplit(":", 1)[1].split("/")[0])
    async with Proxy(port) as proxy:
        backend = RedisBackend(f"redis://127.0.0.1:{proxy.port}/0")
        proxy.lose(when, "INFO")
        with pytest.raises((BackendUnavailable, ReplyLost), match="127.0.0.1"):
            await backend.connect()
        await backend.connect()
        assert await backend.queues() == []
        await backend.close()
