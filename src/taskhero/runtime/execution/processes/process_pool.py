"""Processes that are kept and used again."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import pickle
import sys
from threading import Condition, Lock
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

from taskhero.errors import InvalidTask, ProcessDied
from taskhero.runtime.execution.context import current_attempt
from taskhero.runtime.execution.failure_report import RemoteTraceback
from taskhero.runtime.execution.processes.child_main import Request
from taskhero.runtime.execution.processes.child_process import ChildProcess
from taskhero.runtime.execution.processes.function_reference import FunctionReference
from taskhero.runtime.execution.threads import ThreadPool

if TYPE_CHECKING:
    import asyncio

    from taskhero.engine.task.task import Task
    from taskhero.models import Job
    from taskhero.runtime.execution.failure_report import Description
    from taskhero.runtime.execution.invoker import BoundArguments
    from taskhero.runtime.execution.processes.child_main import Answer
    from taskhero.runtime.execution.threads import ThreadCall

__all__ = ["ProcessCall", "ProcessPool"]


class ProcessCall:
    """A call that runs in a process."""

    def __init__(self) -> None:
        self.killed = False
        self._lock = Lock()
        self._child: ChildProcess | None = None
        self._call: ThreadCall

    @property
    def future(self) -> asyncio.Future[None]:
        """Done when the call has ended; it never has an exception, and cancelling it does not end the call."""
        return self._call.future

    @property
    def value(self) -> Any:
        """What the function returned."""
        return self._call.value

    @property
    def error(self) -> BaseException | None:
        """What it raised, or what became of its process; None if it returned."""
        return self._call.error

    def kill(self) -> None:
        """End the call at once, with its process."""
        with self._lock:
            self.killed = True
            if self._child is not None:
                self._child.kill()

    def hold(self, child: ChildProcess | None) -> None:
        """From now on *child* is the process that is to be killed."""
        with self._lock:
            self._child = child
            if self.killed and child is not None:
                child.kill()

    def follow(self, call: ThreadCall) -> None:
        """The call is that of *call*, which waits for the process."""
        self._call = call


class ProcessPool:
    """Processes that are started as they are needed and used again.

    Args:
        limit: How many are kept when they have nothing to do; as many as there are processors by default.

    Raises:
        InvalidTask: This process is itself one that was started for a task, and only imports the main script.
    """

    def __init__(self, limit: int | None = None) -> None:
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            # Or each process of a task would become a worker with processes of its own.
            raise InvalidTask(
                "this process was started for a task with run_in='process' and imports the program's main script, "
                "which runs the app: let the script do that under `if __name__ == '__main__':`"
            )
        self._limit = (os.cpu_count() or 1) if limit is None else limit
        # It guards what follows, and tells when processes have gone.
        self._changed = Condition()
        self._idle: list[ChildProcess] = []
        self._children: set[ChildProcess] = set()
        self._closing = False
        self._pid = os.getpid()
        # A thread waits for each process that works.
        self._threads = ThreadPool(sys.maxsize, name="taskhero-process")
        _pools.add(self)

    def start(self, task: Task[Any, Any], job: Job, worker: str, bound: BoundArguments) -> ProcessCall:
        """Call the task's function in a process; must be called in an event loop.

        The task's timeout begins when the function does: the time that a new process takes to come up and to import
        the task's module does not count.
        """
        self._closing = False
        call = ProcessCall()
        call.follow(self._threads.start(self._perform, (call, task, job, worker, bound)))
        return call

    def resize(self, limit: int) -> None:
        """Change how many processes are kept when they have nothing to do; must be called in an event loop."""
        self._limit = limit
        with self._changed:
            surplus = self._idle[limit:]
            del self._idle[limit:]
        for child in surplus:
            self._threads.start(self._reap, (child,))

    def close(self) -> None:
        """Kill the processes that work and let the others end; must be called in an event loop.

        It does not wait for their end. The pool can be used again.
        """
        self._closing = True
        with self._changed:
            idle, self._idle = self._idle, []
            for child in self._children.difference(idle):
                child.kill()
        for child in idle:
            self._threads.start(self._reap, (child,))
        self._threads.close()

    async def wait_closed(self) -> None:
        """After `close`, wait until all processes have ended."""
        await self._threads.start(self._wait_until_gone).future
        self._threads.close()

    # in a thread

    def _perform(self, call: ProcessCall, task: Task[Any, Any], job: Job, worker: str, bound: BoundArguments) -> Any:
        request = Request(FunctionReference.of(task.function), *bound, job, worker, current_attempt())
        while True:
            child, is_new = self._take()
            try:
                call.hold(child)
                answer = child.begin(request) or child.finish(request, task.timeout)
            except BaseException as error:
                call.hold(None)
                child.kill()
                self._reap(child)
                if isinstance(error, ProcessDied) and not (is_new or child.has_started or call.killed):
                    continue  # it had died while it had nothing to do, so nothing was called yet
                raise
            call.hold(None)
            self._release(child)
            return _outcome(answer)

    def _take(self) -> tuple[ChildProcess, bool]:
        """A process, and whether it is new."""
        with self._changed:
            if self._idle:
                return self._idle.pop(), False
        child = ChildProcess()
        with self._changed:
            self._children.add(child)
            if self._closing:
                child.kill()
        return child, True

    def _release(self, child: ChildProcess) -> None:
        with self._changed:
            keep = len(self._idle) < self._limit and not self._closing
            if keep:
                self._idle.append(child)
        if not keep:
            self._reap(child)

    def _reap(self, child: ChildProcess) -> None:
        child.reap()
        with self._changed:
            self._children.discard(child)
            self._changed.notify_all()

    def _wait_until_gone(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._children)

    def kill_all(self) -> None:
        """Kill all processes at once, if this is the process that started them; for the interpreter's exit."""
        if self._pid == os.getpid():
            for child in list(self._children):
                child.kill()


def _outcome(answer: Answer) -> Any:
    """What the function returned, or raise what it raised."""
    if answer.description is None:
        return pickle.loads(answer.value or b"")  # noqa: S301 -- our own child's
    raise _error(answer.error, answer.description) from RemoteTraceback(answer.description)


def _error(pickled: bytes | None, description: Description) -> BaseException:
    if pickled is not None:
        with contextlib.suppress(BaseException):  # whatever its class does when it is made again
            return cast("BaseException", pickle.loads(pickled))  # noqa: S301 -- our own child's
    # It cannot be sent. Its name and its text are what others see of it.
    about = {"__doc__": "Stands for an exception of a process that cannot be pickled."}
    stand_in: type[Exception] = type(description.exception, (Exception,), about)
    return stand_in(description.error)


_pools: WeakSet[ProcessPool] = WeakSet()


@atexit.register
def _kill_all() -> None:
    # Before multiprocessing's own, which was registered earlier and waits for all processes.
    for pool in list(_pools):
        pool.kill_all()
