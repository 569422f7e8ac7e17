"""The signature decides what lies on the wire, and how a job's arguments are bound."""

from __future__ import annotations

import sys

import pytest

from taskhero import TaskHero
from taskhero.engine.task.signature import TaskSignature, wire_args
from taskhero.errors import ArgumentsMismatch, InvalidTask


def none(): ...
def positional(a, b=2, c=3): ...
def many(a, *rest): ...
def only_many(*rest): ...
def by_position(a, /, b=2): ...
def keyword(*, to, copies=1): ...
def all_optional(*, copies=1): ...
def anything(*, to, **more): ...
def whatever(**more): ...
def both(a, *, b): ...
def both_variadic(*args, **kwargs): ...
def both_optional(a=1, b=2, *, c=3): ...
def both_anything(a, /, b=2, *rest, c, **more): ...


def signature(function, wire=None):
    return TaskSignature(function, function.__name__, wire)


# --- which wire


@pytest.mark.parametrize(
    ("function", "wire"),
    [
        (none, None),
        (positional, "list"),
        (many, "list"),
        (only_many, "list"),
        (by_position, "list"),
        (keyword, "object"),
        (all_optional, "object"),
        (anything, "object"),
        (whatever, "object"),
        (both, "both"),
        (both_variadic, "both"),
    ],
)
def test_keyword_only_parameters_mean_an_object_positional_ones_a_list(function, wire):
    assert signature(function).wire == wire


@pytest.mark.parametrize(
    ("function", "wire", "stored"),
    [
        (positional, "object", [{"a": 1, "b": 5}]),
        (both, "object", [{"a": 1, "b": 5}]),
        (keyword, "list", [1, 5]),
        (both, "list", [1, 5]),
    ],
)
def test_wire_pins_it_for_another_program(function, wire, stored):
    pinned = signature(function, wire)
    names = {"to": 1, "copies": 5} if function is keyword else {"a": 1, "b": 5}
    assert pinned.wire == wire
    assert pinned.args_of((), names) == stored
    args, kwargs = pinned.bind(stored)
    assert list(args) + list(kwargs.values()) == [1, 5]
    function(*args, **kwargs)


@pytest.mark.parametrize(
    ("function", "wire", "sentence"),
    [
        (many, "object", "its parameter 'rest' cannot have a key"),
        (by_position, "object", "its parameter 'a' cannot have a key"),
        (anything, "list", "its parameter 'more' cannot have a position"),
        (positional, "text", "wire='text' is invalid: pass 'object', 'list' or None"),
    ],
)
def test_a_pin_that_the_signature_cannot_bear_is_refused(function, wire, sentence):
    with pytest.raises(InvalidTask, match=sentence):
        signature(function, wire)


def test_a_list_has_no_place_for_keywords_behind_args():
    def tricky(*args, b): ...

    with pytest.raises(InvalidTask, match="'b' cannot have a position after"):
        signature(tricky, "list")


# --- from a call to the wire


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "stored"),
    [
        (none, (), {}, []),
        (positional, (1,), {}, [1]),
        (positional, (1, 2), {}, [1, 2]),
        (positional, (), {"a": 1}, [1]),
        (positional, (1,), {"c": 5}, [1, 2, 5]),
        (positional, (), {"c": 5, "a": 1}, [1, 2, 5]),
        (many, (1, 2, 3), {}, [1, 2, 3]),
        (only_many, (), {}, []),
        (keyword, (), {"to": "a"}, [{"to": "a"}]),
        (keyword, (), {"copies": 1, "to": "a"}, [{"copies": 1, "to": "a"}]),
        (all_optional, (), {}, [{}]),
        (anything, (), {"to": "a", "more": 1, "x": 2}, [{"to": "a", "more": 1, "x": 2}]),
        (whatever, (), {}, [{}]),
        (both, (1,), {"b": 2}, [1, {"b": 2}]),
        (both, (), {"b": 2, "a": 1}, [1, {"b": 2}]),
        (both_optional, (), {}, [{}]),
        (both_optional, (5,), {}, [5, {}]),
        (both_optional, (), {"b": 5}, [1, 5, {}]),
        (both_optional, (), {"c": 5}, [{"c": 5}]),
        (both_optional, ({},), {}, [{}, {}]),
        (both_variadic, (), {}, [{}]),
        (both_variadic, (1, {"x": 1}), {}, [1, {"x": 1}, {}]),
        (both_variadic, (), {"args": 1, "kwargs": 2}, [{"args": 1, "kwargs": 2}]),
        (both_anything, (1, 2, 3, 4), {"c": 5, "a": 6, "more": 7}, [1, 2, 3, 4, {"c": 5, "a": 6, "more": 7}]),
        (both_anything, (1,), {"c": 5, "b": 6}, [1, 6, {"c": 5}]),
    ],
)
def test_a_call_is_stored_without_defaults_but_where_a_gap_must_be_filled(function, args, kwargs, stored):
    function(*args, **kwargs)
    assert signature(function).args_of(args, kwargs) == stored


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "sentence"),
    [
        (none, (1,), {}, "too many positional"),
        (positional, (), {}, "missing a required argument: 'a'"),
        (positional, (1, 2, 3, 4), {}, "too many positional"),
        (positional, (1,), {"a": 1}, "multiple values for argument 'a'"),
        (positional, (1,), {"d": 1}, "unexpected keyword argument 'd'"),
        (keyword, ("a",), {}, "too many positional"),
        (keyword, (), {}, "missing a required"),
        (keyword, (), {"to": 1, "form": 2}, "unexpected keyword argument 'form'"),
        (both, (1,), {}, "missing a required"),
        (both, (), {"b": 1}, "missing a required argument: 'a'"),
        (both, (1, 2), {"b": 1}, "too many positional"),
        (both, (1,), {"b": 1, "d": 2}, "unexpected keyword argument 'd'"),
        (both_anything, (1, 2), {"b": 1, "c": 2}, "multiple values for argument 'b'"),
    ],
)
def test_a_wrong_call_is_a_type_error_that_shows_the_signature(function, args, kwargs, sentence):
    with pytest.raises(TypeError, match=sentence) as caught:
        signature(function).args_of(args, kwargs)
    assert function.__name__ in str(caught.value)
    with pytest.raises(TypeError):
        function(*args, **kwargs)


