"""A fresh environment to install distributions into, in which programs run as a user's."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import attrs

__all__ = ["Fresh", "make_fresh"]

#: Where pip would look elsewhere for what is here.
_OFFLINE = {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_COMPILE": "1"}
_OURS = ("TASKHERO_", "OFFICE_HOURS", "PYTEST", "PYTHON", "COV", "PIP_", "FORCE_COLOR")


@attrs.frozen
class Fresh:
    """An environment of its own; what is installed there needs is taken from that of the tests.

    So no network is needed, and taskhero is that of this tree.

    Attributes:
        folder: Where it is.
        work: The working directory of what runs in it.
    """

    folder: Path
    work: Path

    def run(self, *words: str, stdin: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program of it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return subprocess.run(
            [str(self.folder / "bin" / words[0]), *words[1:]],
            cwd=self.work,
            env={**kept, **_OFFLINE, "PATH": path, "VIRTUAL_ENV": str(self.folder), **variables},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    def taskhero(self, *words: str, **variables: str) -> str:
        """What the command line prints, which must succeed."""
        done = self.run("taskhero", *words, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def install(self, *paths: Path) -> None:
        """Let pip install distributions from folders."""
        done = self.run("pip", "install", "--quiet", *map(str, paths))
        assert done.returncode == 0, done.stdout + done.stderr


def make_fresh(folder: Path) -> Fresh:
    """An environment in an empty folder."""
    environment = folder / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=60)
    fresh = Fresh(environment, folder / "work")
    fresh.work.mkdir()
    purelib = fresh.run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    shared = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (Path(purelib) / "shared.pth").write_text(shared)
    for program in ("pip", "pytest", "taskhero"):
        script = environment / "bin" / program
        script.write_text(f'#!/bin/sh\nexec "{environment / "bin" / "python"}" -m {program} "$@"\n')
        script.chmod(0o755)
    return fresh
