"""Fixtures that give tests the real node-resque: `start_node`.

What is missing skips the test with its reason, and fails it where the environment variable CI is set.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Protocol

import pytest

import node

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["StartNode", "start_node"]


class StartNode(Protocol):
    """What the fixture `start_node` gives."""

    def __call__(self, program: str, *arguments: str) -> node.Node:
        """Start a program of ``conformance/node`` that ends with the tests of the module."""
        ...


@pytest.fixture(scope="module")
def start_node() -> Iterator[StartNode]:
    """Starts programs of ``conformance/node``, where node-resque is installed."""
    with contextlib.ExitStack() as running:

        def start(program: str, *arguments: str) -> node.Node:
            try:
                return running.enter_context(node.Node(program, *arguments))
            except node.MissingNode as missing:
                if os.environ.get("CI"):
                    pytest.fail(f"node-resque is required where CI is set: {missing}", pytrace=False)
                pytest.skip(f"node-resque: {missing}")

        yield start