# --- from the wire to a call


@pytest.mark.parametrize(
    "function",
    [
        none,
        positional,
        many,
        only_many,
        by_position,
        keyword,
        anything,
        whatever,
        both,
        both_variadic,
        both_optional,
        both_anything,
    ],
)
def test_what_was_stored_for_a_call_makes_the_same_call(function):
    calls = {
        none: ((), {}),
        positional: ((None, {}), {}),
        many: ((None,), {}),
        only_many: ((None,), {}),
        by_position: ((1,), {"b": None}),
        keyword: ((), {"to": None}),
        anything: ((), {"to": 1, "x": {}}),
        whatever: ((), {}),
        both: (({"b": 1},), {"b": {}}),
        both_variadic: ((1, {"x": 1}), {"y": None}),
        both_optional: ((), {}),
        both_anything: ((1, 2, {}), {"c": None, "a": 1}),
    }
    args, kwargs = calls[function]
    read = signature(function)
    bound_args, bound_kwargs = read.bind(read.args_of(args, kwargs))
    if function is by_position:
        assert (bound_args, bound_kwargs) == ([1, None], {})
    else:
        assert (tuple(bound_args), bound_kwargs) == (args, kwargs)


@pytest.mark.parametrize("nothing", [[], [None], [{}]])
@pytest.mark.parametrize("function", [none, all_optional, whatever, both_optional, both_variadic])
def test_every_form_of_no_arguments_is_none_where_the_task_needs_none(function, nothing):
    assert signature(function).bind(nothing) == ([], {})


@pytest.mark.parametrize("stored", [[None], [{}]])
def test_null_and_an_object_are_arguments_where_the_task_takes_them(stored):
    assert signature(only_many).bind(stored) == (stored, {})
    assert signature(positional).bind(stored) == (stored, {})


@pytest.mark.parametrize(
    ("function", "stored"),
    [
        (none, [1]),
        (none, [{"a": 1}]),
        (positional, []),
        (positional, [1, 2, 3, 4]),
        (keyword, []),
        (keyword, [None]),
        (keyword, [{}]),
        (keyword, [{"copies": 1}]),
        (keyword, [{"to": "a", "form": 1}]),
        (keyword, ["a"]),
        (keyword, [{"to": "a"}, 1]),
        (all_optional, [False]),
        (all_optional, [[]]),
        (all_optional, [None, None]),
        (both, []),
        (both, [1]),
        (both, [{"b": 1}]),
        (both, [1, {}]),
        (both, [1, {"a": 1, "b": 2}]),
        (both, [1, {"b": 2}, {"b": 2}]),
        (both, [{"b": 2}, 1]),
        (both_optional, [1]),
        (both_optional, [{"a": 1}]),
        (both_optional, [1, 2, 3, {}]),
        (both_variadic, [1, 2]),
        (both_variadic, [1, {2: 3}]),
        (both_anything, [1, {"b": 2, "c": 3}]),
    ],
)
def test_args_that_do_not_fit_are_told_with_the_signature(function, stored):
    with pytest.raises(ArgumentsMismatch) as caught:
        signature(function).bind(stored)
    assert str(signature(function)) in str(caught.value)
    assert repr(stored) in str(caught.value)


def test_a_mismatch_of_long_args_is_cut():
    with pytest.raises(ArgumentsMismatch) as caught:
        signature(none).bind(["x" * 100_000])
    assert len(str(caught.value)) < 1000


