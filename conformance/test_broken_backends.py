"""The kit finds what is broken: each of these backends breaks one promise and fails that promise's test."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from broken import BROKEN
from broken_suites import suite_name
from taskhero import conformance
from taskhero.conformance import BackendConformance

# The first of these tests runs nearly 200 suites.
pytestmark = pytest.mark.timeout(700)

HERE = Path(__file__).parent
SUITES = HERE / "broken_suites.py"


def chosen(broken):
    """Return what to run on a broken backend, for pytest's command line."""
    suite = f"{SUITES}::{suite_name(broken)}"
    return [f"{suite}::{test}" for test in broken.found_by] if broken.only else [suite]


def run(report):
    """Run all suites in a separate process."""
    nodes = [node for broken in BROKEN for node in chosen(broken)]
    command = [sys.executable, "-m", "pytest", "-q", "--tb=line", f"--junitxml={report}", *nodes]
    ran = subprocess.run(
        [*command, f"{SUITES}::TestDamageable"], cwd=HERE, capture_output=True, text=True, timeout=600, check=False
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return for each suite its tests, each with None or the text of its failure."""
    # If tests run in several processes, one runs the suites, and the others wait for it.
    shared = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    folder = tmp_path_factory.getbasetemp().parent if shared else tmp_path_factory.mktemp("broken")
    report = folder / f"broken-{shared}.xml"
    with report.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not report.exists():
            run(report)
    found = {}
    for case in ET.parse(report).iter("testcase"):
        suite = found.setdefault(case.get("classname").rpartition(".")[2], {})
        for kind in ("failure", "error"):
            if (ended := case.find(kind)) is not None:
                suite[case.get("name")] = f"{kind}: {ended.get('message')}"
                break
        else:
            suite[case.get("name")] = None
    return found


@pytest.mark.parametrize("broken", BROKEN, ids=suite_name)
def test_what_is_broken_is_found(results, broken):
    """By each test that `found_by` names."""
    suite = results[suite_name(broken)]
    failed = {name for name, failure in suite.items() if failure is not None}
    missed = [test for test in broken.found_by if not any(test in {name, name.partition("[")[0]} for name in failed)]
    assert missed == [], f"only these failed: {sorted(failed)}"
    assert [name for name, ended in suite.items() if ended and ended.startswith("error")] == [], "a fixture failed"


@pytest.mark.parametrize("broken", [broken for broken in BROKEN if not broken.only], ids=suite_name)
def test_most_tests_pass_on_a_broken_backend(results, broken):
    """Most tests of a topic pass on a backend that breaks one promise, so a failure shows where to look."""
    suite = results[suite_name(broken)]
    failed = sum(failure is not None for failure in suite.values())
    assert failed <= max(4, 0.8 * len(suite))


def test_the_damageable_store_passes(results):
    """The damageable store passes all tests of its topics."""
    assert {name for name, failure in results["TestDamageable"].items() if failure is not None} == set()


def test_each_topic_finds_something():
    """Each topic of the kit has a backend that must fail it."""
    topics = {getattr(conformance, name) for name in conformance.__all__}
    topics = {topic for topic in topics if isinstance(topic, type) and issubclass(BackendConformance, topic)}
    tested = {topic for topic in topics if any(name.startswith("test") for name in vars(topic))}
    assert tested - {broken.topic for broken in BROKEN} == set()


def test_there_are_many():
    """No two have the same name, so none replaces another."""
    names = [suite_name(broken) for broken in BROKEN]
    assert len(names) == len(set(names)) > 60
