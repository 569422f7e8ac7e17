"""How users' code is checked; never run. A call that mypy lets through, or refuses, without need fails the check."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from own_plugins import OfficeHours

from taskhero import (
    FailedJob,
    Job,
    Queue,
    QueueContext,
    RetryLater,
    Settings,
    Task,
    TaskHero,
    Working,
    current,
    task,
)
from taskhero.models import FailedJobOutcome
from taskhero.plugins import DelayQueueLock, JobLock, Noop, QueueLock, Retry

# --- an app of one's own


class FrontQueue(Queue):
    """The queue of a user's own."""

    async def enqueue_front(self, name: str, args: object = (), queue: str | None = None) -> bool:
        """Store a job before all others."""
        return await self.push(self.job(name, args, queue), front=True)

    async def push(self, job: Job, *, front: bool = False) -> bool:
        """Override a method that stores."""
        return await super().push(job, front=front)


async def which_queues() -> list[str]:
    """Queues may be asked for when the app starts."""
    return ["high", "low"]


@asynccontextmanager
async def pool(app: TaskHero) -> AsyncIterator[None]:
    """What tasks share."""
    assert_type(app.queue, Queue)
    yield


app = TaskHero(
    "redis://localhost:6379/0",
    settings=Settings(
        queues=which_queues,
        scheduler=True,
        max_task_processors=10,
        timeout=timedelta(seconds=1),
        check_interval=0.1,
        worker_logging={"success": None, "failure": "warning"},
    ),
    plugins=(OfficeHours(),),
    queue=FrontQueue,
    lifespan=pool,
)
Settings(queues="mail")
Settings(queues=("mail", "low"))
Settings(queues=["mail"])
Settings(queues=lambda: ("mail",))
Settings(queues=3)  # type: ignore[arg-type]
Settings(minTaskProcessors=3)  # type: ignore[call-arg]
Settings(timeout="5")  # type: ignore[arg-type]
TaskHero(queue=int)  # type: ignore[arg-type]


def my_queue(context: QueueContext) -> FrontQueue:
    """A function makes a queue as well as a class does; a queue itself does not."""
    TaskHero(queue=FrontQueue(context))  # type: ignore[arg-type]
    return FrontQueue(context)


TaskHero(queue=my_queue)


# --- tasks


@app.task
async def bare() -> None:
    """Without options."""


@app.task(queue="mail", plugins=(OfficeHours(start=8), "retry"), plugin_options={"retry": {"limit": 3}})
async def send_welcome_email(*, to: str, copies: int = 1) -> str:
    """Send a new user a welcome email."""
    return f"{to} {copies} {current().job.name}"


@app.task(queue="math", timeout=timedelta(seconds=1), run_in="process")
def add(a: int, b: int, *more: int) -> int:
    """Add numbers."""
    return a + b + sum(more)


@task(name="say", wire="list", description="Says something.")
def say(*, text: str) -> None:
    """Declared without an app."""


@task
def hum(times: int = 1) -> None:
    """Declared without an app, bare."""


assert_type(bare, Task[[], Coroutine[Any, Any, None]])


@app.task(frequency=timedelta(minutes=5), reenqueue_on_error=False)
async def say_hello() -> None:
    """Runs again and again."""


@app.task(frequency=5)
def say_bye(name: str = "all") -> str:
    """Runs again and again, in a thread."""
    return name


@app.task(cron="*/5 9-17 * * mon-fri", timezone="Europe/Berlin", misfire="skip")
async def report(*, day: str = "today") -> None:
    """Runs at its slots."""


@task(cron="@daily", timezone=UTC)
def clean_up() -> None:
    """A task of a folder."""


assert_type(say_bye.frequency, float | None)
assert_type(report.cron, str | None)

app.task(frequency="5")  # type: ignore[call-overload]
app.task(cron=5)  # type: ignore[call-overload]
task(cron="@daily", misfire="never")  # type: ignore[call-overload]
app.task(queue=3)  # type: ignore[call-overload]
app.task(run_in="elsewhere")  # type: ignore[call-overload]
app.task(retries=3)  # type: ignore[call-overload]
app.task(3)  # type: ignore[call-overload]
task(wire="text")  # type: ignore[call-overload]


