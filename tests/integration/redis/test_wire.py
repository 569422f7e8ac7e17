"""What lies in Redis, byte for byte, and what the driver makes of what others left there."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from redis_view import run_command

from taskhero.backends.protocol import (
    DelayedJobEntry,
    DueJob,
    Entry,
    Failed,
    NotDelayed,
    Process,
    PromoteResult,
    PromotionTarget,
    Removal,
    ScheduleResult,
    Settlement,
    Succeeded,
)
from taskhero.backends.redis import RedisBackend
from taskhero.clock import ManualClock
from taskhero.wire.workers import new_process_name

pytestmark = pytest.mark.anyio

RAW = '{"class":"t","queue":"q","args":[1]}'
MOMENT = 4_000_000_000
MASTER_LOCK = "resque:resque:resque_scheduler_master_lock"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MOMENT - 100.5)


@pytest.fixture
async def backend(redis_url: str, clock: ManualClock):
    backend = RedisBackend(redis_url, clock=clock)
    await backend.connect()
    yield backend
    await backend.close()


@pytest.fixture
async def process(backend: RedisBackend) -> Process:
    process = Process(new_process_name(), ("high", "q"))
    await backend.register(process, [1, 2], 1000)
    return process


async def lists(backend: RedisBackend, key: str) -> list[str]:
    return [item.decode() for item in await run_command(backend, "LRANGE", key, 0, -1)]


async def test_a_job_stands_where_every_resque_client_looks(backend):
    await backend.push([Entry("q", RAW)])
    assert await run_command(backend, "SMEMBERS", "resque:queues") == [b"q"]
    assert await lists(backend, "resque:queue:q") == [RAW]


async def test_a_delayed_job_stands_in_its_three_places(backend):
    assert await backend.schedule([DelayedJobEntry(MOMENT, "q", RAW)]) == [ScheduleResult.DELAYED]
    assert await lists(backend, f"resque:delayed:{MOMENT}") == [RAW]
    assert await run_command(backend, "SMEMBERS", f"resque:timestamps:{RAW}") == [f"delayed:{MOMENT}".encode()]
    schedule = await run_command(backend, "ZRANGE", "resque:delayed_queue_schedule", 0, -1, "WITHSCORES")
    assert schedule == [str(MOMENT).encode(), str(MOMENT).encode()]
    assert await run_command(backend, "EXISTS", "resque:queues") == 0


async def test_promotion_leaves_nothing_of_a_delayed_job_behind(backend, clock):
    await backend.schedule([DelayedJobEntry(MOMENT, "q", RAW)])
    clock.advance(200)
    due = await backend.due(10)
    assert await backend.promote([PromotionTarget(job, "q") for job in due.jobs]) == [PromoteResult.QUEUED]
    assert await lists(backend, "resque:queue:q") == [RAW]
    left = await run_command(backend, "KEYS", "resque:*")
    assert [key for key in left if b"delayed" in key or b"timestamps" in key] == []


async def test_a_busy_worker_is_what_ruby_and_node_expect(backend, process):
    await backend.push([Entry("q", RAW)])
    await backend.settle_and_claim(process, [], [1], ["q"])
    worker_id = f"{process.name}+1:high,q"
    assert worker_id.encode() in await run_command(backend, "SMEMBERS", "resque:workers")
    working = json.loads(await run_command(backend, "GET", f"resque:worker:{worker_id}"))
    assert working["queue"] == "q"
    assert working["worker"] == f"{process.name}+1"
    assert working["payload"] == json.loads(RAW)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", working["run_at"])


async def test_signs_of_life_are_those_of_ruby_and_node(backend, process):
    beat = await run_command(backend, "HGET", "resque:workers:heartbeat", f"{process.name}+1:high,q")
    assert beat.decode() == datetime.fromtimestamp(MOMENT - 101, UTC).isoformat()
    ping = json.loads(await run_command(backend, "GET", f"resque:worker:ping:{process.name}+1"))
    assert ping == {"time": MOMENT - 101, "name": f"{process.name}+1", "queues": "high,q"}
    started = await run_command(backend, "GET", f"resque:worker:{process.name}+1:high,q:started")
    assert re.fullmatch(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000", started)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00+00:00"),
        (951782399, "2000-02-28T23:59:59+00:00"),
        (951782400, "2000-02-29T00:00:00+00:00"),
        (1709164800, "2024-02-29T00:00:00+00:00"),
        (1735689599, "2024-12-31T23:59:59+00:00"),
        (4107542400, "2100-03-01T00:00:00+00:00"),
    ],
)
async def test_the_heartbeat_is_the_right_day_in_every_year(backend, clock, seconds, text):
    clock.advance(seconds - clock.now())
    process = Process(new_process_name(), ("q",))
    await backend.register(process, [1], 10)
    beat = await run_command(backend, "HGET", "resque:workers:heartbeat", process.worker_id(1))
    assert beat.decode() == text


async def test_a_worker_that_leaves_takes_all_its_keys_along(backend, process):
    await backend.push([Entry("q", RAW), Entry("q", RAW)])
    claims = (await backend.settle_and_claim(process, [], [1, 2], ["q"])).claims
    await backend.settle_and_claim(
        process, [Settlement(claims[0], Succeeded()), Settlement(claims[1], Failed("{}"))], [], []
    )
    await backend.deregister(process)
    left = [key.decode() for key in await run_command(backend, "KEYS", "*")]
    assert [key for key in left if process.name in key] == []
    assert await run_command(backend, "EXISTS", "resque:workers", "resque:workers:heartbeat") == 0


async def test_counters_are_nodes_processed_are_successes_only(backend, process):
    await backend.push([Entry("q", RAW), Entry("q", RAW)])
    claims = (await backend.settle_and_claim(process, [], [1, 2], ["q"])).claims
    await backend.settle_and_claim(
        process, [Settlement(claims[0], Succeeded()), Settlement(claims[1], Failed("{}"))], [], []
    )
    assert await backend.stats() == {
        "processed": 1,
        "failed": 1,
        f"processed:{process.name}+1": 1,
        f"failed:{process.name}+2": 1,
    }


async def test_rubys_master_lock_makes_promotion_wait_in_the_step_itself(backend, clock):
    await backend.schedule([DelayedJobEntry(MOMENT, "q", RAW)])
    clock.advance(200)
    due = await backend.due(10)
    await run_command(backend, "SET", MASTER_LOCK, "localhost:1", "EX", 100)
    assert await backend.promote([PromotionTarget(job, "q") for job in due.jobs]) == [PromoteResult.MISSED]
    yielded = await backend.due(10)
    assert yielded.yielded
    assert list(yielded.jobs) == []
    await run_command(backend, "DEL", MASTER_LOCK)
    assert await backend.promote([PromotionTarget(job, "q") for job in due.jobs]) == [PromoteResult.QUEUED]


@pytest.mark.parametrize("switch", ["true", "TRUE", "True", "true\n", " \ttrue\r\n"])
async def test_rubys_pause_switch_is_read_in_any_case_and_with_blanks_around_it(backend, process, switch):
    """A line break comes with ``echo true | redis-cli -x SET``, and pauses Ruby's workers too."""
    await backend.push([Entry("q", RAW)])
    await run_command(backend, "SET", "resque:pause-all-workers", switch)
    paused = await backend.settle_and_claim(process, [], [1], ["q"])
    assert paused.paused
    assert list(paused.claims) == []
    assert (await backend.overview()).paused is True
    await run_command(backend, "SET", "resque:pause-all-workers", "false")
    assert len((await backend.settle_and_claim(process, [], [1], ["q"])).claims) == 1


