"""The jobs of a process from their claim to their end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from taskhero._internal.async_helpers import end_tasks
from taskhero.backends.protocol import Done, Failed, GivenBack, Retried
from taskhero.events import WorkerError
from taskhero.runtime.worker.quarantine import probation
from taskhero.runtime.worker.settlement_buffer import CROWDED, PAUSED, STOPS, TAKEN
from taskhero.wire.jobs import rescues

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from taskhero.backends.protocol import Claim, Ending
    from taskhero.events import Emitter
    from taskhero.runtime.execution.executor import Performed
    from taskhero.runtime.worker.settlement_buffer import Accounts
    from taskhero.runtime.worker.slots import Roster, Worker

__all__ = ["Performer", "Performing"]


class Performer(Protocol):
    """What performs one job."""

    async def perform(self, claim: Claim, worker: str) -> Performed:
        """Perform the job; raises nothing but `asyncio.CancelledError`: it is to be given back."""
        ...

    def cancel(self, running: asyncio.Task[None], worker: str) -> None:
        """Stop the job that *worker* performs in this asyncio task; may be called again."""
        ...

    def fail(self, running: asyncio.Task[None], worker: str, error: Exception) -> bool:
        """Stop it so that it fails with *error*; return whether it will."""
        ...

    async def give_up(self, running: asyncio.Task[None], worker: str, claim: Claim) -> Performed | None:
        """After `fail`: how the job ended if it goes on nevertheless; None if `perform` returns it."""
        ...


class Performing:
    """Runs claimed jobs, each as a task of its own, and puts down how they end.

    A job that was rescued from a dead process is a *suspect*: it begins when no other job runs, so that it alone is to
    blame if its process dies again. Neither the wait for that nor its time alone is longer than its `probation`: a job
    that takes an hour shall not keep all others from this process.

    Args:
        roster: The task processors.
        accounts: Where endings are put down.
        performer: What performs a job.
        emitter: Is told of what goes wrong.
        rescue_limit: A job that was rescued so often while it ran alone fails without being run.
        lease: Seconds after which a process is taken for dead; the shortest `probation`.
        signal: Called when an ending was put down, or a suspect may run.
        look: Called when a processor is free without any ending.

    Attributes:
        running: How many processors have a job, or a thread of one.
        suspect: The processor and the claim of the job that is to run alone, until it ends or its probation does.
        alone: Whether the suspect runs already.
        overtime: Whether it has run alone for long enough; others wait until its mark is taken back.
        closing: Whether what is claimed from now on goes back at once.
        paused: The same, until `resume`.
    """

    def __init__(
        self,
        *,
        roster: Roster,
        accounts: Accounts,
        performer: Performer,
        emitter: Emitter,
        rescue_limit: int,
        lease: float,
        signal: Callable[[], None],
        look: Callable[[], None],
    ) -> None:
        self.running = 0
        self.suspect: tuple[Worker, Claim] | None = None
        self.alone = False
        self.overtime = False
        self.closing = False
        self.paused = False
        self._peak = 0
        self._turn = 0
        self._roster = roster
        self._accounts = accounts
        loop = asyncio.get_running_loop()
        self._create_task = loop.create_task
        self._hurried: asyncio.Future[None] = loop.create_future()
        self._all_over: asyncio.Future[None] = loop.create_future()
        self._performer = performer
        self._perform = performer.perform
        self._emitter = emitter
        self._rescue_limit = rescue_limit
        self._lease = lease
        self._waited = False
        self._timer: asyncio.TimerHandle | None = None
        self._signal = signal
        self._look = look
        self._outlasting: set[asyncio.Task[None]] = set()
        self._failing: set[asyncio.Task[None]] = set()

    @property
    def ready_for_suspect(self) -> bool:
        """Whether no job runs, or it has waited for that long enough.

        A thread that outlasts its job does not count, since it may never end.
        """
        return self._waited or not self.jobs

    @property
    def jobs(self) -> int:
        """How many jobs run, without threads of jobs that are over."""
        return self.running - len(self._outlasting)

    @property
    def marked_alone(self) -> Claim | None:
        """The claim of the suspect that runs alone, if one does."""
        return self.suspect[1] if self.suspect is not None and self.alone else None

    def take_peak(self) -> int:
        """How many processors worked at once, at most, since this was last asked."""
        peak, self._peak = max(self._peak, self.running), self.running
        return peak

    def start(self, claims: Iterable[Claim]) -> None:
        """Start claimed jobs at once, but for suspects: the first is held, others go back in their order."""
        others: list[tuple[Claim, str]] = []
        workers = self._roster.workers
        for claim in claims:
            worker = workers.get(claim.slot)
            if worker is None or not worker.idle or self.closing or self.paused:
                # Claimed while the processor went, or the process was paused or began to stop.
                others.append((claim, STOPS if self.closing else PAUSED if self.paused else TAKEN))
            elif not self._is_suspect(claim.raw):
                self._launch(worker, claim)
            elif self.suspect is None:
                self.suspect = (worker, claim)
                self._set_timer(claim, self._end_wait)
                worker.claim = claim
                self._roster.free.pop(claim.slot, None)
            else:
                others.append((claim, CROWDED))
        self._peak = max(self._peak, self.running)
        if others or self.suspect is not None:
            # Each goes to the very front, so the last one must go first.
            for claim, reason in reversed(others):
                self._accounts.give_back(claim, reason)
            self._signal()

    def launch_alone(self) -> None:
        """Run the suspect now."""
        if self.suspect is not None:
            self.alone = True
            self._launch(*self.suspect)
            self._set_timer(self.suspect[1], self._end_time_alone)

    def drop_suspect(self) -> None:
        """The suspect is not to run here."""
        if self.suspect is not None:
            worker, _ = self.suspect
            worker.claim = None
            self.running += 1
            self._release(worker)
            self._look()

    def _set_timer(self, suspect: Claim, call: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(probation(suspect.raw, self._lease), call)

    def _end_wait(self) -> None:
        self._waited = True
        self._signal()

    def _end_time_alone(self) -> None:
        self.overtime = True
        self._signal()

    def end_probation(self) -> None:
        """Others may run beside the suspect from now on, or it is over."""
        self.suspect = None
        self.alone = self.overtime = self._waited = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._look()

    def _is_suspect(self, raw: str) -> bool:
        marked = rescues(raw)
        return marked is not None and marked < self._rescue_limit

    # a job from its start to its end

    def _launch(self, worker: Worker, claim: Claim) -> None:
        worker.claim = claim
        self._roster.free.pop(claim.slot, None)
        self.running += 1
        self._turn = worker.turn = self._turn + 1
        worker.task = self._create_task(self._work(worker, claim), name=worker.task_name)

    async def _work(self, worker: Worker, claim: Claim) -> None:
        performed: Performed | None = None
        try:
            performed = await self._perform(claim, worker.name)
        except asyncio.CancelledError:
            self._end(worker, claim, GivenBack(), None)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not keep the job for ever
            self._emitter.emit(WorkerError(worker.name, error, claim.queue))
            self._end(worker, claim, self._accounts.failure(claim, worker.name, error), None)
        else:
            self._end(worker, claim, performed.ending, performed)

    def _end(self, worker: Worker, claim: Claim, ending: Ending, performed: Performed | None) -> None:
        if worker.claim is not claim:
            # It went on in spite of being cancelled, and was given back meanwhile.
            return
        worker.claim = None
        kind = type(ending)
        if kind is Done:
            worker.succeeded += 1
        elif kind is Failed or kind is Retried:
            worker.failed += 1
        self._accounts.add(claim, ending, performed)
        if performed is None or performed.busy is None:
            self._release(worker)
        else:
            self._outlast(worker, performed.busy)
        if self.closing and not self.jobs and not self._all_over.done():
            self._all_over.set_result(None)
        self._signal()

    def _outlast(self, worker: Worker, busy: Awaitable[object]) -> None:
        """Keep the processor until nothing of its last job runs any more."""
        worker.busy = True
        task = asyncio.create_task(self._watch(worker, busy), name=f"{worker.task_name} to its end")
        self._outlasting.add(task)
        task.add_done_callback(self._outlasting.discard)

    async def _watch(self, worker: Worker, busy: Awaitable[object]) -> None:
        # `wait` neither cancels it nor cares how it ends.
        await asyncio.wait({asyncio.ensure_future(busy)})
        worker.busy = False
        self._release(worker)
        self._look()

    def _release(self, worker: Worker) -> None:
        self.running -= 1
        self._roster.release(worker)
        if self.suspect is not None and self.suspect[0] is worker:
            self.end_probation()

    # what an operator wants

    def pause(self) -> None:
        """Begin no job until `resume`; those that run go on."""
        self.paused = True
        self._return_suspect(PAUSED)

    def resume(self) -> None:
        """Begin jobs again."""
        self.paused = False

    def fail_running(self, error: Callable[[], Exception]) -> int:
        """Fail all jobs that have begun, each with an error of its own; return how many.

        What goes on of a job that fails keeps its processor until it ends.
        """
        stopped = 0
        for worker in self._roster.workers.values():
            claim, running = worker.claim, worker.task
            if claim is None or running is None or not self._performer.fail(running, worker.name, error()):
                continue
            stopped += 1
            task = self._create_task(self._give_up(worker, claim, running), name=f"{worker.task_name} no more")
            self._failing.add(task)
            task.add_done_callback(self._failing.discard)
        return stopped

    async def _give_up(self, worker: Worker, claim: Claim, running: asyncio.Task[None]) -> None:
        try:
            performed = await self._performer.give_up(running, worker.name, claim)
        except Exception as error:  # noqa: BLE001 - as for the job itself
            self._emitter.emit(WorkerError(worker.name, error, claim.queue))
            return
        if performed is not None:
            self._end(worker, claim, performed.ending, performed)

    def _return_suspect(self, reason: str) -> None:
        """Give the suspect back if it has not begun."""
        if self.suspect is not None and not self.alone:
            _, claim = self.suspect
            self._accounts.give_back(claim, reason)
            self.drop_suspect()

    # the stop

    async def end_all(self, grace: float, limit: float) -> None:
        """Let running jobs end by themselves for *grace* seconds, then cancel them for *limit* seconds at most.

        What then still runs is given back all the same. Threads of jobs that are over are not waited for.
        """
        self.closing = True
        self._return_suspect(STOPS)
        # The last one first: each goes to the very front, so they end up in the order in which they began.
        workers = sorted(self._roster.workers.values(), key=lambda worker: -worker.turn)
        if self.jobs and grace > 0:
            if self._all_over.done():
                self._all_over = asyncio.get_running_loop().create_future()
            await self._let_end(grace)
        deadline = asyncio.get_running_loop().time() + limit
        while asyncio.get_running_loop().time() < deadline:
            working = ((worker, worker.task) for worker in workers if worker.claim is not None)
            running = [(worker, task) for worker, task in working if task is not None and not task.done()]
            if not running:
                break
            # More than once: a task may swallow one cancellation, as wait_for of Python 3.11 does.
            for worker, task in running:
                self._performer.cancel(task, worker.name)
            await asyncio.wait([task for _, task in running], timeout=limit / 5)
        for worker in workers:
            if worker.claim is not None:
                claim, worker.claim = worker.claim, None
                self._accounts.give_back(claim, STOPS)
        self._signal()

    def hurry(self) -> None:
        """Wait no longer for running jobs to end by themselves, now or in an `end_all` to come."""
        if not self._hurried.done():
            self._hurried.set_result(None)

    async def _let_end(self, grace: float) -> None:
        either: set[asyncio.Future[None]] = {self._all_over, self._hurried}
        await asyncio.wait(either, timeout=grace, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Watch no thread any more, and no suspect."""
        if self._timer is not None:
            self._timer.cancel()
        await end_tasks([*self._outlasting, *self._failing])
