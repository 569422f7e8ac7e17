"""Which texts mean one job, in whatever spelling."""

from __future__ import annotations

import pytest

from taskhero.wire.jobs import decode_job, forms_without_args, has_one_spelling, meaning_of, payload_queue


def test_a_job_without_args_has_many_forms() -> None:
    forms = forms_without_args("T", "q")
    assert len(set(forms)) == len(forms) == 8
    for form in forms:
        job = decode_job(form, "q")
        assert (job.name, job.args, job.problem, payload_queue(form) or "q") == ("T", [], None, "q")


@pytest.mark.parametrize(
    ("left", "right", "alike"),
    [
        ([8], [8.0], True),
        ([-0.0], [0], True),
        ([{"a": 1, "b": [2.0]}], [{"b": [2], "a": 1.0}], True),
        ([2.0**60], [1152921504606847000], True),
        ([2**53], [2**53 + 1], False),
        ([1], [True], False),
        ([1], ["1"], False),
        ([], [None], False),
        (["\ud83d"], ["\ud83e"], False),
    ],
)
def test_a_meaning_is_that_of_all_spellings(left: list[object], right: list[object], alike: bool) -> None:
    assert (meaning_of("a", left, "q") == meaning_of("a", right, "q")) is alike
    assert meaning_of("a", left, "q") not in {meaning_of("b", left, "q"), meaning_of("a", left, "r")}


def test_floats_and_objects_have_several_spellings() -> None:
    assert has_one_spelling([1, "a", None, True, [[]], {"a": [{}]}])
    assert not any(map(has_one_spelling, ([1.5], [{"a": 1, "b": 2}], [[{"a": [7.0]}]])))
