"""What a running task can ask about itself."""

from __future__ import annotations

import asyncio

import pytest

from taskhero.errors import NotRunningATask
from taskhero.models import Job
from taskhero.runtime.execution.context import Running, current, running_job

pytestmark = pytest.mark.anyio

JOB = Job("add", [1, 2], "math")


def test_outside_a_task_it_says_what_to_do() -> None:
    with pytest.raises(NotRunningATask, match="call it in a task that a worker performs"):
        current()


def test_inside_it_gives_job_worker_app_and_logger_until_it_is_left() -> None:
    app = object()
    token = running_job.set(Running(JOB, "w+1", app))
    found = current()
    running_job.reset(token)
    assert (found.job, found.worker, found.app) == (JOB, "w+1", app)
    with pytest.raises(NotRunningATask):
        current()


def test_jobs_within_jobs_do_not_mix() -> None:
    outer = running_job.set(Running(JOB, "outer", None))
    inner = running_job.set(Running(JOB, "inner", None))
    assert current().worker == "inner"
    running_job.reset(inner)
    assert current().worker == "outer"
    running_job.reset(outer)


def test_the_loggers_records_have_fields_and_keep_those_of_the_call(caplog: pytest.LogCaptureFixture) -> None:
    token = running_job.set(Running(JOB, "w+1", None))
    current().logger.warning("plain %d", 1)
    current().logger.warning("with more", extra={"order": 7, "queue": "mine"})
    running_job.reset(token)
    plain, more = caplog.records
    assert (plain.name, plain.getMessage()) == ("taskhero.task", "plain 1")
    assert (plain.task, plain.queue, plain.worker) == ("add", "math", "w+1")  # type: ignore[attr-defined]
    assert (more.task, more.queue, more.order) == ("add", "mine", 7)  # type: ignore[attr-defined]


async def test_it_holds_in_what_the_task_starts_and_not_beside_it() -> None:
    async def ask() -> str:
        return current().worker

    async def work(name: str) -> str:
        token = running_job.set(Running(JOB, name, None))
        await asyncio.sleep(0)
        found = await asyncio.create_task(ask())
        running_job.reset(token)
        return found

    assert await asyncio.gather(work("one"), work("two")) == ["one", "two"]


async def test_cancelled_is_up_to_date_for_a_task_that_asked_earlier_and_in_its_threads() -> None:
    running = Running(JOB, "w", None)
    token = running_job.set(running)
    me = current()
    thread = await asyncio.to_thread(current)
    assert not me.cancelled
    running.cancelled = True
    running_job.reset(token)
    assert me.cancelled
    assert thread.cancelled
