"""Stop a worker process when its parent process closes a pipe or ends."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from typing import TYPE_CHECKING, Final

from taskhero.runtime.process.signals import PARENT, Order

if TYPE_CHECKING:
    from taskhero.runtime.process.shutdown import ShutdownSignal
    from taskhero.runtime.process.signals import Orders

__all__ = ["PARENT_PIPE", "STOP_BYTE", "obey_parent", "parent_pipe"]
#: Environment variable with the number of a pipe's end that reaches its end of file when the process is to stop.
PARENT_PIPE: Final = "TASKHERO_PARENT_PIPE"
#: What a parent writes into that pipe instead of closing it, so that it can still pass on orders.
STOP_BYTE: Final = b"T"


def parent_pipe() -> int | None:
    """The pipe that a parent gave this process to tell its end, taken from the environment; None without a parent.

    It is not passed on to the processes that tasks start.
    """
    try:
        pipe = int(os.environ.pop(PARENT_PIPE, ""))
        os.set_inheritable(pipe, False)  # noqa: FBT003
    except (ValueError, OSError):
        return None
    return pipe


def obey_parent(pipe: int, stop: ShutdownSignal, orders: Orders) -> None:
    """Follow what the parent writes into *pipe*, and ask for a stop when it closes its end, or is dead.

    What the parent has written already is known when this returns.
    """

    def read() -> bool:
        text = os.read(pipe, 1)
        if text == STOP_BYTE:
            stop.request(PARENT)
        elif text:
            # What a later version of the parent may write is skipped.
            with contextlib.suppress(ValueError):
                orders.give(Order(text), PARENT)
        return bool(text)

    def listen() -> None:
        with contextlib.suppress(OSError):
            while read():
                pass
        stop.request(PARENT)

    with contextlib.suppress(OSError, ValueError):
        while select.select([pipe], [], [], 0)[0] and read():
            pass
    threading.Thread(target=listen, name="taskhero-parent", daemon=True).start()
