"""The one loop of a process that settles the jobs which ended and claims the next ones.

All that ended since the last exchange goes with the next one, and so does the claim for free processors: under load a
batch of jobs costs one step of the backend. There are never two exchanges under way. Of many processors only half asks
at a time, so that the jobs of one half run while the backend sees to the other half.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING

from taskhero._internal.async_helpers import Pause, end_tasks
from taskhero.errors import BackendRefused, BackendUnavailable
from taskhero.events import WorkerEnd, WorkerPause, WorkerPoll
from taskhero.runtime.backoff import Backoff
from taskhero.runtime.worker.claim_recovery import Doubts
from taskhero.runtime.worker.claim_restorer import Restorer
from taskhero.runtime.worker.job_runner import Performer, Performing
from taskhero.runtime.worker.settlement_buffer import BATCH, Accounts
from taskhero.runtime.worker.slots import Roster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taskhero.backends.protocol import Backend, Exchange, Process
    from taskhero.events import Emitter
    from taskhero.runtime.backoff import Outage
    from taskhero.runtime.execution.preparation import Preparer
    from taskhero.runtime.worker.control import WorkerControl
    from taskhero.runtime.worker.listener import Waiter
    from taskhero.runtime.worker.queue_order import QueueNames

__all__ = ["Exchanger"]

_NAME = "exchanging"

#: So many processors ask first when a wake-up finds all of them idle. Most often it is one job that came, and to name
#: all of them would make it wait longer; if there are more jobs, all others ask at once.
VANGUARD = 4

#: Up to so many processors ask at once even if it is more than half of them: an exchange more would cost more time than
#: is won by working two halves in turns.
TOGETHER = 20


class Exchanger:
    """Keeps the task processors of a process in work. It is made inside the event loop.

    Args:
        backend: Where the jobs are.
        process: Whose processors they are; it is registered already.
        names: The queues to work.
        performer: What performs a job.
        preparer: Tells what goes with the end of a job.
        emitter: Is told what happens.
        waiter: Wakes it.
        outage: Is told how the backend fares.
        timeout: Seconds between two looks at the queues if nothing wakes it.
        lease: Seconds for which the process is registered, if that must be done again; a job that may have killed its
            process is kept apart from others so long at first.
        rescue_limit: A job that was rescued so often while it ran alone fails without being run.
        control: Through it an operator pauses the processors and fails their jobs.
        rest: What bounds the delays after errors.

    Attributes:
        roster: The task processors.
        backlog: Whether the queues held more jobs than could be claimed, when last asked.
        restorer: Restores claims that another program deleted.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        process: Process,
        names: QueueNames,
        performer: Performer,
        preparer: Preparer,
        emitter: Emitter,
        waiter: Waiter,
        outage: Outage,
        timeout: float,
        lease: float,
        rescue_limit: int,
        control: WorkerControl | None = None,
        rest: Callable[[], Backoff] = Backoff,
    ) -> None:
        self.roster = Roster(process)
        self.backlog = False
        self._backend = backend
        self._process = process
        self._names = names
        self._emitter = emitter
        self._waiter = waiter
        self._outage = outage
        self._timeout = timeout
        self._lease = lease
        self._accounts = Accounts(
            process=process,
            roster=self.roster,
            emitter=emitter,
            preparer=preparer,
            signal=self._signal,
            backoff=rest(),
        )
        self._jobs = Performing(
            roster=self.roster,
            accounts=self._accounts,
            performer=performer,
            emitter=emitter,
            rescue_limit=rescue_limit,
            lease=lease,
            signal=self._signal,
            look=self.look,
        )
        self._jobs.paused = control is not None and control.paused
        if control is not None:
            control.attach(self)
        self.restorer = Restorer(backend, process, self.roster, self._accounts.complain)
        self._doubts = Doubts(backend, process, accounts=self._accounts, start=self._jobs.start, restorer=self.restorer)
        # Why there is to be an exchange even if nothing ended: somebody is newly free, a wake-up, the slow poll.
        self._look = True
        self._woken = False
        # Whether the names of queues must be read again before.
        self._stale = names.star
        self._unregistered = False
        self._unretired = False
        self._drained: asyncio.Future[None] | None = None
        self._ready = True
        self._signalled: asyncio.Future[None] | None = None
        self._pause = Pause()
        self._backoff = rest()
        self._poll_timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    # what the others call

    def start(self) -> None:
        """Begin to claim jobs for the processors that enter the roster."""
        self._waiter.on_jobs = self.wake
        loop = asyncio.get_running_loop()
        self._poll_timer = loop.call_later(self._timeout, self._poll)
        self._task = loop.create_task(self._run(), name=f"taskhero {self._process.name} exchanges")

    def wake(self) -> None:
        """There may be new jobs."""
        self._woken = True
        self.look()

    def look(self) -> None:
        """Ask for jobs, and for new queues, as soon as possible; see to processors that are to go."""
        self._look = True
        self._stale = self._names.star
        self._signal()

    def retire_again(self, slots: Iterable[int]) -> None:
        """These slots have no processor any more, but may be in view: take them from it."""
        self.roster.going.update(slots)
        self._unretired = True
        self.look()

    def take_peak(self) -> int:
        """How many processors worked at once, at most, since this was last asked."""
        return self._jobs.take_peak()

    def hurry(self) -> None:
        """Let a `drain` end the jobs without grace."""
        self._jobs.hurry()

    def pause(self) -> None:
        """Claim nothing until `resume`; what is being claimed just now goes back, and running jobs go on."""
        self._jobs.pause()
        self._waiter.hush()

    def resume(self) -> None:
        """Claim again, at once."""
        self._jobs.resume()
        self.look()

    def fail_running(self, error: Callable[[], Exception]) -> int:
        """Fail all jobs that run, each with an error of its own; return how many."""
        return self._jobs.fail_running(error)

    def claim_no_more(self) -> None:
        """Claim nothing from now on; what is being claimed just now goes back."""
        self._jobs.closing = True
        self._waiter.hush()

    async def drain(self, grace: float, limit: float) -> bool:
        """Claim no more; let jobs run *grace* seconds, then give back those that do not end; record all endings.

        It ends the loop; a second call changes nothing.

        Args:
            grace: Seconds that jobs get to end by themselves.
            limit: Seconds after these for cancelling them, and again for recording all endings.

        Returns:
            Whether all endings were recorded.
        """
        if self._task is None:
            return True
        self.claim_no_more()
        self._pause.cut()
        self._accounts.hurry()
        try:
            await self._jobs.end_all(grace, limit)
            self._drained = asyncio.get_running_loop().create_future()
            self._pause.cut()
            self._signal()
            await asyncio.wait({self._drained}, timeout=limit)
            return self._drained.done()
        finally:
            await self._close()

    async def _close(self) -> None:
        if self._poll_timer is not None:
            self._poll_timer.cancel()
        self._accounts.close()
        task, self._task = self._task, None
        if task is not None:
            await end_tasks([task])
        await self._jobs.close()

    # the loop

    def _signal(self) -> None:
        self._ready = True
        signalled = self._signalled
        if signalled is not None and not signalled.done():
            signalled.set_result(None)

    def _poll(self) -> None:
        self._poll_timer = asyncio.get_running_loop().call_later(self._timeout, self._poll)
        self._doubts.poll()
        self._unretired = bool(self.roster.going)
        self.look()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self._ready:
                self._signalled = loop.create_future()
                await self._signalled
                self._signalled = None
            self._ready = False
            try:
                await self._round()
            except Exception as error:  # noqa: BLE001 - whatever a driver raises is no job's fault
                await self._recover(error)
            if self._drained is not None and self._accounts.closed and not self._drained.done():
                self._drained.set_result(None)

    async def _round(self) -> None:
        if self._doubts.open:
            await self._doubts.settle(self._jobs.marked_alone)
        if not self._names.complete and self._free():
            await self._read_names()
        free = self._free()
        if self._accounts.ended or (free and self._look):
            if free and self._woken and not self._jobs.running:
                # Always the same ones, so that a driver may keep how it asks for them.
                free = sorted(self.roster.free)[:VANGUARD]
            answer = await self._exchange(free)
            if free:
                await self._follow(answer, asked=len(free))
        if self._accounts.ended:
            # More of it than one exchange takes.
            self._signal()
        if self._woken and not self._free():
            # Nobody is free here for what woke us.
            self._woken = False
            self._waiter.full()
            self._waiter.pass_on(self._names.current)
        if self.roster.leaving or self._unretired:
            await self._retire()
        if self._jobs.suspect is not None:
            await (self._forgive() if self._jobs.overtime else self._run_alone())

    def _free(self) -> Sequence[int]:
        """The slots to claim jobs for in one exchange."""
        if self._jobs.suspect is not None or self._jobs.closing or self._jobs.paused:
            return ()
        half = (len(self.roster.workers) + 1) // 2
        return tuple(islice(self.roster.free, min(BATCH, max(half, TOGETHER))))

    async def _exchange(self, free: Sequence[int]) -> Exchange:
        settled = self._accounts.send()
        if free:
            self._look = self._woken = False
        if free and self._emitter.wants(WorkerPoll):
            self._emitter.emit(WorkerPoll(self._process.name, self._names.current))
        answer = await self._backend.exchange(self._process, settled, free, self._names.current)
        if self._outage.lasting:
            self._outage.worked(_NAME)
        self._backoff.reset()
        self._accounts.acknowledge(answer)
        if answer.claims:
            self._jobs.start(answer.claims)
        if not answer.registered:
            await self._register()
        else:
            self._unregistered = False
        return answer

    async def _follow(self, answer: Exchange, asked: int) -> None:
        """After a claim: see to new queues, and listen if there are processors left without a job."""
        self.backlog = answer.waiting
        # Only now, since most news is of queues that are known, and a job need not wait for this question.
        changed = self._stale and await self._read_names()
        if not self._free():
            self._waiter.full()
        elif changed or (answer.waiting and len(answer.claims) == asked):
            self._look = True
            self._signal()
        else:
            if not answer.claims and self._emitter.wants(WorkerPause):
                self._emitter.emit(WorkerPause(self._process.name))
            self._waiter.listen(self._names.current, everything=self._names.star, found=bool(answer.claims))

    # what is rare

    async def _run_alone(self) -> None:
        """Run the job that may have killed its process, as soon as no other runs here and all endings are recorded."""
        jobs = self._jobs
        if jobs.suspect is None or jobs.alone or self._accounts.ended or not jobs.ready_for_suspect:
            return
        worker, claim = jobs.suspect
        mine = await self._backend.begin(self._process, claim)
        if worker.claim is not claim:
            # The stop gave it back meanwhile.
            return
        if mine:
            jobs.launch_alone()
        else:
            self._accounts.lose(claim)
            jobs.drop_suspect()

    async def _forgive(self) -> None:
        """Before others run beside a long suspect, take its mark back: one of them may kill the process."""
        suspect = self._jobs.suspect
        if suspect is None:
            return
        await self._backend.begin(self._process, suspect[1], alone=False)
        if self._jobs.suspect is suspect:
            self._jobs.end_probation()

    async def _read_names(self) -> bool:
        """Read the names of all queues; return whether there are other ones to work now."""
        self._stale = False
        try:
            return self._names.read(await self._backend.queues())
        except BackendRefused as error:
            # The queues that are known can be worked all the same.
            self._accounts.complain("*", f"the names of the queues cannot be read: {error}")
            return False

    async def _retire(self) -> None:
        for worker in self.roster.depart(self._accounts.slots()):
            self._emitter.emit(WorkerEnd(worker.name))
        slots = sorted(self.roster.going)
        if not slots:
            return
        self._unretired = True
        try:
            answer = await self._backend.retire(self._process, slots)
        except BackendRefused as error:
            # Tried again with the next poll, and with the next one that goes.
            self._accounts.complain("retire", f"workers {slots} cannot be taken from view: {error}")
        else:
            blocked = {claim.slot for claim, _ in answer.blocked}
            self.roster.going.difference_update(set(slots) - blocked)
            for claim, reason in answer.blocked:
                text = f"a worker cannot leave, since queue {claim.queue!r} cannot take its job back: {reason}"
                self._accounts.complain(f"retire {claim.slot}", text, queue=claim.queue, claim=claim)
        self._unretired = False

    async def _register(self) -> None:
        """Become visible again, after the process was taken for dead."""
        if self._unregistered:
            # Once was not enough.
            await self._pause.sleep(self._backoff.next())
        self._unregistered = True
        self.restorer.disown()
        await self._backend.register(self._process, sorted(self.roster.workers), self._lease)
        self.look()

    async def _recover(self, error: Exception) -> None:
        """Keep what could not be told, wait, and then see what became of it."""
        self._outage.failed(_NAME, error)
        lost = not isinstance(error, (BackendUnavailable, BackendRefused))
        self._accounts.keep(lost=lost)
        if lost:
            self._doubts.lost()
        delay = self._backoff.next()
        await self._pause.sleep(min(delay, 0.2) if self._jobs.closing else delay)
        self.look()
