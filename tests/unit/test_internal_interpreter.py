"""Whether a process imports the main script is known without the private attribute, too."""

from __future__ import annotations

import multiprocessing
import sys
import types

import pytest
from renamed import names_read

from taskhero._internal import interpreter


def test_the_parts_are_those_that_other_tests_remove():
    assert names_read(interpreter, "getattr") == [
        "_current_frames",
        "_inheriting",
        "_is_coroutine",
        "_ready",
        "_selector",
        "markcoroutinefunction",
    ]


@pytest.mark.parametrize("inheriting", [True, None])
def test_a_process_that_imports_the_main_script_says_so(monkeypatch, inheriting):
    assert not interpreter.imports_main_script()
    with monkeypatch.context() as patch:
        patch.setattr(multiprocessing.current_process(), "_inheriting", inheriting, raising=False)
        patch.setitem(sys.modules, "__mp_main__", types.ModuleType("__mp_main__"))
        assert interpreter.imports_main_script()
    monkeypatch.setitem(sys.modules, "__mp_main__", sys.modules["__main__"])
    assert not interpreter.imports_main_script(), "the import has ended"


def test_a_loop_that_shows_nothing_has_neither_selector_nor_callbacks():
    assert interpreter.selector_of(object()) is None
    assert interpreter.ready_callbacks_of(object()) is None


@pytest.mark.parametrize("mark", ["_mark", "_asyncio_mark"])
def test_a_function_is_marked_as_far_as_this_python_can(monkeypatch, mark):
    monkeypatch.setattr(interpreter, mark, None)

    def call(): ...

    interpreter.mark_async(call)
    assert call() is None