def test_bound_arguments_are_copies():
    stored = [{"to": {"names": ["a", "b"]}}]
    _, kwargs = signature(keyword).bind(stored)
    kwargs["to"]["names"].append("c")
    kwargs["to"]["more"] = 1
    kwargs["copies"] = 2
    assert stored == [{"to": {"names": ["a", "b"]}}]
    values = [[1, [2]]]
    args, _ = signature(positional).bind(values)
    args[0][1].append(3)
    assert values == [[1, [2]]]


# --- by name


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"to": "a"}, [{"to": "a"}]),
        ({}, [{}]),
        ([1, 2], [1, 2]),
        ((1, 2), [1, 2]),
        ((), []),
        ("ab", ["ab"]),
        (3, [3]),
        (None, [None]),
        (False, [False]),
    ],
)
def test_by_name_a_mapping_is_one_object_a_list_the_list_and_anything_else_a_list_of_one(given, stored):
    assert wire_args(given) == stored


@pytest.mark.parametrize("nothing", [[], [None], [{}]])
@pytest.mark.parametrize("function", [none, all_optional, both_optional])
def test_no_arguments_by_name_are_stored_as_the_tasks_own_call_stores_them(function, nothing):
    assert signature(function).args_by_name(nothing) == signature(function).args_of((), {})


def test_wrong_arguments_by_name_are_a_type_error_but_no_failure_of_a_job():
    with pytest.raises(TypeError, match="takes one object, and these args do not fit") as caught:
        signature(keyword).args_by_name({"tp": "a"})
    assert not isinstance(caught.value, ArgumentsMismatch)


@pytest.mark.parametrize("given", [{"b": 1}, {}, {"a": 1, "b": 2}])
def test_a_mapping_by_name_is_refused_if_the_task_takes_a_list_with_one_object_last(given):
    for function in (both, both_optional, both_variadic):
        with pytest.raises(
            TypeError, match=r"takes a list with one object last, and a mapping has .*; pass \["
        ) as caught:
            signature(function).args_by_name(given)
        assert repr(given) in str(caught.value)


def test_a_list_by_name_has_the_object_last_if_the_task_takes_both_kinds():
    assert signature(both).args_by_name([1, {"b": 2}]) == [1, {"b": 2}]
    for given in ([1], 1):
        with pytest.raises(TypeError, match="the last value must be an object: add {} if it has no keys"):
            signature(both_optional).args_by_name(given)


@pytest.mark.anyio
async def test_a_task_with_both_kinds_of_parameters_runs_with_the_call_that_was_stored():
    app = TaskHero()
    calls = []

    @app.task
    async def send(to, *cc, subject="", **headers):
        calls.append((to, cc, subject, headers))

    async with app:
        await send.enqueue("a", {"b": 1}, subject="x", reply="c")
        await send.enqueue(to="a")
        await app.queue.enqueue("send", ["a", "b", {"subject": "y"}])
        jobs = await app.queue.queued("default")
    assert [job.args for job in jobs] == [
        ["a", {"b": 1}, {"subject": "x", "reply": "c"}],
        ["a", {}],
        ["a", "b", {"subject": "y"}],
    ]
    for job in jobs:
        args, kwargs = send.signature.bind(job.args)
        await send.function(*args, **kwargs)
    assert calls == [("a", ({"b": 1},), "x", {"reply": "c"}), ("a", (), "", {}), ("a", ("b",), "y", {})]


def test_a_periodic_task_may_have_both_kinds_of_parameters_with_defaults():
    declared = TaskHero().task(frequency=5, name="tick")(both_optional)
    assert declared.recurrence.args == [{}]
    assert declared.signature.bind(declared.recurrence.args) == ([], {})


def test_messages_show_annotations_as_they_are_written():
    def typed(a: int, b: list[str] | None = None) -> int: ...

    assert str(TaskSignature(typed, "typed")) == "typed(a: int, b: list[str] | None = None) -> int"


def test_the_message_says_what_does_not_fit_where_python_can_tell():
    def send(*, to): ...

    def add(a, b=2): ...

    # Python adds the words since 3.12.
    keyword_only = "keyword-only " if sys.version_info >= (3, 12) else ""
    for function, args, why in (
        (send, [{"too": 1}], f"; missing a required {keyword_only}argument: 'to'"),
        (send, [{"to": 1, "cc": 2}], "; got an unexpected keyword argument 'cc'"),
        (send, ["a"], ": ['a']"),
        (send, [{1: 2}], ": [{1: 2}]"),
        (add, [], "; missing a required argument: 'a'"),
        (add, [1, 2, 3], "; too many positional arguments"),
    ):
        with pytest.raises(ArgumentsMismatch) as caught:
            TaskSignature(function, "t").bind(args)
        assert str(caught.value).endswith(why)
