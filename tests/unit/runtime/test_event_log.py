"""Events as log records."""

from __future__ import annotations

import asyncio
import logging
import string
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from taskhero import TaskHero, events
from taskhero.errors import NoSuchTask, RetryLater
from taskhero.events import EVENTS, Emitter, Event
from taskhero.models import Job
from taskhero.runtime.logs.event_log import log_events
from taskhero.runtime.worker.jobs.finished_job import ReleaseReason
from taskhero.settings import Settings

JOB = Job("add", [1, {"b": 2}], "math")
EVERYTHING = {"worker": "host.t:1+1", "owner": "host.t:1", "queue": "math", "queues": ("a", "b"), "job": JOB}
EVERYTHING |= {"error": ValueError("no"), "result": [3], "duration": 0.25, "delay": 5.0, "attempt": 1, "limit": 3}
EVERYTHING |= {"running": True, "verb": "+", "count": 2, "timestamp": 1_800_000_000, "time": 1.8e9}
EVERYTHING |= {"reason": "this process stops", "key": "lock", "holder": "host:1", "since": None}


def example(kind: type[Event], **changes: Any) -> Any:
    return kind(**{name: (EVERYTHING | changes)[name] for name in kind.field_names()})


@pytest.fixture(autouse=True)
def all_levels(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG, "taskhero"):
        yield


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[..., list[Any]]:
    """The records of events, under these settings."""

    def emit(*told: Event, **settings: Any) -> list[Any]:
        emitter = Emitter()
        stop = log_events(emitter, Settings(**settings))
        for event in told:
            emitter.emit(event)
        stop()
        assert not any(emitter.wants(type(event)) for event in told)
        return caplog.records

    return emit


@pytest.mark.parametrize("kind", EVENTS)
def test_every_event_has_a_message_and_a_level_and_its_fields_are_in_the_record(
    kind: type[Event], logged: Callable[..., list[Any]]
) -> None:
    (record,) = logged(example(kind))
    message = record.getMessage()
    assert message[0] in string.ascii_lowercase
    assert "%(" not in message
    assert record.name == ("taskhero.scheduler" if kind.source == "scheduler" else "taskhero.worker")
    settings = Settings()
    levels = settings.scheduler_logging if kind.source == "scheduler" else settings.worker_logging
    assert record.levelname == levels[kind.name].upper()
    assert record.event == kind.name
    for field in attrs.fields(kind):
        if field.name not in {"job", "error", "result"}:
            assert getattr(record, field.name) == EVERYTHING[field.name]
    if record.levelno == logging.INFO:
        assert not {"job_args", "result"} & vars(record).keys()
        assert "{'b': 2}" not in message
    elif "job" in kind.field_names():
        assert record.job_args == JOB.args


def test_a_level_below_info_adds_the_data_of_the_job(logged: Callable[..., list[Any]]) -> None:
    (record,) = logged(example(events.WorkerSuccess), worker_logging={"success": "debug"})
    assert (record.job_args, record.result) == (JOB.args, [3])


@pytest.mark.parametrize("reason", list(ReleaseReason))
def test_a_released_job_is_logged_with_its_reason(reason: str, logged: Callable[..., list[Any]]) -> None:
    (record,) = logged(example(events.WorkerGivenBack, reason=reason))
    assert record.getMessage() == f"task 'add' was released to the front of queue 'math': {reason}"


def test_a_failure_tells_job_error_and_traceback(logged: Callable[..., list[Any]]) -> None:
    try:
        raise LookupError("gone")
    except LookupError as caught:
        error = caught
    (record,) = logged(example(events.WorkerFailure, error=error))
    assert record.getMessage() == "task 'add' from queue 'math' failed after 0.250 s: LookupError: gone"
    assert (record.task, record.job_args, record.queue) == ("add", [1, {"b": 2}], "math")
    assert (record.exception, record.error, record.duration) == ("LookupError", "gone", 0.25)
    assert record.exc_info[1] is error


def test_an_error_that_was_never_raised_has_no_traceback_to_show(logged: Callable[..., list[Any]]) -> None:
    (record,) = logged(example(events.WorkerFailure, error=NoSuchTask("unknown")))
    assert not record.exc_info


