"""What is installed: the version, the types, all files; and what an import brings along."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import taskhero

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"


def python(code: str, **environment: str) -> str:
    """What a fresh interpreter prints that runs *code*."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (path,) = folder.glob("taskhero-*.whl")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_version_has_one_source() -> None:
    """What the package says is what pip knows."""
    assert taskhero.__version__ == metadata.version("taskhero")


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    """Types, scripts in Lua and all: nothing works from the tree that is missing once installed."""
    here = {path.relative_to(SOURCE) for path in (SOURCE / "taskhero").rglob("*") if path.is_file()}
    there = {path.relative_to(wheel) for path in (wheel / "taskhero").rglob("*") if path.is_file()}
    assert there == {path for path in here if "__pycache__" not in path.parts}
    assert Path("taskhero/py.typed") in there


def test_the_kit_can_be_imported_from_the_wheel(wheel: Path) -> None:
    """Whoever writes a backend needs no copy of this repository to prove it."""
    where = python("import taskhero.conformance as kit; print(kit.__file__)", PYTHONPATH=str(wheel))
    assert Path(where).is_relative_to(wheel)


def test_import_brings_neither_redis_nor_what_only_the_command_line_needs() -> None:
    """A program on `memory://` pays for nothing else, not even when it makes its app."""
    heavy = ("redis", "fakeredis", "click", "rich", "pytest", "hiredis", "uvloop", "cronsim")
    loaded = python(
        "import sys, taskhero\n"
        "taskhero.TaskHero('memory://')\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    assert loaded == "[]"