async def calling() -> None:
    """Calling a task is calling its function."""
    assert_type(add(1, 2, 3), int)
    assert_type(await send_welcome_email(to="a@example.com"), str)
    assert_type(say(text="hello"), None)
    add(1)  # type: ignore[call-arg]
    add("1", 2)  # type: ignore[arg-type]
    add(1, c=2)  # type: ignore[call-arg]
    await send_welcome_email("a@example.com")  # type: ignore[call-arg]
    await send_welcome_email(to=3)  # type: ignore[arg-type]
    say("hello")  # type: ignore[call-arg]


class Letters:
    """Tasks in the body of a class."""

    @app.task
    @staticmethod
    def letter(to: str, *, copies: int = 1) -> None:
        """Take both kinds of parameters."""

    @staticmethod
    @app.task(queue="mail")
    async def parcel(to: str) -> int:
        """Return the weight."""
        return len(to)


async def enqueueing_from_a_class() -> None:
    """Static methods keep their parameters."""
    assert_type(await Letters.letter.enqueue("a", copies=2), bool)
    assert_type(await Letters.parcel.enqueue("a"), bool)
    assert_type(await Letters.parcel("a"), int)
    await Letters.letter.enqueue("a", 2)  # type: ignore[call-arg]
    await Letters.parcel.enqueue(1)  # type: ignore[arg-type]


async def enqueueing() -> None:
    """Enqueueing is typed as calling is."""
    assert_type(await bare.enqueue(), bool)
    assert_type(await send_welcome_email.enqueue(to="a@example.com"), bool)
    assert_type(await send_welcome_email.enqueue(to="a@example.com", copies=2), bool)
    assert_type(await add.enqueue(1, b=2), bool)
    assert_type(await say.enqueue(text="hello"), bool)
    assert_type(await hum.enqueue(), bool)
    await bare.enqueue(1)  # type: ignore[call-arg]
    await send_welcome_email.enqueue("a@example.com")  # type: ignore[call-arg]
    await send_welcome_email.enqueue(copies=2)  # type: ignore[call-arg]
    await send_welcome_email.enqueue(to="a@example.com", from_="b")  # type: ignore[call-arg]
    await add.enqueue(1)  # type: ignore[call-arg]
    await add.enqueue(1, "2")  # type: ignore[arg-type]
    await hum.enqueue(times="2")  # type: ignore[arg-type]


async def enqueueing_later() -> None:
    """The moment comes first, then the call."""
    assert_type(await add.enqueue_in(timedelta(seconds=10), 1, 2), bool)
    assert_type(await add.enqueue_in(10, 1, 2), bool)
    assert_type(await add.enqueue_at(datetime(2027, 1, 1, tzinfo=UTC), 1, 2), bool)
    assert_type(await send_welcome_email.enqueue_at(1_800_000_000.5, to="a@example.com"), bool)
    await add.enqueue_in("10", 1, 2)  # type: ignore[arg-type]
    await add.enqueue_in(10, 1)  # type: ignore[call-arg]
    await add.enqueue_at(timedelta(seconds=10), 1, 2)  # type: ignore[arg-type]
    await add.enqueue_at(datetime(2027, 1, 1, tzinfo=UTC), 1, "2")  # type: ignore[arg-type]
    await send_welcome_email.enqueue_in(10, "a@example.com")  # type: ignore[call-arg]


async def jobs_and_options() -> None:
    """Jobs and the options of one call keep the types."""
    assert_type(add.job(1, 2), Job)
    assert_type(await app.queue.enqueue_many(add.job(n, n) for n in range(10)), int)
    assert_type(await add.options(queue="slow").enqueue(1, 2), bool)
    assert_type(add.options(queue="slow")(1, 2), int)
    assert_type(add.options(suppress_duplicate=True).options(queue="slow").job(1, 2), Job)
    add.job(1)  # type: ignore[call-arg]
    await add.options(queue="slow").enqueue(1)  # type: ignore[call-arg]
    await add.options(queue="slow").enqueue_in(10, 1, "2")  # type: ignore[arg-type]
    add.options(priority=3)  # type: ignore[call-arg]
    await app.queue.enqueue_many([1, 2])  # type: ignore[list-item]


