"""Fixtures of the tests of what performs jobs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from executor_harness import APP, ExecutorHarness, Processes, Tasks

from taskhero.clock import ManualClock
from taskhero.events import Emitter
from taskhero.runtime.execution.executor import Executor
from taskhero.runtime.execution.threads import ThreadPool


@pytest.fixture
def harness() -> Iterator[ExecutorHarness]:
    tasks, emitter, threads, processes = Tasks(), Emitter(), ThreadPool(2), Processes()
    clock = ManualClock(1_800_000_000.0)
    preparer: Any = None  # no task here has a plugin that needs it
    executor = Executor(
        tasks,
        emitter,
        APP,
        threads,
        processes,  # type: ignore[arg-type]
        preparation=preparer,
        rescue_limit=3,
        clock=clock,
    )
    yield ExecutorHarness(tasks, emitter, threads, processes, executor)
    threads.close()
