"""Which queues are asked for jobs, in which order."""

from __future__ import annotations

import pytest

from taskhero.runtime.worker.queue_order import QueueOrder


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
    queues = QueueOrder(declared)
    queues.read(["d", "b", "a", "c"])
    assert queues.current == names


def test_what_a_star_stands_for_is_not_known_before_it_is_read() -> None:
    queues = QueueOrder(("high", "*"))
    assert (queues.current, queues.complete) == (("high",), False)
    queues.read([])
    assert (queues.current, queues.complete) == (("high",), True)
    assert QueueOrder(("high",)).complete


def test_it_tells_whether_there_are_other_queues_now() -> None:
    queues = QueueOrder(("*",))
    assert queues.read(["a"])
    assert not queues.read(["a"])
    assert queues.read(["a", "b"])
    assert queues.read([])
    assert not QueueOrder(("a",)).read(["b"])
