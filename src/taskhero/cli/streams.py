"""The standard streams of a process of the command line.

A stream may be closed, its encoding may lack a character, and its reader may end first, as in
``taskhero failed | head``. No case ends in a traceback. This module needs no package of the extra `cli`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from io import RawIOBase, TextIOWrapper
from pathlib import Path
from typing import Final, NoReturn, TextIO

__all__ = ["discard", "end_without_output", "prepare_streams"]

#: The exit code if the reader of the output has ended, as a shell reports it: 128 + SIGPIPE.
READER_GONE: Final = 141
#: The errors of a write to a stream that is closed, full, or whose terminal or reader has gone.
_OUTPUT_ERRORS: Final = {errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
_STREAMS: Final = ("stdin", "stdout", "stderr")


def prepare_streams() -> None:
    """Replace closed streams by the null device, and escape the characters that the encoding of the output lacks.

    Without it, the next file or connection would get the number of the closed stream, and receive its text.
    """
    for number, name in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - it has no name
        if getattr(sys, name) is None:
            setattr(sys, name, _null_stream(name))
    if isinstance(getattr(sys.stdout, "buffer", None), RawIOBase):
        # With PYTHONUNBUFFERED, Python does not notice that only a part of a text was written.
        number, encoding = sys.stdout.fileno(), sys.stdout.encoding
        sys.stdout = open(number, "w", 1, encoding, sys.stdout.errors, closefd=False)  # noqa: SIM115 - until the exit
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.errors in {"strict", "surrogateescape"}:
            stream.reconfigure(errors="backslashreplace")


def _null_stream(name: str) -> TextIO:
    return Path(os.devnull).open("r" if name == "stdin" else "w", encoding="utf-8")


def discard(stream: TextIO) -> None:
    """Send the rest of the output to the null device, also what the stream still holds."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a number is not a file
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def end_without_output(error: OSError) -> NoReturn:
    """End the program because its output cannot be written.

    Raises:
        SystemExit: With code 141 if the reader has ended, with code 1 and a message for another reason.
        OSError: The error, if it has nothing to do with the output.
    """
    if error.errno not in _OUTPUT_ERRORS or error.filename is not None:
        raise error
    discard(sys.stdout)
    if error.errno == errno.EPIPE:
        discard(sys.stderr)
        raise SystemExit(READER_GONE)
    print(f"Error: the output cannot be written: {error.strerror}", file=sys.stderr)
    raise SystemExit(1)
