"""The list of broken backends, and which test of the kit must find each."""

from __future__ import annotations

import attrs

BROKEN = []


@attrs.frozen
class Broken:
    """A broken backend.

    Attributes:
        backend: Its class.
        topic: The kit's topic that is run on it.
        found_by: The tests that must fail, as pytest names them; any parameter will do where none is named.
        only: Run these tests alone, since the others of the topic would wait in vain again and again.
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
