"""Looking at failures, retrying and removing them: the same on every store."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from taskhero import FailedJob, Job, hookimpl
from taskhero.backends.protocol import Entry, Failed, Settlement
from taskhero.conformance.steps import registered
from taskhero.errors import CannotRetry, InvalidMoment, NotInFailures
from taskhero.plugins import QueueLock
from taskhero.wire.failures import Description, encode_failure

pytestmark = pytest.mark.anyio

RUBY = (
    '{"failed_at":"2026/11/23 10:32:07 UTC","payload":{"class":"add","args":["hé",[],1.0],"meta":{"a":1}},'
    '"exception":"Math::Wrong","error":"boom é\\nsecond","backtrace":["/app/jobs.rb:18:in `perform\'"],'
    '"worker":"vm:14559:math","queue":"math","retried_at":"2026/11/23 10:32:08"}'
)
NODE = (
    '{"worker":"vm:18844","queue":"math","payload":{"class":"add","queue":"math","args":[1,2]},"exception":"Wrong",'
    '"error":"no","backtrace":null,"failed_at":"Mon Nov 23 2026 16:06:38 GMT+0530 (India Standard Time)"}'
)
SPACED = (
    '{ "queue": "math", "payload": {"args": [1, 2], "class": "add", "taskhero:rescues": 1, '
    '"taskhero:late": 2}, "failed_at": 1795430198 }'
)
GARBAGE = ["", "garbage", "[1]", "null", '{"queue":"math"}', '{"payload":{"args":[]}}', '{"payload":{"class":"add"}}']
SURROGATE = '{"queue":"math","payload":{"class":"add","args":["\\ud83d"]}}'


def failure(task="add", args=(), queue="math", exception="ValueError", age=0.0, harness=None):
    now = harness.clock.now() if harness else 1_795_430_198
    return encode_failure(
        Description(exception, "no", ["line"]),
        raw=f'{{"class":"{task}","queue":"{queue}","args":[{",".join(map(str, args))}]}}',
        queue=queue,
        worker="vm:1",
        failed_at=now - age,
    )


async def fail(app, *texts):
    """List these texts as failures."""
    process = await registered(app.backend, 77, slots=range(1, len(texts) + 1), queues=("failing",))
    await app.backend.push([Entry("failing", "{}") for _ in texts])
    claims = (await app.backend.settle_and_claim(process, (), range(1, len(texts) + 1), ("failing",))).claims
    settled = [Settlement(claim, Failed(text)) for claim, text in zip(claims, texts, strict=True)]
    await app.backend.settle_and_claim(process, settled, (), ())
    await app.backend.deregister(process)
    await app.backend.delete_queue("failing")


async def raws(app, source="failed"):
    return [failed.raw for failed in await app.queue.failed(source=source)]


class Asked:
    """Notes what it is asked, and refuses what it is told to."""

    def __init__(self, answer=None):
        self.seen = []
        self.answer = answer

    @hookimpl
    def taskhero_before_enqueue(self, job):
        self.seen.append(("before", job.name, job.args, job.queue))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    @hookimpl
    def taskhero_after_enqueue(self, job):
        self.seen.append(("after", job.name, job.args, job.queue))


async def test_failures_of_every_program_are_read(harness):
    """Each entry is a model with timezone-aware times and its unchanged payload, whichever program wrote it."""
    app = harness.app(scheduler=False)
    async with app:
        assert await app.queue.failed() == []
        await fail(app, RUBY, NODE, SPACED)
        assert await app.queue.failed_count() == 3
        ruby, node, spaced = await app.queue.failed()
        assert ruby == FailedJob(
            job=Job("add", ["hé", [], 1.0], "math", raw='{"class":"add","args":["hé",[],1.0],"meta":{"a":1}}'),
            queue="math",
            worker="vm:14559:math",
            exception="Math::Wrong",
            error="boom é\nsecond",
            backtrace=["/app/jobs.rb:18:in `perform'"],
            failed_at=datetime(2026, 11, 23, 10, 32, 7, tzinfo=UTC),
            retried_at=datetime(2026, 11, 23, 10, 32, 8, tzinfo=UTC),
            raw=RUBY,
        )
        assert node == FailedJob(
            job=Job("add", [1, 2], "math", raw='{"class":"add","queue":"math","args":[1,2]}'),
            queue="math",
            worker="vm:18844",
            exception="Wrong",
            error="no",
            failed_at=datetime(2026, 11, 23, 10, 36, 38, tzinfo=UTC),
            raw=NODE,
        )
        assert (spaced.job.args, spaced.failed_at, spaced.raw) == (
            [1, 2],
            datetime.fromtimestamp(1795430198, UTC),
            SPACED,
        )
        assert await app.queue.failed(1, 1) == [node]
        assert await app.queue.failed(-2) == [node, spaced]


async def test_garbage_among_failures_is_shown_and_can_be_removed(harness):
    app = harness.app(scheduler=False)
    async with app:
        await fail(app, *GARBAGE, NODE)
        found = await app.queue.failed()
        assert [failed.raw for failed in found] == [*GARBAGE, NODE]
        unreadable = [failed.problem is not None or failed.job.problem is not None for failed in found]
        assert unreadable == [True] * 6 + [False, False]
        for failed in found[:6]:
            with pytest.raises(CannotRetry, match="cannot be stored"):
                await app.queue.retry_and_remove_failed(failed)
        assert await app.queue.failed_count() == 8, "they stay"
        assert [await app.queue.remove_failed(failed) for failed in found] == [1] * 8
        assert await app.queue.failed() == []


async def test_exactly_the_entry_given_is_removed(harness):
    """The entry can be from any program. node-resque finds only entries in its own form."""
    app = harness.app(scheduler=False)
    async with app:
        await fail(app, RUBY, NODE, SPACED, NODE, RUBY)
        ruby, node, spaced, *_ = await app.queue.failed()
        assert await app.queue.remove_failed(node) == 1
        assert await raws(app) == [RUBY, NODE, SPACED, RUBY], "of two that are equal, the youngest"
        assert [await app.queue.remove_failed(each) for each in (spaced, spaced, ruby)] == [1, 0, 1]
        assert await raws(app) == [RUBY, NODE]
        with pytest.raises(TypeError, match="is not a Faile"):
            await app.queue.remove_failed(NODE)


@pytest.mark.parametrize(
    ("entry", "stored"),
    [
        (RUBY, '{"class":"add","queue":"math","args":["hé",[],1.0],"meta":{"a":1}}'),
        (NODE, '{"class":"add","queue":"math","args":[1,2]}'),
        (SPACED, '{"args": [1, 2], "class": "add","queue":"math"}'),
    ],
    ids=["ruby", "node", "spaced"],
)
async def test_exactly_the_entry_given_is_retried(harness, entry, stored):
    """The job goes to the end of its queue with every key of its payload."""
    app = harness.app(scheduler=False)
    async with app:
        await app.queue.enqueue("first", [], "math")
        await fail(app, failure(), entry, failure("sub"))
        assert await app.queue.retry_and_remove_failed((await app.queue.failed())[1]) is True
        assert await raws(app) == [failure(), failure("sub")]
        assert [job.raw for job in await app.queue.queued("math")][1:] == [stored]


async def test_what_is_not_in_the_failures_is_not_retried(harness):
    """The call raises an error, stores no job and keeps the other entries."""
    app = harness.app(scheduler=False)
    async with app:
        await fail(app, NODE)
        (failed,) = await app.queue.failed()
        await app.queue.remove_failed(failed)
        await fail(app, RUBY)
        with pytest.raises(NotInFailures, match="retried or removed"):
            await app.queue.retry_and_remove_failed(failed)
        assert await raws(app) == [RUBY]
        assert await app.queue.queues() == []


async def test_when_two_press_retry_at_the_same_moment_the_job_is_stored_once(harness):
    app, other = harness.app(scheduler=False), harness.app(scheduler=False)
    async with app, other:
        await fail(app, *(failure(args=[n]) for n in range(20)))
        entries = await app.queue.failed()
        pressed = [each.queue.retry_and_remove_failed(entry) for entry in entries for each in (app, other)]
        answers = await asyncio.gather(*pressed, return_exceptions=True)
        assert sum(answer is True for answer in answers) == 20
        assert sum(isinstance(answer, NotInFailures) for answer in answers) == 20
        assert sorted(job.args[0] for job in await app.queue.queued("math")) == list(range(20))
        assert await app.queue.failed_count() == 0


async def test_the_hooks_around_enqueueing_run(harness):
    asked = Asked()
    app = harness.app(scheduler=False, plugins=[asked])
    async with app:
        await fail(app, NODE)
        assert await app.queue.retry_and_remove_failed((await app.queue.failed())[0]) is True
        assert asked.seen == [("before", "add", [1, 2], "math"), ("after", "add", [1, 2], "math")]


async def test_what_a_plugin_refuses_stays(harness):
    """By its hook, by its guard, or since it fails."""
    app = harness.app(scheduler=False)
    refusing, broken = Asked(answer=False), Asked(answer=RuntimeError("a bug"))
    app.task(name="refused", queue="math", plugins=(refusing,))(lambda: None)
    app.task(name="broken", queue="math", plugins=(broken,))(lambda: None)
    locked = app.task(name="locked", queue="math", plugins=(QueueLock(),))(lambda: None)
    async with app:
        assert await locked.enqueue()
        texts = [failure(name) for name in ("refused", "locked", "broken")]
        await fail(app, *texts)
        first, second, third = await app.queue.failed()
        assert await app.queue.retry_and_remove_failed(first) is False
        assert await app.queue.retry_and_remove_failed(second) is False
        with pytest.raises(RuntimeError, match="a bug"):
            await app.queue.retry_and_remove_failed(third)
        mended = {each.failed.job.name: each async for each in app.queue.retry_all_failed()}
        assert {name: (each.outcome, each.done) for name, each in mended.items()} == dict.fromkeys(
            ("refused", "locked", "broken"), ("refused", False)
        )
        assert "a bug" in mended["broken"].reason
        assert await raws(app) == texts
        assert await app.queue.length("math") == 1
        assert refusing.seen == [("before", "refused", [], "math")] * 2
        # When the reason is gone, it can be retried, and takes its lock as any other.
        assert await app.queue.delete("math", "locked") == 1
        assert await app.queue.retry_and_remove_failed(second) is True
        assert await locked.enqueue() is False


async def test_what_other_programs_could_not_read_is_not_stored(harness):
    """A lone surrogate ends Ruby's worker."""
    app = harness.app(scheduler=False)
    async with app:
        await fail(app, SURROGATE, failure(queue="a,b"))
        for failed in await app.queue.failed():
            with pytest.raises(CannotRetry, match="surrogate|comma"):
                await app.queue.retry_and_remove_failed(failed)
        assert [each.outcome async for each in app.queue.retry_all_failed()] == ["impossible"] * 2
        assert (await app.queue.failed_count(), await app.queue.queues()) == (2, [])


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"queue": "more"}, [1, 4]),
        ({"task": "add"}, [0, 1, 3]),
        ({"exception": "ValueError"}, [0, 4]),
        ({"exception": "Wrong"}, [1, 2]),
        ({"exception": "Math::Wrong"}, [1]),
        ({"older_than": 50}, [2, 3]),
        ({"younger_than": timedelta(seconds=50)}, [0, 1, 4]),
        ({"older_than": 5, "younger_than": timedelta(hours=1), "task": "add"}, [1]),
        ({"task": "none"}, []),
    ],
    ids=str,
)
async def test_a_filter_says_which_failures_are_meant(harness, where, expected):
    app = harness.app(scheduler=False)
    async with app:
        texts = [
            failure(harness=harness),
            failure(queue="more", exception="Math::Wrong", age=10, harness=harness),
            failure("sub", exception="app.Wrong", age=100, harness=harness),
            failure(exception="", age=100_000, harness=harness),
            failure("sub", queue="more", harness=harness),
        ]
        await fail(app, *texts)
        assert [failed.raw async for failed in app.queue.each_failed(**where)] == [texts[n] for n in expected]
        mended = [each async for each in app.queue.remove_all_failed(**where)]
        assert [(each.failed.raw, each.outcome, each.done) for each in mended] == [
            (texts[n], "removed", True) for n in expected
        ]
        assert [(each.looked, each.total) for each in mended] == [(n + 1, 5) for n in expected]
        assert await raws(app) == [text for n, text in enumerate(texts) if n not in expected]