# --- what others left ------------------------------------------------------------------------------------------


async def test_a_moment_that_is_no_whole_second_goes_to_the_next_one(backend, clock):
    await run_command(backend, "RPUSH", f"resque:delayed:{MOMENT}.5", RAW)
    await run_command(backend, "ZADD", "resque:delayed_queue_schedule", f"{MOMENT}.5", f"{MOMENT}.5")
    clock.advance(100.6)  # a tenth of a second after the moment
    clock.advance(1)
    await backend.due(10)
    due = await backend.due(10)
    assert list(due.jobs) == [DueJob(MOMENT + 1, RAW)]
    assert await backend.promote([PromotionTarget(due.jobs[0], "q")]) == [PromoteResult.QUEUED]
    assert await run_command(backend, "KEYS", "resque:delayed*") == []


async def test_any_number_of_jobs_of_such_a_moment_go_in_bounded_steps(backend, clock):
    raws = [RAW.replace('"args":[', f'"args":[{n},') for n in range(1200)]
    await run_command(backend, "RPUSH", f"resque:delayed:{MOMENT}.5", *raws)
    await run_command(backend, "ZADD", "resque:delayed_queue_schedule", f"{MOMENT}.5", f"{MOMENT}.5")
    clock.advance(200)
    moved = []
    for _ in range(3):
        await backend.due(10)
        moved.append(await run_command(backend, "LLEN", f"resque:delayed:{MOMENT + 1}"))
    assert moved == sorted(set(moved)), "a step takes some"
    assert moved[-1] == 1200
    assert [job.raw for job in (await backend.due(2000)).jobs] == raws
    assert await run_command(backend, "ZRANGE", "resque:delayed_queue_schedule", 0, -1) == [str(MOMENT + 1).encode()]


