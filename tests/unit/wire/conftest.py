"""A real JavaScript to compare with."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PROGRAM = """
const lines = require("readline").createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const text = JSON.stringify(JSON.parse(JSON.parse(line)));
  process.stdout.write(Buffer.from(text).toString("base64") + "\\n");
});
"""


@pytest.fixture(scope="session")
def stringify() -> Iterator[Callable[[str], str]]:
    """``JSON.stringify(JSON.parse(text))``, by one node process for all tests."""
    node = shutil.which("node")
    if node is None:
        message = "node is not installed, so JSON is not compared with JavaScript's"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    process = subprocess.Popen([node, "-e", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None

    def ask(text: str) -> str:
        process.stdin.write(json.dumps(text).encode() + b"\n")
        process.stdin.flush()
        return base64.b64decode(process.stdout.readline()).decode()

    yield ask
    process.stdin.close()
    process.wait(timeout=10)
    process.stdout.close()
