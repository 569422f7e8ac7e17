"""The real node-resque: installing it, and running programs with it.

It goes into ``conformance/node/node_modules``, as the lock file there says, when a test first needs it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final, Self

__all__ = ["FOLDER", "MissingNode", "Node", "install"]

FOLDER: Final = Path(__file__).parents[2] / "conformance" / "node"
INSTALLED_WITHIN: Final = 110.0
ENDS_WITHIN: Final = 10.0


class MissingNode(Exception):
    """This machine cannot run node-resque; the message says what is missing."""


def install() -> Path:
    """Install node-resque, unless it is there already, and return the path of node.

    Raises:
        MissingNode: node or npm is not there, or npm cannot install it.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None:
        raise MissingNode("node is not installed (on Debian: apt-get install nodejs)")
    stamp = FOLDER / "node_modules" / ".installed"
    wanted = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    # Processes of tests that run at once install it once.
    with (FOLDER / ".installing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text() == wanted):
            if npm is None:
                raise MissingNode("npm is not installed, which brings node-resque (on Debian: apt-get install npm)")
            _npm_ci(npm)
            stamp.write_text(wanted)
    return Path(node)


def _npm_ci(npm: str) -> None:
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(
            command, cwd=FOLDER, capture_output=True, text=True, timeout=INSTALLED_WITHIN, check=False
        )
    except subprocess.TimeoutExpired:
        raise MissingNode(f"npm did not install node-resque within {INSTALLED_WITHIN:g} s") from None
    if done.returncode:
        raise MissingNode(f"npm cannot install node-resque: {done.stderr.strip()}")


class Node:
    """A program in ``conformance/node`` that answers each line with a line, as JSON; use it in a ``with``.

    Args:
        program: Its file name.
        arguments: What it is started with.

    Raises:
        MissingNode: This machine cannot run it.
    """

    def __init__(self, program: str, *arguments: str) -> None:
        command = [str(install()), str(FOLDER / program), *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, question: Any) -> Any:
        """Send a value and wait for the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(question).encode() + b"\n")
            self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the program has ended; its error output says why"
        return json.loads(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
