"""The command `taskhero` as a whole: its help, its version, and what it says to what it does not know."""

from __future__ import annotations

from click.testing import CliRunner

import taskhero
from taskhero.cli.main import taskhero as command


def test_help_lists_every_verb_with_a_line() -> None:
    """Whoever types `taskhero -h` sees what there is."""
    told = CliRunner().invoke(command, ["-h"])
    assert told.exit_code == 0
    assert "demo  Show a few seconds of jobs" in told.output


def test_version_is_that_of_the_package() -> None:
    """One source for the version."""
    assert CliRunner().invoke(command, ["--version"]).output == f"taskhero, version {taskhero.__version__}\n"


def test_an_unknown_verb_is_refused_with_exit_code_2() -> None:
    """Scripts can trust the exit code, and nobody sees a traceback."""
    told = CliRunner().invoke(command, ["dmeo"])
    assert told.exit_code == 2
    assert "No such command 'dmeo'" in told.output
