"""The way of a newcomer: from an empty folder to a worker on Redis, by what README.md says and nothing else."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from docs_pages import ROOT, Shell, console_steps, open_shell, section

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

HEADING = "## A worker on Redis, from an empty folder"
README_REDIS = "redis://localhost:6379/0"
#: Variables of this machine that lead a new environment to where packages are.
KEPT = ("PATH", "HOME", "LANG", "CI", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTPS_PROXY", "https_proxy")


def way() -> tuple[list[tuple[str, list[str]]], str]:
    """What that section of the README says: each command with the lines that it shows, and the program."""
    text = section("README.md", HEADING)
    (program,) = re.findall(r"^```python fragment\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert "`shop.py`" in text
    return console_steps(text), program


@pytest.fixture
async def shell(tmp_path: Path) -> Any:
    """A shell in an empty folder beside a clone, that knows nothing of the environment of these tests."""
    (tmp_path / "taskhero").symlink_to(ROOT)
    folder = tmp_path / "shop"
    folder.mkdir()
    kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("PIP_")}
    async with open_shell(folder, {**kept, "PYTHONUNBUFFERED": "1"}) as shell:
        yield shell


async def test_a_newcomer_comes_to_a_worker_on_redis_with_the_readme_alone(
    shell: Shell, start_server: Any, tmp_path: Path
) -> None:
    """Declare, enqueue, look, work, stop: each command ends with 0 and shows what the README says it shows."""
    steps, program = way()
    assert README_REDIS in program
    (tmp_path / "shop" / "shop.py").write_text(program.replace(README_REDIS, start_server("redis7").url))
    for command, lines in steps:
        shell.type(f"{command}; echo ended with $?")
        for line in lines:
            await shell.shows(re.escape(line))
        if command == "taskhero work":
            shell.interrupt()
        ended = await shell.shows("^ended with")
        if command.startswith("pip") and ended != "ended with 0" and not os.environ.get("CI"):
            pytest.skip("this machine cannot install packages: " + " ".join(shell.shown[-3:]))
        assert ended == "ended with 0", "\n".join(shell.shown)
    assert [command.split()[0] for command, _ in steps].count("taskhero") >= 4, "it leads as far as it says"
