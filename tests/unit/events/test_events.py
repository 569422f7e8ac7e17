"""Events: what there is, who is told, and with what."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from typing import Any

import attrs
import pytest

from taskhero import events
from taskhero.errors import InvalidHandler, UnknownEvent
from taskhero.events import EVENTS, Emitter, Event, SchedulerError, WorkerError, WorkerFailure, WorkerStart
from taskhero.models import Job

pytestmark = pytest.mark.anyio

JOB = Job("add", [1, 2], "math")
ERROR = ValueError("no")
FAILURE = WorkerFailure("host.t:1+1", "math", JOB, ERROR, 0.25)


# --- the events themselves ----------------------------------------------------------------------------------------


def test_events_are_named_after_their_source_and_name() -> None:
    for kind in EVENTS:
        source = "".join(part.title() for part in kind.source.split("_"))
        name = "".join(part.title() for part in kind.name.split("_"))
        assert kind.__name__ in {source + name, name}, "MultiWorkerAction has its source in its name"
        assert getattr(events, kind.__name__) is kind


def test_no_two_events_have_the_same_source_and_name() -> None:
    assert len({(kind.source, kind.name) for kind in EVENTS}) == len(EVENTS)


def test_all_events_of_node_resque_that_something_emits_are_there() -> None:
    names = {f"{kind.source}.{kind.name}" for kind in EVENTS}
    worker = {"start", "end", "cleaning_worker", "poll", "ping", "job", "re_enqueue", "success", "failure", "error"}
    scheduler = {"start", "end", "poll", "leader", "error", "working_timestamp", "transferred_job"}
    assert {f"worker.{name}" for name in worker | {"pause"}} <= names
    assert {f"scheduler.{name}" for name in scheduler} <= names
    assert {"multi_worker.start", "multi_worker.end", "multi_worker.multi_worker_action"} <= names


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        FAILURE.duration = 1.0  # type: ignore[misc]


# --- what a handler gets ------------------------------------------------------------------------------------------


def told(handler: Any, event: Event = FAILURE) -> None:
    emitter = Emitter()
    emitter.on(type(event), handler)
    emitter.emit(event)


def test_a_handler_gets_the_fields_that_it_names() -> None:
    seen: list[Any] = []
    told(lambda job, duration: seen.append((job, duration)))
    assert seen == [(JOB, 0.25)]


def test_a_handler_with_one_parameter_of_any_other_name_gets_the_event() -> None:
    seen: list[Any] = []
    told(lambda happened: seen.append(happened.queue))
    assert seen == ["math"]


def test_a_single_parameter_named_as_a_field_gets_the_field() -> None:
    seen: list[Any] = []
    told(lambda error: seen.append(error.args))
    assert seen == [("no",)]


def test_keyword_arguments_get_all_fields() -> None:
    seen: list[Any] = []
    told(lambda job, **rest: seen.append((job, rest)))
    assert seen == [(JOB, {"worker": "host.t:1+1", "queue": "math", "error": ERROR, "duration": 0.25})]


def test_parameters_with_defaults_that_are_no_fields_keep_their_defaults() -> None:
    seen: list[Any] = []

    def by_name(job: Job, verbose: bool = True) -> None:
        seen.append((job, verbose))

    def whole(event: Event, verbose: bool = False) -> None:
        seen.append((event, verbose))

    told(by_name)
    told(whole)
    assert seen == [(JOB, True), (FAILURE, False)]


def test_built_ins_partials_methods_and_callable_objects_are_handlers() -> None:
    seen: list[Any] = []

    class Listener:
        def __call__(self, queue: str) -> None:
            seen.append(queue)

        def method(self, event: Event) -> None:
            seen.append(event)

    told(seen.append)
    told(functools.partial(lambda prefix, queue: seen.append(prefix + queue), "in "))
    told(Listener())
    told(Listener().method)
    assert seen == [FAILURE, "in math", "math", FAILURE]


def test_a_positional_only_parameter_gets_the_event_even_if_it_is_named_as_a_field() -> None:
    seen: list[Any] = []

    def handler(job: Event, /) -> None:
        seen.append(job)

    told(handler)
    assert seen == [FAILURE]


def test_a_handler_without_parameters_is_called_without_the_event() -> None:
    calls: list[str] = []
    told(lambda: calls.append("called"))
    assert calls == ["called"]


@pytest.mark.parametrize(
    "handler",
    [lambda one, two: None, lambda job, other: None, "not callable"],
    ids=["two unknown ones", "a field and an unknown one", "no function"],
)
def test_a_handler_that_fits_in_no_way_is_refused_when_it_subscribes(handler: Any) -> None:
    emitter = Emitter()
    with pytest.raises(InvalidHandler) as refused:
        emitter.on("failure", handler)
    assert not emitter.wants(WorkerFailure)
    if callable(handler):
        assert "worker, queue, job, error, duration" in str(refused.value)


def test_a_handler_that_fits_one_of_two_events_of_a_name_subscribes_to_none() -> None:
    emitter = Emitter()
    with pytest.raises(InvalidHandler, match=r"scheduler\.error"):
        emitter.on("error", lambda worker, error: None)
    assert not emitter.wants(WorkerError)


# --- names --------------------------------------------------------------------------------------------------------


def test_a_name_means_the_events_of_all_sources_and_a_source_tells_them_apart() -> None:
    emitter, all_errors, of_scheduler = Emitter(), [], []
    emitter.on("error", all_errors.append)
    emitter.on("scheduler.error", of_scheduler.append)
    one, two = WorkerError("w", ERROR), SchedulerError("o", ERROR)
    emitter.emit(one)
    emitter.emit(two)
    assert all_errors == [one, two]
    assert of_scheduler == [two]


def test_an_unknown_name_is_refused_with_the_nearest_and_all_that_are_known() -> None:
    with pytest.raises(UnknownEvent, match="did you mean 'failure'") as refused:
        Emitter().on("failur", print)
    assert isinstance(refused.value, ValueError)
    for kind in EVENTS:
        assert kind.name in str(refused.value)


def test_actionheros_spelling_is_understood_well_enough_to_help() -> None:
    with pytest.raises(UnknownEvent, match="did you mean 'multi_worker_action'"):
        Emitter().on("multiWorkerAction", print)


def test_on_is_a_decorator_that_returns_the_function() -> None:
    emitter, seen = Emitter(), []

    @emitter.on("start")
    def started(event: Event) -> None:
        seen.append(event)

    emitter.emit(WorkerStart("w"))
    started(WorkerStart("by hand"))
    assert [event.worker for event in seen] == ["w", "by hand"]


# --- who is told --------------------------------------------------------------------------------------------------


def test_wants_is_true_exactly_while_somebody_listens() -> None:
    emitter = Emitter()
    assert not emitter.wants(WorkerFailure)
    emitter.on("failure", print)
    assert emitter.wants(WorkerFailure)
    assert not emitter.wants(WorkerStart)
    assert emitter.off("failure", print)
    assert not emitter.wants(WorkerFailure)
    assert not emitter.off("failure", print), "it had left already"


def test_a_listener_that_does_not_want_any_now_is_left_out() -> None:
    emitter, seen, on = Emitter(), [], []
    emitter.on("failure", seen.append, when=lambda: bool(on))
    assert not emitter.wants(WorkerFailure)
    emitter.emit(FAILURE)
    on.append(True)
    assert emitter.wants(WorkerFailure)
    emitter.emit(FAILURE)
    assert seen == [FAILURE]


def test_a_handler_may_leave_and_others_may_come_while_an_event_is_told() -> None:
    emitter, seen = Emitter(), []

    def once(event: Event) -> None:
        seen.append("once")
        emitter.off("failure", once)
        emitter.on("failure", lambda event: seen.append("new"))

    emitter.on("failure", once)
    emitter.emit(FAILURE)
    emitter.emit(FAILURE)
    assert seen == ["once", "new"]


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError()])
def test_what_a_handler_raises_is_logged_and_the_others_are_told(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    emitter, seen = Emitter(), []

    @emitter.on("failure")
    def broken(event: Event) -> None:
        raise error

    emitter.on("failure", seen.append)
    emitter.emit(FAILURE)
    assert seen == [FAILURE]
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("taskhero.events", logging.ERROR)
    assert "broken" in record.getMessage()
    assert "worker.failure" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is error


# --- async handlers -----------------------------------------------------------------------------------------------


async def test_async_handlers_run_beside_the_work_and_can_be_waited_for() -> None:
    emitter, seen, go = Emitter(), [], asyncio.Event()

    @emitter.on("failure")
    async def slow(job: Job) -> None:
        names.append(asyncio.current_task().get_name())  # type: ignore[union-attr]
        await go.wait()
        seen.append(job)

    names: list[str] = []
    emitter.emit(FAILURE)
    assert seen == []
    go.set()
    await emitter.drain()
    assert seen == [JOB]
    assert names == ["taskhero handler of worker.failure"]


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(1), asyncio.CancelledError()])
async def test_what_an_async_handler_raises_is_logged(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    emitter = Emitter()

    @emitter.on("failure")
    async def broken(event: Event) -> None:
        await asyncio.sleep(0)
        raise error

    emitter.emit(FAILURE)
    await emitter.drain()
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is error


async def test_an_awaitable_that_is_no_coroutine_is_awaited_too() -> None:
    emitter = Emitter()
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    emitter.on("failure", lambda event: future)
    emitter.emit(FAILURE)
    draining = asyncio.create_task(emitter.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    future.set_result(None)
    await draining


async def test_a_handler_that_waits_for_the_handlers_does_not_wait_for_itself() -> None:
    emitter, seen = Emitter(), []

    @emitter.on("failure")
    async def handler(event: Event) -> None:
        await emitter.drain()
        seen.append(event)

    emitter.emit(FAILURE)
    await asyncio.wait_for(emitter.drain(), 5)
    assert seen == [FAILURE]


def test_an_async_handler_without_a_loop_is_logged_and_leaves_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    emitter = Emitter()

    @emitter.on("failure")
    async def handler(event: Event) -> None: ...

    thread = threading.Thread(target=emitter.emit, args=(FAILURE,))
    thread.start()
    thread.join()
    assert "no running event loop" in (caplog.records[0].exc_text or str(caplog.records[0].exc_info))
