"""The files in examples/deployment/ start worker processes with words and settings that exist."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from taskhero import Settings
from taskhero.cli.commands.work import work

FOLDER = Path(__file__).parents[3] / "examples" / "deployment"


def commands(name: str) -> list[list[str]]:
    """What follows ``taskhero work`` in a file, as words."""
    text = (FOLDER / name).read_text("utf-8")
    if name == "Dockerfile":
        found = [json.loads(line) for line in re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)]
    else:
        found = [shlex.split(line) for line in re.findall(r"\S*taskhero work .*", text)]
    return [words[2:] for words in found if words[1] == "work"]


@pytest.mark.parametrize(("name", "count"), [("taskhero.service", 1), ("Procfile", 2), ("Dockerfile", 1)])
def test_each_command_is_one_that_the_command_line_takes(name, count):
    found = commands(name)
    assert len(found) == count
    for words in found:
        context = work.make_context("work", words)
        assert context.params["app"] == "shop:app"


def test_the_units_environment_is_settings_and_its_patience_is_longer_than_grace(monkeypatch, tmp_path):
    text = (FOLDER / "taskhero.service").read_text("utf-8")
    for assignment in re.findall(r"TASKHERO_\w+=\S+", text):
        monkeypatch.setenv(*assignment.split("=", 1))
    monkeypatch.chdir(tmp_path)
    settings = Settings.load()
    assert settings.queues == ("urgent", "*")
    assert settings.max_task_processors == 20
    (patience,) = re.findall(r"TimeoutStopSec=(\d+)", text)
    assert int(patience) >= settings.grace + 10
