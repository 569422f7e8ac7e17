"""No job while an equal one is delayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from taskhero.backends.protocol import NotDelayed
from taskhero.errors import InvalidArguments, InvalidQueueName
from taskhero.hooks.specs import hookimpl
from taskhero.wire.jobs import equivalent_payloads, meaning_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import Guard
    from taskhero.models import Job

__all__ = ["DelayQueueLock"]


@attrs.frozen(eq=False)
class DelayQueueLock:
    """Refuse a job while an equal one, of the same name, queue and arguments, is delayed, whoever delayed it."""

    @hookimpl
    def taskhero_guards(self, job: Job) -> Sequence[Guard]:
        """The job is stored only if no text that means the same is delayed."""
        meaning = meaning_of(job.name, job.args, job.queue)
        try:
            return (NotDelayed(equivalent_payloads(job.name, job.args, job.queue), meaning),)
        except (InvalidArguments, InvalidQueueName):
            # Read from the wire, it may hold, or stand in, what we would not write; then only its own text is known.
            return (NotDelayed((job.raw,), meaning),) if job.raw else ()
