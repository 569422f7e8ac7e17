"""Retry: a job that failed is tried again, until it has been tried so often."""

from __future__ import annotations

import json

import pytest

from taskhero import current, hookimpl
from taskhero.plugins import QueueLock, Retry, RetryLater

pytestmark = pytest.mark.anyio


class Flaky:
    """A task that fails as often as told, and notes which attempts there were."""

    def __init__(self, app, *plugins, failures=99, error=None, errors=()):
        self.failures = failures
        self.attempts = []
        errors = list(errors)

        @app.task(plugins=plugins, queue="math")
        async def flaky(a):
            self.attempts.append(current().attempt)
            if self.failures:
                self.failures -= 1
                raise errors.pop(0) if errors else error or ValueError(f"attempt {len(self.attempts)}")
            return a

        self.task = flaky


async def test_a_job_is_tried_so_often_and_then_fails_with_its_last_error(harness):
    app = harness.app()
    flaky = Flaky(app, Retry(limit=3, delay=10, jitter=0))
    async with app.running():
        await flaky.task.enqueue(1)
        for attempt in (1, 2):
            *_, retry = await harness.happened("retry", attempt)
            assert (retry.attempt, retry.limit, retry.delay) == (attempt, 3, 10)
            assert str(retry.error) == f"attempt {attempt}"
            assert await app.queue.failed_count() == 0
            harness.later(app, 9)
            harness.later(app, 2)
        (failure,) = await harness.happened("failure")
        assert str(failure.error) == "attempt 3"
        assert flaky.attempts == [1, 2, 3]
        (failed,) = await app.queue.failed()
        assert (failed.exception, failed.error, failed.job.args) == ("ValueError", "attempt 3", [1])
        stats = await app.queue.stats()
        assert (stats["failed"], stats.get("processed", 0)) == (3, 0)
        assert harness.told("success") == []


async def test_a_job_that_is_to_be_tried_again_waits_among_the_delayed(harness):
    app = harness.app(scheduler=False)
    flaky = Flaky(app, Retry(limit=3, delay=60, jitter=0))
    async with app.running():
        await flaky.task.enqueue(1)
        await harness.happened("retry")
        assert await app.queue.length("math") == 0
        due = await app.backend.due(10)
        assert due.jobs == () or list(due.jobs) == []
        assert due.next_at == harness.clock.now() + 60


async def test_the_count_goes_with_a_success(harness):
    app = harness.app()
    flaky = Flaky(app, Retry(limit=3, delay=1, jitter=0), failures=2)
    async with app.running():
        await flaky.task.enqueue(1)
        for attempt in (1, 2):
            await harness.happened("retry", attempt)
            harness.later(app, 2)
        await harness.happened("success")
        flaky.failures = 2
        await flaky.task.enqueue(1)
        for attempt in (3, 4):
            await harness.happened("retry", attempt)
            harness.later(app, 2)
        await harness.happened("success", 2)
        assert flaky.attempts == [1, 2, 3, 1, 2, 3]


async def test_the_count_goes_with_the_last_failure(harness):
    app = harness.app()
    flaky = Flaky(app, Retry(limit=2, delay=1, jitter=0))
    async with app.running():
        for times in (1, 2):
            await flaky.task.enqueue(1)
            await harness.happened("retry", times)
            harness.later(app, 2)
            await harness.happened("failure", times)
        assert flaky.attempts == [1, 2, 1, 2]


async def test_an_exception_that_is_not_to_be_tried_again_fails_at_once_and_takes_the_count_along(harness):
    app = harness.app()
    flaky = Flaky(
        app, Retry(limit=5, delay=1, jitter=0, on=(KeyError,)), errors=[KeyError(1), ValueError(2), KeyError(3)]
    )
    async with app.running():
        await flaky.task.enqueue(1)
        await harness.happened("retry")
        harness.later(app, 2)
        await harness.happened("failure")
        await flaky.task.enqueue(1)
        *_, retry = await harness.happened("retry", 2)
        assert retry.attempt == 1
        assert flaky.attempts == [1, 2, 1]


@pytest.mark.parametrize(
    ("plugin", "delays"),
    [
        (Retry(limit=5, delay=7, jitter=0), [7, 7, 7, 7]),
        (Retry(limit=5, backoff=(1, 2, 3), jitter=0), [1, 2, 3, 3]),
        (Retry(limit=5, delay=4, backoff="exponential", jitter=0), [4, 8, 16, 32]),
    ],
)
async def test_the_delays_grow_as_told(harness, plugin, delays):
    app = harness.app()
    flaky = Flaky(app, plugin)
    async with app.running():
        await flaky.task.enqueue(1)
        for attempt, delay in enumerate(delays, 1):
            *_, retry = await harness.happened("retry", attempt)
            assert retry.delay == delay
            harness.later(app, delay + 1)
        await harness.happened("failure")


async def test_a_task_can_say_when_to_try_it_again(harness):
    app = harness.app()
    flaky = Flaky(app, Retry(limit=2, delay=1, on=(KeyError,)), error=RetryLater(600))
    async with app.running():
        await flaky.task.enqueue(1)
        (retry,) = await harness.happened("retry")
        assert retry.delay == 600
        harness.later(app, 601)
        await harness.happened("failure")
        assert flaky.attempts == [1, 2], "it counts"


