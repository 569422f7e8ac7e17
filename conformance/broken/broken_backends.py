"""The list of broken backends, and the tests of the kit that must find each."""

from __future__ import annotations

import attrs

BROKEN = []


@attrs.frozen
class Broken:
    """A broken backend.

    Attributes:
        backend: Its class.
        topic: The topic of the kit that runs on it.
        found_by: Names of the tests that must fail, as in pytest. A name without a parameter means any parameter.
        only: Run only these tests, because each other test of the topic would wait until it times out.
    """

    backend: type
    topic: type
    found_by: tuple[str, ...]
    only: bool = False


def found_by(topic, *tests, only=False):
    """Register a broken backend."""

    def add(backend):
        BROKEN.append(Broken(backend, topic, tests, only))
        return backend

    return add
