"""What all parts of `Queue` share: the collaborators, and the checks of names, positions and arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskhero._internal.logs import get_logger
from taskhero._internal.unawaited import reports_unawaited
from taskhero.engine.queue.admission import Admission
from taskhero.engine.task.signature import wire_args
from taskhero.wire.jobs import check_queue_name, is_nothing

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.engine.queue.context import QueueContext

__all__ = ["QueuePart", "known_name", "position", "storing"]

#: Larger than the length of any list.
_MAX_POSITION = 2**53

#: Decorates the methods that store jobs: a call that is not awaited stores nothing, which is reported.
storing = reports_unawaited(get_logger("taskhero.queue"), lambda _: "app.queue")


class QueuePart:
    """The base of the classes from which `Queue` derives. It holds all their state.

    Positions in listings start at 0 and include both ends. Negative positions count from the end. An entry that cannot
    be decoded is returned as a model with a `problem` and its payload in `raw`.
    """

    def __init__(self, context: QueueContext) -> None:
        self.context = context
        self._admission = Admission(context)

    @property
    def backend(self) -> Backend:
        """Return the store of jobs.

        Raises:
            NotConnected: The app is not connected.
        """
        self.context.check()
        return self.context.backend

    def _args_forms(self, name: str, args: object) -> list[list[Any]]:
        """Return the equivalent forms of a job's args: three forms for "no arguments", otherwise one."""
        form = wire_args(args)
        task = self.context.tasks.get(name)
        if task is not None and task.signature.takes_nothing and is_nothing(form):
            return [[], [None], [{}]]
        return [form]


def known_name(queue: str) -> str:
    """Return *queue* if it is a str. Other programs' queues may have names that taskhero cannot write.

    Raises:
        InvalidQueueName: *queue* is not a str.
    """
    given: object = queue
    return queue if isinstance(given, str) else check_queue_name(queue)


def position(given: object, what: str) -> int:
    """Return a position in a list, limited to what a backend can take.

    Raises:
        TypeError: *given* is not an int.
    """
    if isinstance(given, bool) or not isinstance(given, int):
        raise TypeError(f"{what}={given!r} is not a position: pass an int; 0 is the first, -1 the last")
    return max(-_MAX_POSITION, min(given, _MAX_POSITION))