async def test_a_filter_that_can_only_be_a_mistake_is_refused(harness):
    app = harness.app(scheduler=False)
    async with app:
        with pytest.raises(TypeError, match="tsk"):
            [each async for each in app.queue.each_failed(tsk="add")]
        with pytest.raises(InvalidMoment, match="older_than"):
            [each async for each in app.queue.each_failed(older_than=-1)]
        with pytest.raises(NotInFailures, match="failed_lists"):
            await app.queue.failed(source="queues")


async def test_many_are_retried_in_few_round_trips_with_progress_and_none_twice(harness):
    """More than a page of them; what fails again meanwhile stays."""
    app = harness.app(scheduler=False)
    async with app:
        texts = [failure(args=[n]) for n in range(2300)]
        for start in range(0, len(texts), 1000):
            await fail(app, *texts[start : start + 1000])
        looked, again = [], 0
        async for each in app.queue.retry_all_failed(task="add"):
            looked.append(each.looked)
            assert (each.outcome, each.total) == ("retried", 2300)
            again += 1
            if again % 100 == 0:
                await fail(app, each.failed.raw)
        assert looked == list(range(1, 2301))
        assert sorted(job.args[0] for job in await app.queue.queued("math")) == list(range(2300))
        assert await app.queue.failed_count() == 23


