"""Which queues are asked for jobs, in which order."""

from __future__ import annotations

import pytest

from taskhero.backends.memory import MemoryBackend
from taskhero.backends.protocol import Process
from taskhero.events import Emitter
from taskhero.runtime.worker.problems import ProblemReporter
from taskhero.runtime.worker.queue_order import QueueOrder


def order_of(*declared: str) -> QueueOrder:
    problems = ProblemReporter(Process("host.abc:1", declared), Emitter())
    return QueueOrder(declared, backend=MemoryBackend(), problems=problems)


@pytest.mark.parametrize(
    ("declared", "names"),
    [
        (("*",), ("a", "b", "c", "d")),
        (("c", "a"), ("c", "a")),
        (("c", "*"), ("c", "a", "b", "d")),
        (("*", "a"), ("b", "c", "d", "a")),
        (("d", "*", "b"), ("d", "a", "c", "b")),
        (("new", "*"), ("new", "a", "b", "c", "d")),
    ],
)
def test_a_star_stands_for_all_others_sorted(declared: tuple[str, ...], names: tuple[str, ...]) -> None:
    queues = order_of(*declared)
    queues.update(["d", "b", "a", "c"])
    assert queues.current == names


def test_what_a_star_stands_for_is_not_known_before_it_is_read() -> None:
    queues = order_of("high", "*")
    assert (queues.current, queues.complete) == (("high",), False)
    queues.update([])
    assert (queues.current, queues.complete) == (("high",), True)
    assert order_of("high").complete


def test_it_tells_whether_there_are_other_queues_now() -> None:
    queues = order_of("*")
    assert queues.update(["a"])
    assert not queues.update(["a"])
    assert queues.update(["a", "b"])
    assert queues.update([])
    assert not order_of("a").update(["b"])
