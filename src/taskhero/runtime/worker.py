"""One task processor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from taskhero.wire.jobs import decode_job

if TYPE_CHECKING:
    import asyncio

    from taskhero.backends.protocol import Claim, Process
    from taskhero.models import Job

__all__ = ["Worker"]


@attrs.define(eq=False)
class Worker:
    """A task processor: one place in which one job at a time runs.

    Others see it as a worker of its own.

    Attributes:
        slot: Its number in its process, from 1.
        name: Its name as others see it.
        queues: The queues it works as declared, in priority order; ``*`` for all others.
        succeeded: How many jobs succeeded here.
        failed: How many jobs failed here.
        leaving: Whether it takes no more jobs, since it is to go.
        claim: What it claimed and works on, or None.
        turn: The number of the job that it began last, among all that the process began.
        busy: Whether a thread still runs here of a job that is over.
        stuck: Whether the end of its last job could not be recorded yet.
    """

    slot: int
    name: str
    queues: tuple[str, ...]
    succeeded: int = 0
    failed: int = 0
    leaving: bool = False
    claim: Claim | None = attrs.field(default=None, repr=False)
    turn: int = attrs.field(default=0, repr=False)
    busy: bool = attrs.field(default=False, repr=False)
    stuck: bool = attrs.field(default=False, repr=False)
    task: asyncio.Task[None] | None = attrs.field(default=None, repr=False)
    task_name: str = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.task_name = f"taskhero {self.name} works a job"

    @classmethod
    def of(cls, process: Process, slot: int) -> Worker:
        """The task processor in *slot* of *process*."""
        return cls(slot, process.worker(slot), process.queues)

    @property
    def job(self) -> Job | None:
        """The job it works just now, or None."""
        claim = self.claim
        return None if claim is None else decode_job(claim.raw, claim.queue)

    @property
    def idle(self) -> bool:
        """Whether it could be given a job."""
        return self.claim is None and not self.busy and not self.stuck

    @property
    def working(self) -> bool:
        """Whether a job runs here, or a thread of a job that is over already."""
        return self.claim is not None or self.busy