async def the_queue() -> None:
    """What `app.queue` answers."""
    assert_type(await app.queue.enqueue("add", [1, 2], "math"), bool)
    assert_type(await app.queue.enqueue("send_welcome_email", {"to": "a@example.com"}), bool)
    assert_type(await app.queue.enqueue_in(timedelta(hours=1), "add", (1, 2)), bool)
    assert_type(await app.queue.enqueue_at(1_800_000_000, "add", (1, 2), suppress_duplicate=True), bool)
    assert_type(app.queue.job("add", [1, 2]), Job)
    assert_type(await app.queue.push(add.job(1, 2), front=True), bool)
    assert_type(await app.queue.queues(), list[str])
    assert_type(await app.queue.length("math"), int)
    assert_type(await app.queue.queued("math", 0, 9), list[Job])
    assert_type(await app.queue.stats(), dict[str, int])
    assert_type(await app.queue.failed(), list[FailedJob])
    assert_type(await app.queue.failed_count(), int)
    assert_type(await app.queue.delete("math", "add", [1, 2], count=-1), int)
    assert_type(await app.queue.delete_queue("math"), int)
    assert_type(await app.queue.delete_by_name("math", "add"), int)
    await app.queue.enqueue(add)  # type: ignore[arg-type]
    await app.queue.enqueue_in(timedelta(hours=1))  # type: ignore[call-arg]
    await app.queue.queued(3)  # type: ignore[arg-type]


async def looking_and_mending() -> None:
    """What `app.queue` shows, and how jobs are retried."""
    queue = app.queue
    assert_type(await queue.timestamps(), list[datetime])
    assert_type(await queue.delayed_at(datetime.now(UTC)), list[Job])
    assert_type(await queue.all_delayed(), dict[datetime, list[Job]])
    assert_type(await queue.scheduled_at("math", "add", [1, 2]), list[datetime])
    assert_type(await queue.delete_delayed("math", "add"), list[datetime])
    assert_type(await queue.locks(), dict[str, str])
    assert_type(await queue.delete_lock("lock:add:math:[]"), int)
    assert_type(await queue.workers(), dict[str, str])
    assert_type(await queue.working_on("host:1", ["math"]), Working | None)
    assert_type(await queue.all_working_on(), dict[str, Working | None])
    assert_type((await queue.details()).queues, dict[str, int | None])
    assert_type(await queue.leader(), str | None)
    (failed,) = await queue.failed()
    assert_type(await queue.remove_failed(failed), int)
    assert_type(await queue.retry_and_remove_failed(failed), bool)
    async for retried in queue.retry_all_failed(task="add", older_than=timedelta(hours=1)):
        assert_type(retried.outcome, FailedJobOutcome)
    queue.remove_all_failed(tsk="add")  # type: ignore[call-arg]
    assert_type(await queue.clean_old_workers(timedelta(hours=1)), dict[str, FailedJob])
    assert_type(await queue.force_clean_worker("host:1"), FailedJob | None)
    assert_type(await queue.retry_stuck_jobs(limit=5), int)
    await queue.remove_failed("text")  # type: ignore[arg-type]


# --- plugins


def plugins() -> None:
    """Options of the shipped plugins, and what they are kept as."""
    assert_type(QueueLock(timedelta(minutes=1)).timeout, int)
    assert_type(JobLock(timeout=60, requeue=False, delay=timedelta(seconds=1), key=lambda job: job.name).delay, float)
    assert_type(Retry(3, delay=1.5, backoff=(1, timedelta(minutes=1)), on=(OSError, KeyError)).limit, int)
    Retry(limit=3, backoff="exponential", key="one")
    DelayQueueLock()
    Noop(logging.getLogger("noop"))
    Noop(print)
    Retry()  # type: ignore[call-arg]
    Retry(3, backoff="fibonacci")  # type: ignore[arg-type]
    Retry(3, on=(3,))  # type: ignore[arg-type]
    JobLock(requeue="no")  # type: ignore[arg-type]
    QueueLock(timeout="60")  # type: ignore[arg-type]
    QueueLock(key=lambda job: 3)  # type: ignore[arg-type]
    assert_type(RetryLater(timedelta(seconds=1)).delay, float)
    RetryLater("5")  # type: ignore[arg-type]


# --- events and running


@app.on("failure")
async def on_failure(job: Job, error: BaseException) -> None:
    """Subscribed by a decorator, and still a function."""


def on_success(job: Job) -> None:
    """Subscribed by a call."""


assert_type(app.on("success", on_success)(Job("add")), None)
app.on(3)  # type: ignore[call-overload]


async def running() -> None:
    """The ways to run an app."""
    async with app as same:
        assert_type(same, TaskHero)
        async with app.running() as running_app:
            assert_type(running_app, TaskHero)
    await app.start()
    await app.stop()
    for one in app.load_tasks("tasks/"):
        assert_type(one.name, str)
