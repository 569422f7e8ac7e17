"""A pool of child processes that are reused."""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import sys
from threading import Lock
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

from taskhero._internal.interpreter import imports_main_script
from taskhero.errors import InvalidTask, ProcessDied
from taskhero.runtime.execution.failure_report import RemoteTraceback
from taskhero.runtime.execution.processes.child_main import Request
from taskhero.runtime.execution.processes.child_process import ChildProcess
from taskhero.runtime.execution.processes.function_reference import FunctionReference
from taskhero.runtime.execution.threads import ThreadPool

if TYPE_CHECKING:
    import asyncio

    from taskhero.engine.task.signature import BoundArguments
    from taskhero.engine.task.task import Task
    from taskhero.runtime.execution.context import Running
    from taskhero.runtime.execution.processes.child_main import Answer
    from taskhero.runtime.execution.threads import ThreadCall
    from taskhero.wire.failures import Description

__all__ = ["ProcessCall", "ProcessPool"]


class ProcessCall:
    """A call that runs in a child process."""

    def __init__(self) -> None:
        self.killed = False
        self._lock = Lock()
        self._child: ChildProcess | None = None
        self._call: ThreadCall

    @property
    def future(self) -> asyncio.Future[None]:
        """Done when the call has ended. It never has an exception, and cancelling it does not end the call."""
        return self._call.future

    @property
    def value(self) -> Any:
        """The returned value."""
        return self._call.value

    @property
    def error(self) -> BaseException | None:
        """The raised error, or the error of its child process; None if the call returned."""
        return self._call.error

    def kill(self) -> None:
        """End the call at once, and kill its child process."""
        with self._lock:
            self.killed = True
            if self._child is not None:
                self._child.kill()

    def attach(self, child: ChildProcess | None) -> None:
        """Make *child* the process that `kill` kills."""
        with self._lock:
            self._child = child
            if self.killed and child is not None:
                child.kill()

    def set_thread_call(self, call: ThreadCall) -> None:
        """Set the thread's call that waits for the child process."""
        self._call = call


class ProcessPool:
    """Child processes that are started when needed and reused.

    Args:
        limit: Largest number of idle child processes that are kept; the number of CPUs by default.

    Raises:
        InvalidTask: This process is a child process that imports the main script.
    """

    def __init__(self, limit: int | None = None) -> None:
        if imports_main_script():
            # Otherwise each child process would become a worker with child processes.
            raise InvalidTask(
                "this process was started for a task with run_in='process' and imports the program's main script, "
                "which runs the app: let the script do that under `if __name__ == '__main__':`"
            )
        self._limit = (os.cpu_count() or 1) if limit is None else limit
        # Guards the attributes below.
        self._lock = Lock()
        self._idle: list[ChildProcess] = []
        self._children: set[ChildProcess] = set()
        self._closing = False
        self._pid = os.getpid()
        # A thread waits for each working child process.
        self._threads = ThreadPool(sys.maxsize, name="taskhero-process")
        _pools.add(self)

    def start(self, task: Task[Any, Any], running: Running, bound: BoundArguments) -> ProcessCall:
        """Call the task's function for a running job, in a child process. Call it in an event loop.

        The task's timeout starts with the function. The start of a new child process and the import of the task's
        module do not count.
        """
        self._closing = False
        call = ProcessCall()
        call.set_thread_call(self._threads.start(self._perform, (call, task, running, bound)))
        return call

    def close(self) -> None:
        """Kill the working child processes and let idle ones exit. Call it in an event loop.

        It does not wait for their end. The pool can be used again.
        """
        self._closing = True
        with self._lock:
            idle, self._idle = self._idle, []
            for child in self._children.difference(idle):
                child.kill()
        for child in idle:
            self._threads.start(self._reap, (child,))
        self._threads.close()

    # in a thread

    def _perform(self, call: ProcessCall, task: Task[Any, Any], running: Running, bound: BoundArguments) -> Any:
        request = Request(FunctionReference.of(task), *bound, running.job, running.worker, running.attempt)
        while True:
            child, is_new = self._acquire()
            try:
                call.attach(child)
                answer = child.begin(request) or child.finish(request, task.timeout)
            except BaseException as error:
                call.attach(None)
                child.kill()
                self._reap(child)
                if isinstance(error, ProcessDied) and not (is_new or child.has_started or call.killed):
                    continue  # an idle child process died before it called anything
                raise
            call.attach(None)
            self._release(child)
            return _result_of(answer)

    def _acquire(self) -> tuple[ChildProcess, bool]:
        """Return a child process, and whether it is new."""
        with self._lock:
            if self._idle:
                return self._idle.pop(), False
        child = ChildProcess()
        with self._lock:
            self._children.add(child)
            if self._closing:
                child.kill()
        return child, True

    def _release(self, child: ChildProcess) -> None:
        with self._lock:
            keep = len(self._idle) < self._limit and not self._closing
            if keep:
                self._idle.append(child)
        if not keep:
            self._reap(child)

    def _reap(self, child: ChildProcess) -> None:
        child.reap()
        with self._lock:
            self._children.discard(child)

    def kill_all(self) -> None:
        """Kill all child processes at once, for the interpreter's exit. Only their parent does so, not a fork of it."""
        if self._pid == os.getpid():
            for child in list(self._children):
                child.kill()


def _result_of(answer: Answer) -> Any:
    """Return the value of the function, or raise its error."""
    if answer.description is None:
        return pickle.loads(answer.value or b"")  # noqa: S301 -- our own child's
    raise _error(answer.error, answer.description) from RemoteTraceback(answer.description)


def _error(pickled: bytes | None, description: Description) -> BaseException:
    if pickled is not None:
        with contextlib.suppress(BaseException):  # methods of its class may raise anything
            return cast("BaseException", pickle.loads(pickled))  # noqa: S301 -- our own child's
    # The exception cannot be pickled: replace it by one with its name and its message.
    namespace = {"__doc__": "Replaces an exception of a child process that cannot be pickled."}
    replacement: type[Exception] = type(description.exception, (Exception,), namespace)
    return replacement(description.error)


_pools: WeakSet[ProcessPool] = WeakSet()


@atexit.register
def _kill_all() -> None:
    # This runs before the handler of multiprocessing, which waits for all child processes.
    for pool in list(_pools):
        pool.kill_all()
