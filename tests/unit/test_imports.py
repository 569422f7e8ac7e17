"""No module imports itself through others. import-linter does not compare a package with its own modules, this does."""

from __future__ import annotations

import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]


def imports():
    """Return what each module imports, also in functions and for type checking."""
    graph = grimp.build_graph("taskhero", exclude_type_checking_imports=False, cache_dir=None)
    return {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}


def contract():
    (found,) = [
        contract
        for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
        if contract["type"] == "acyclic_siblings"
    ]
    return found


def test_no_module_imports_itself_through_others():
    graph = imports()
    for ignored in contract().get("ignore_imports", ()):
        importer, imported = ignored.split(" -> ")
        graph[importer].discard(imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"these modules import each other: {' <- '.join(error.args[1])}")


def test_imports_for_type_checking_and_of_a_packages_own_modules_count():
    graph = imports()
    assert "taskhero.engine.queue.admission" in graph["taskhero.engine.queue.failed"]
    assert "taskhero.backends.records.entries" in graph["taskhero.backends.records"]
