"""A third party installs the wheel, writes a backend and one test file, and proves the backend."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent

THIRD_PARTYS_FILE = '''
"""The whole test file of a third party."""

from pathlib import Path

import pytest
import taskhero
from taskhero.backends.memory import MemoryBackend
from taskhero.conformance import BackendConformance, Capabilities, FailedJobListing, Leadership, Producing


class MineBackend(MemoryBackend):
    """A backend of a third party."""


class TestMineBackend(BackendConformance):
    capabilities = Capabilities(
        clock=False,
        second_view=False,
        pausing=False,
        wrong_types=False,
        foreign_scheduler=False,
        foreign_workers=False,
        foreign_failures=False,
        leftovers=False,
        lost_lease=False,
        last_errors=False,
    )

    @pytest.fixture
    async def backend(self):
        backend = MineBackend()
        await backend.connect()
        yield backend
        await backend.close()

    def test_it_is_the_installed_kit(self):
        assert Path(taskhero.__file__).parent.parent.name == "installed"


class ReversedBackend(MineBackend):
    async def queued(self, queue, start=0, stop=-1):
        return (await super().queued(queue, start, stop))[::-1]


class TestReversedBackend(Producing):
    @pytest.fixture
    async def backend(self, clock):
        backend = ReversedBackend(clock=clock)
        await backend.connect()
        yield backend
        await backend.close()


class TestNothing(FailedJobListing):
    """Has no fixture ``backend``."""


class TestHalf(Leadership):
    """Lacks a hook."""

    @pytest.fixture
    async def backend(self, clock):
        backend = MineBackend(clock=clock)
        await backend.connect()
        yield backend
        await backend.close()
'''


CHOSEN = (
    "TestMineBackend",
    "TestReversedBackend::test_jobs_are_stored_in_the_order_given",
    "TestNothing::test_no_failures",
    "TestHalf::test_one_leads_at_a_time",
)


def install(folder):
    """Build the wheel, and install it into a separate folder."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = folder.glob("*.whl")
    target = folder / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*pip, "--target", str(target), str(wheel)], check=True, capture_output=True, timeout=60)
    return target


def run_third_partys_tests(folder, installed):
    """Run the third party's tests in a folder without configuration. Return pytest's output."""
    (folder / "test_mine.py").write_text(THIRD_PARTYS_FILE)
    command = [sys.executable, "-m", "pytest", "--strict-markers", "-W", "error", "-p", "no:cacheprovider", "-rsfE"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    ran = subprocess.run(
        [*command, *(f"test_mine.py::{chosen}" for chosen in CHOSEN)],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    return ran.stdout


def test_a_third_party_proves_a_backend_with_the_installed_wheel(tmp_path):
    """A class and a fixture are enough. Failures, missing hooks and skips name their reason."""
    installed = install(tmp_path)
    output = run_third_partys_tests(tmp_path, installed)

    # The whole kit passes on a correct backend. Missing capabilities are skipped, with the reason.
    failed, passed, skipped, errors = map(
        int, re.search(r"(\d+) failed, (\d+) passed, (\d+) skipped, (\d+) error", output).groups()
    )
    assert (failed, errors) == (2, 1), output
    assert passed > 150
    assert skipped > 50
    assert "TestMineBackend declares Capabilities(clock=False)" in output

    # A failed assertion shows its values, because pytest rewrites the kit like tests.
    assert re.search(r"E +(AssertionError: )?assert \['\{\"class", output), output

    # The error names the fixture or hook that the suite must override, and the capability to disable instead.
    assert "TestNothing must override the fixture `backend`" in output
    assert "TestHalf must override the hook `another_view`, or declare Capabilities(second_view=False)" in output

    # No entry point makes each run of pytest import the kit.
    (ours,) = distributions(name="taskhero", path=[str(installed)])
    assert {point.group for point in ours.entry_points} == {"console_scripts", "taskhero.backends"}
