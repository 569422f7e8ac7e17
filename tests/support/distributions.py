"""Tiny distributions in a folder, as pip would have put them there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["Site"]


class Site:
    """A folder of installed distributions, and programs that see them.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, name: str, *, module: str, code: str, version: str = "1.0", **groups: dict[str, str]) -> None:
        """Put a distribution there with one module; *groups* are its entry points, ``_`` standing for a dot."""
        (self.folder / f"{module}.py").write_text(code)
        about = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (about / "entry_points.txt").write_text(
            "".join(
                f"[{group.replace('_', '.')}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
                for group, points in groups.items()
            )
        )

    def python(self, *words: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run Python with these words; what is installed here is found."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TASKHERO_")}
        return subprocess.run(
            [sys.executable, *words],
            cwd=cwd or self.folder,
            env={**environment, "PYTHONPATH": str(self.folder), **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def taskhero(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the command line."""
        return self.python("-m", "taskhero", *words, **variables)
