"""A plugin that stores no job while an equal one is delayed."""

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
    """Store no job while an equal one is delayed: one with the same name, queue and arguments, of any program."""

    @hookimpl
    def taskhero_guards(self, job: Job) -> Sequence[Guard]:
        """Return a guard that holds if no equivalent payload is delayed."""
        meaning = meaning_of(job.name, job.args, job.queue)
        try:
            return (NotDelayed(equivalent_payloads(job.name, job.args, job.queue), meaning),)
        except (InvalidArguments, InvalidQueueName):
            # A job from the wire may have values that taskhero does not write. Then only its own payload counts.
            return (NotDelayed((job.raw,), meaning),) if job.raw else ()