async def test_without_the_plugin_such_a_task_fails_and_is_told_why(harness):
    app = harness.app()
    flaky = Flaky(app, error=RetryLater(5))
    async with app.running():
        await flaky.task.enqueue(1)
        await harness.happened("failure")
        (failed,) = await app.queue.failed()
        assert "Retry(limit=" in failed.error


async def test_equal_jobs_that_fail_in_the_same_second_are_all_tried_again(harness):
    """node-resque cannot delay the second job and puts it into the failed list, with attempts left."""
    app = harness.app(processors=3)
    flaky = Flaky(app, Retry(limit=9, delay=5, jitter=0), failures=3)
    async with app.running():
        await app.queue.enqueue_many([flaky.task.job(1)] * 3)
        await harness.happened("retry", 3)
        harness.later(app, 6)
        await harness.happened("success", 3)
        assert await app.queue.failed_count() == 0


async def test_the_counter_and_the_trace_on_the_wire_are_those_of_node_resque(harness):
    if not harness.is_redis:
        return
    app = harness.app()
    flaky = Flaky(app, Retry(limit=3, delay=3600, jitter=0))
    counter, last_error = "resque:resque-retry:flaky:1", "resque:failure-resque-retry:flaky:1"
    async with app.running():
        await flaky.task.enqueue(1)
        await harness.happened("retry")
        assert await harness.redis(app, "GET", counter) == b"0"
        told = json.loads(await harness.redis(app, "GET", last_error))
        assert (told["payload"], told["exception"], told["worker"], told["queue"]) == (
            [1],
            "ValueError: attempt 1",
            "flaky",
            "math",
        )
        # node-resque passes milliseconds as seconds: its keys live 3600 x 1000 s here, and 1 s for a delay of 1 ms.
        for key in (counter, last_error):
            assert 3600 + 86000 < await harness.redis(app, "TTL", key) <= 3600 + 86400
        # A retry that the other side began is counted on.
        await harness.redis(app, "SET", counter, "1")
        harness.later(app, 3601)
        await harness.happened("failure")
        assert flaky.attempts == [1, 3]
        assert await harness.redis(app, "EXISTS", counter, last_error) == 0


async def test_a_retry_with_a_queue_lock_waits_its_turn(harness):
    app = harness.app()
    flaky = Flaky(app, QueueLock(), Retry(limit=3, delay=5, jitter=0), failures=1)
    async with app.running():
        await flaky.task.enqueue(1)
        await harness.happened("retry")
        assert await app.queue.length("math") == 0
        harness.later(app, 6)
        await harness.happened("success")
        assert await flaky.task.enqueue(1)
        await harness.happened("success", 2)


async def test_hooks_see_the_attempt_the_result_the_error_and_how_long_it_took(harness):
    seen = []

    class Watching:
        @hookimpl
        async def taskhero_before_perform(self, job, ctx):
            seen.append(("before", ctx.attempt))

        @hookimpl
        def taskhero_after_perform(self, outcome, ctx):
            seen.append((type(outcome).__name__, ctx.attempt, getattr(outcome, "result", None), outcome.duration >= 0))

    app = harness.app()
    flaky = Flaky(app, Watching(), Retry(limit=3, delay=1, jitter=0), failures=1)
    async with app.running():
        await flaky.task.enqueue(5)
        await harness.happened("retry")
        harness.later(app, 2)
        await harness.happened("success")
        assert seen == [
            ("before", 1),
            ("Failure", 1, None, True),
            ("before", 2),
            ("Success", 2, 5, True),
        ]


async def test_equal_jobs_share_a_count_unless_a_key_tells_them_apart(harness):
    """node-resque's counter ignores the queue and the boundaries between arguments."""
    app = harness.app(processors=1)
    plain = Flaky(app, Retry(limit=2, delay=1, jitter=0))
    attempts = []

    @app.task(plugins=(Retry(limit=2, delay=1, jitter=0, key=lambda job: f"{job.queue}:{job.raw}"),))
    async def apart(a, b):
        attempts.append((current().job.queue, a, b, current().attempt))
        raise ValueError

    async with app.running():
        await plain.task.enqueue(1)
        await harness.happened("retry")
        await plain.task.options(queue="other").enqueue(1)
        await harness.happened("failure")
        assert plain.attempts == [1, 2]
        for queue, args in (("x", ("1", "2-3")), ("x", ("1-2", "3")), ("y", ("1", "2-3"))):
            await apart.options(queue=queue).enqueue(*args)
        await harness.happened("retry", 4)
        assert sorted(attempts) == [("x", "1", "2-3", 1), ("x", "1-2", "3", 1), ("y", "1", "2-3", 1)]


async def test_limit_counts_attempts_so_one_never_tries_again(harness):
    """node-resque's default of 1 means no retry, so the limit has no default here."""
    with pytest.raises(TypeError):
        Retry()
    app = harness.app()
    flaky = Flaky(app, Retry(limit=1))
    async with app.running():
        await flaky.task.enqueue(1)
        await harness.happened("failure")
        assert flaky.attempts == [1]


async def test_an_attempt_that_is_tried_again_is_no_success(harness):
    """node-resque emits `success` for such an attempt and decrements its counter afterwards."""
    app = harness.app()
    flaky = Flaky(app, Retry(limit=2, delay=60, jitter=0))
    async with app.running():
        await flaky.task.enqueue(1)
        await harness.happened("retry")
        assert harness.told("success") == []
        assert harness.told("failure") == []
        stats = await app.queue.stats()
        assert stats["failed"] == 1
        assert stats.get("processed", 0) == 0
