"""Stop a worker process when its parent process closes a pipe or ends."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from typing import TYPE_CHECKING, Final

from taskhero.runtime.process.control_signals import PARENT, ControlCommand

if TYPE_CHECKING:
    from taskhero.runtime.process.control_signals import ControlSignals
    from taskhero.runtime.process.shutdown import ShutdownSignal

__all__ = ["PARENT_PIPE", "STOP_BYTE", "parent_pipe", "read_parent_commands"]
#: Environment variable with the file descriptor of a pipe. The end of file on it asks the process to stop.
PARENT_PIPE: Final = "TASKHERO_PARENT_PIPE"
#: The byte that asks for a stop without closing the pipe, so that the parent can still send commands.
STOP_BYTE: Final = b"T"


def parent_pipe() -> int | None:
    """Remove the parent's pipe from the environment and return its file descriptor, or None without a parent.

    Processes that tasks start do not inherit it.
    """
    try:
        pipe = int(os.environ.pop(PARENT_PIPE, ""))
        os.set_inheritable(pipe, False)  # noqa: FBT003
    except (ValueError, OSError):
        return None
    return pipe


def read_parent_commands(pipe: int, stop: ShutdownSignal, control_signals: ControlSignals) -> None:
    """Pass on the commands that the parent writes into *pipe*, and request a stop when its end is closed.

    The pipe is also closed when the parent dies. Commands that the parent has already written are read before the
    return.
    """

    def read() -> bool:
        text = os.read(pipe, 1)
        if text == STOP_BYTE:
            stop.request(PARENT)
        elif text:
            # A later version of the parent may write commands that this version does not know.
            with contextlib.suppress(ValueError):
                control_signals.send(ControlCommand(text), PARENT)
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