def test_an_error_whose_text_cannot_be_had_is_logged_all_the_same(logged: Callable[..., list[Any]]) -> None:
    class BadStr(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    (record,) = logged(example(events.WorkerFailure, error=BadStr()))
    assert "BadStr: (its text cannot be shown" in record.getMessage()


def test_a_retry_that_the_task_requested_is_not_logged_as_the_last_attempt(logged: Callable[..., list[Any]]) -> None:
    error = raised(RetryLater(30))
    retried, failed = logged(example(events.WorkerRetry, error=error), example(events.WorkerFailure, error=error))
    assert retried.getMessage().endswith("RetryLater: the task requested a retry after 30 s")
    assert not retried.exc_info
    assert "but no attempt is left" in failed.getMessage()


class Undisplayable(Exception):
    __notes__ = property(lambda self: 1 / 0)  # type: ignore[assignment]

    def __str__(self) -> str:
        raise SystemExit

    __repr__ = __str__


class RaisingDict(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no items")

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    "error", [Undisplayable(), ValueError("x" * 1_000_000)], ids=lambda error: type(error).__name__
)
def test_an_error_that_cannot_be_displayed_has_one_short_line(
    error: BaseException, logged: Callable[..., list[Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    (record,) = logged(example(events.WorkerFailure, error=raised(error)))
    line = logging.Formatter("%(message)s").format(record)
    assert f"failed after 0.250 s: {type(error).__name__}: " in line
    assert "Traceback" not in line + capsys.readouterr().err
    assert len(line) < 100_000


@pytest.mark.parametrize("settings", [{}, {"filtered_params": ("password",)}])
def test_a_result_that_cannot_be_displayed_does_not_suppress_the_line(
    settings: dict[str, Any], logged: Callable[..., list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    recursive: list[Any] = []
    recursive.append(recursive)
    for result in (recursive, RaisingDict(a=1)):
        record = logged(example(events.WorkerSuccess, result=result), **settings)[-1]
        assert record.getMessage() == "task 'add' from queue 'math' succeeded in 0.250 s"
        assert not record.exc_info
    assert len(caplog.records) == 2


def test_the_settings_decide_the_level(logged: Callable[..., list[Any]]) -> None:
    told = [example(events.WorkerSuccess), example(events.WorkerFailure), example(events.SchedulerError)]
    records = logged(*told, worker_logging={"success": "critical", "failure": "off"}, scheduler_logging={"error": None})
    assert [(record.event, record.levelname) for record in records] == [("success", "CRITICAL")]


def test_an_outage_is_logged_once_and_its_end_once(logged: Callable[..., list[Any]]) -> None:
    began, ended = example(events.WorkerOutage), example(events.WorkerRecovered)
    of_scheduler = example(events.SchedulerOutage)
    records = logged(began, began, of_scheduler, began, ended, began)
    assert [(record.event, record.name) for record in records] == [
        ("outage", "taskhero.worker"),
        ("outage", "taskhero.scheduler"),
        ("recovered", "taskhero.worker"),
        ("outage", "taskhero.worker"),
    ]
    assert not records[0].exc_info, "a lost connection needs no traceback"


def test_while_a_level_is_off_nobody_builds_its_events(caplog: pytest.LogCaptureFixture) -> None:
    emitter = Emitter()
    stop = log_events(emitter, Settings())
    caplog.set_level(logging.WARNING, "taskhero.worker")
    assert not emitter.wants(events.WorkerSuccess)
    assert not emitter.wants(events.WorkerJob)
    assert emitter.wants(events.WorkerFailure)
    caplog.set_level(logging.DEBUG, "taskhero.worker")
    assert emitter.wants(events.WorkerSuccess), "it may be changed while the app runs"
    stop()


CARD = Job("pay", [{"to": "ann", "card": {"number": "4111-1111", "owner": "Ann"}, "password": ["hidden"]}], "money")
FILTERED = ("password", "card.number")


def test_filtered_values_are_masked_in_args_and_results_at_any_depth(logged: Callable[..., list[Any]]) -> None:
    result = [{"deep": {"password": "hidden"}, "number": 1}]
    success = example(events.WorkerSuccess, job=CARD, result=result)
    (record,) = logged(success, filtered_params=FILTERED, worker_logging={"success": "debug"})
    card = {"number": "[FILTERED]", "owner": "Ann"}
    assert record.job_args == [{"to": "ann", "card": card, "password": "[FILTERED]"}]
    assert record.result == [{"deep": {"password": "[FILTERED]"}, "number": 1}]
    assert CARD.args[0]["password"] == ["hidden"], "the job itself is as it was"


@pytest.mark.anyio
async def test_values_of_positional_parameters_are_masked_by_the_names_of_the_parameters(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In the store they have no names, but whoever declared the task gave them some."""
    app = TaskHero(settings=Settings(max_task_processors=1, filtered_params=FILTERED))
    failed = asyncio.Semaphore(0)
    app.on("failure", failed.release)

    @app.task
    async def login(user: str, password: str, card: object = None, *more: object) -> None:
        raise LookupError(f"neither {password} nor 4111")

    async with app.running():
        await login.enqueue("ann", "hidden", {"number": 4111, "owner": "Ann"}, {"password": "hidden too"})
        await app.queue.enqueue("unknown", ["ann", "shown"], "default")
        async with asyncio.timeout(20):
            await failed.acquire()
            await failed.acquire()
    first, second = [vars(record) for record in caplog.records if vars(record).get("event") == "failure"]
    card = {"number": "[FILTERED]", "owner": "Ann"}
    assert first["job_args"] == ["ann", "[FILTERED]", card, {"password": "[FILTERED]"}]
    assert first["error"] == "neither [FILTERED] nor [FILTERED]"
    assert second["job_args"] == ["ann", "shown"]
    assert "hidden" not in caplog.text


def test_an_error_that_quotes_a_filtered_value_is_logged_without_it(
    logged: Callable[..., list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    """Its text is masked, and a traceback that quotes it is left out; another error's traceback is shown."""
    try:
        raise LookupError(f"these args do not fit: {CARD.args!r}")
    except LookupError as caught:
        error = caught
    (record,) = logged(example(events.WorkerFailure, job=CARD, error=error), filtered_params=FILTERED)
    assert "'number': '[FILTERED]', 'owner': 'Ann'" in record.getMessage()
    assert not record.exc_info
    assert "4111" not in caplog.text
    assert "hidden" not in caplog.text
    caplog.clear()
    harmless = example(events.WorkerFailure, job=Job("pay", [{"password": "another"}]), error=error)
    (record,) = logged(harmless, filtered_params=FILTERED)
    assert record.exc_info