async def test_rubys_lists_for_single_queues_are_read_and_mended(harness):
    app = harness.app(scheduler=False)
    async with app:
        assert await app.queue.failed_lists() == ["failed"]
        if not harness.is_redis:
            return
        await fail(app, NODE)
        for text in (RUBY, failure("sub", queue="slow"), "garbage"):
            await harness.redis(app, "RPUSH", "resque:slow_failed", text)
        await harness.redis(app, "SADD", "resque:failed_queues", "slow_failed", "default_failed")
        assert await app.queue.failed_lists() == ["failed", "default_failed", "slow_failed"]
        assert [await app.queue.failed_count(source) for source in await app.queue.failed_lists()] == [1, 0, 3]
        ruby, sub, garbage = await app.queue.failed(source="slow_failed")
        assert {each.source for each in (ruby, sub, garbage)} == {"slow_failed"}
        assert [failed.raw async for failed in app.queue.each_failed()] == [NODE, RUBY, sub.raw, "garbage"]
        assert (await app.queue.details()).failed == 4
        assert await app.queue.remove_failed(garbage) == 1
        assert await app.queue.retry_and_remove_failed(sub) is True
        assert [each.outcome async for each in app.queue.retry_all_failed(source="slow_failed")] == ["retried"]
        assert [await app.queue.failed_count(source) for source in await app.queue.failed_lists()] == [1, 0, 0]
        assert [job.name for job in await app.queue.queued("slow")] == ["sub"]


async def test_a_list_of_the_wrong_type_is_shown_as_such(harness):
    if not harness.is_redis:
        return
    app = harness.app(scheduler=False)
    async with app:
        await harness.redis(app, "SET", "resque:failed", "no list")
        (spoilt,) = await app.queue.failed()
        assert "WRONGTYPE" in spoilt.problem
        assert [each async for each in app.queue.retry_all_failed()] == []
        await harness.redis(app, "SET", "resque:queue:math", "no list")
        (spoilt,) = await app.queue.queued("math")
        assert (spoilt.name, "WRONGTYPE" in spoilt.problem) == ("", True)