async def test_more_can_be_shown_than_a_script_can_unpack(backend, clock):
    """The scheduler asks for more and more if it cannot promote what comes first."""
    entries = [DelayedJobEntry(MOMENT + n % 3, "q", RAW.replace('"args":[', f'"args":[{n},')) for n in range(9000)]
    await backend.schedule(entries)
    clock.advance(200)
    assert len((await backend.due(10_200)).jobs) == 9000


@pytest.mark.parametrize("kind", ["hash", "missing", "string"])
async def test_a_moment_without_a_list_is_cleaned_up_and_blocks_nobody(backend, clock, kind):
    if kind == "hash":
        await run_command(backend, "HSET", f"resque:delayed:{MOMENT}", "tick", "x")
    elif kind == "string":
        await run_command(backend, "SET", f"resque:delayed:{MOMENT}", "x")
    await run_command(backend, "ZADD", "resque:delayed_queue_schedule", MOMENT, MOMENT)
    await backend.schedule([DelayedJobEntry(MOMENT + 1, "q", RAW)])
    clock.advance(200)
    assert [job.raw for job in (await backend.due(10)).jobs] == [RAW]
    assert await run_command(backend, "ZRANGE", "resque:delayed_queue_schedule", 0, -1) == [str(MOMENT + 1).encode()]


@pytest.mark.parametrize("member", ["abc", "-5", "1e3", "", "99999999999999999999"])
async def test_a_moment_that_is_no_moment_spins_nobody(backend, clock, member):
    await run_command(backend, "ZADD", "resque:delayed_queue_schedule", 5, member)
    await backend.schedule([DelayedJobEntry(MOMENT, "q", RAW)])
    clock.advance(200)
    await backend.due(10)
    due = await backend.due(10)
    assert [job.raw for job in due.jobs] == [RAW]
    assert due.next_at == MOMENT


async def test_jobs_to_a_queue_that_is_no_list_stay_delayed_and_let_others_pass(backend, clock):
    await run_command(backend, "SET", "resque:queue:broken", "x")
    await backend.schedule([DelayedJobEntry(MOMENT, "broken", RAW), DelayedJobEntry(MOMENT, "q", RAW + " ")])
    clock.advance(200)
    jobs = (await backend.due(10)).jobs
    moved = await backend.promote([PromotionTarget(jobs[0], "broken"), PromotionTarget(jobs[1], "q")])
    assert moved == [PromoteResult.WRONG_TYPE, PromoteResult.QUEUED]
    assert [job.raw for job in (await backend.due(10)).jobs] == [RAW]


