"""The names of the package, which are imported when they are asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import taskhero


def test_every_public_name_is_there_and_listed():
    for name in taskhero.__all__:
        assert getattr(taskhero, name) is not None
        assert name in dir(taskhero)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'taskhero' has no attribute 'TaskHeroes'"):
        taskhero.TaskHeroes  # noqa: B018


def test_the_import_alone_loads_nothing_of_it():
    code = "import sys, taskhero; print(sorted(name for name in sys.modules if name.startswith('taskhero')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "['taskhero', 'taskhero._internal', 'taskhero._internal.lazy']"