async def test_a_stale_index_of_a_delayed_job_is_taken_for_absent(backend):
    await run_command(backend, "SADD", f"resque:timestamps:{RAW}", f"delayed:{MOMENT}")
    assert await backend.push([Entry("q", RAW, guards=(NotDelayed((RAW,)),))]) == [True]
    assert await backend.schedule([DelayedJobEntry(MOMENT, "q", RAW)]) == [ScheduleResult.DELAYED]
    assert await backend.push([Entry("q", RAW, guards=(NotDelayed((RAW,)),))]) == [False]


async def test_bytes_that_are_not_utf8_are_kept_exactly(backend, process):
    garbage = b'{"class":"\xff\xfe","args":[]}'
    await run_command(backend, "RPUSH", "resque:queue:q", garbage, garbage)
    raw = (await backend.queued("q"))[0]
    assert raw.encode("utf-8", "surrogateescape") == garbage
    assert list(await backend.remove("q", [Removal(raw, 1)])) == [1]
    claim = (await backend.settle_and_claim(process, [], [1], ["q"])).claims[0]
    assert claim.raw == raw
    assert (await backend.claims(process)).claims[0].raw == raw


async def test_garbage_under_a_workers_own_key_is_shown_and_keeps_no_slot_from_work(backend, process):
    key = f"resque:worker:{process.worker_id(1)}"
    await run_command(backend, "SET", key, "garbage")
    assert (await backend.claims(process)).unreadable == {process.worker(1): "garbage"}
    await backend.push([Entry("q", RAW)])
    assert len((await backend.settle_and_claim(process, [], [1], ["q"])).claims) == 1


async def test_one_wrong_key_spoils_only_what_it_belongs_to(backend, process):
    await run_command(backend, "HSET", "resque:queue:high", "a", "b")
    await run_command(backend, "SET", "resque:stat:processed", "many")
    await run_command(backend, "SADD", "resque:stat:failed", "x")
    await backend.push([Entry("q", RAW), Entry("q", RAW)])
    first = await backend.settle_and_claim(process, [], [1, 2], ["high", "q"])
    assert "high" in first.problems
    assert len(first.claims) == 2
    endings = [Settlement(first.claims[0], Succeeded()), Settlement(first.claims[1], Failed("{}"))]
    second = await backend.settle_and_claim(process, endings, [], [])
    assert list(second.unsettled) == []
    assert await lists(backend, "resque:failed") == ["{}"]


async def test_failures_that_cannot_be_written_keep_their_claim_and_are_told(backend, process):
    await backend.push([Entry("q", RAW), Entry("q", RAW)])
    claims = (await backend.settle_and_claim(process, [], [1, 2], ["q"])).claims
    await run_command(backend, "SET", "resque:failed", "no list")
    endings = [Settlement(claims[0], Failed("{}")), Settlement(claims[1], Succeeded())]
    answer = await backend.settle_and_claim(process, endings, [], [])
    assert [claim for claim, _ in answer.unsettled] == [claims[0]]
    assert "WRONGTYPE" in answer.unsettled[0][1]
    assert list((await backend.claims(process)).claims) == [claims[0]]
    await run_command(backend, "DEL", "resque:failed")
    assert list((await backend.settle_and_claim(process, endings[:1], [], [])).unsettled) == []
    assert await lists(backend, "resque:failed") == ["{}"]


async def test_a_queue_named_with_every_odd_letter_comes_back_as_it_was(backend):
    odd = 'a "b" \\ ,:é😀 {x} %s'.replace(",", ";")
    process = Process(new_process_name(), ("*",))
    await backend.register(process, [1], 100)
    await backend.push([Entry(odd, RAW)])
    claim = (await backend.settle_and_claim(process, [], [1], [odd])).claims[0]
    assert claim.queue == odd
    assert (await backend.claims(process)).claims[0].queue == odd
    assert (await backend.deregister(process)).released == 1
    assert await backend.queued(odd) == [RAW]
