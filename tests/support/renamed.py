"""Packages of a future version, in which a name is another one."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType

__all__ = ["copy_without", "names_read"]


def names_read(module: ModuleType, *functions: str) -> list[str]:
    """The names of attributes that a module reads with these functions, such as `getattr`, sorted."""
    calls = [
        node for node in ast.walk(ast.parse(Path(module.__file__).read_text("utf-8"))) if isinstance(node, ast.Call)
    ]
    named = [call.args[1] for call in calls if isinstance(call.func, ast.Name) and call.func.id in functions]
    return sorted({name.value for name in named if isinstance(name, ast.Constant)})


def copy_without(name: str, folder: Path, *packages: str) -> None:
    """Copy packages to a folder, with another name in the place of this one. Put the folder in front of the path."""
    for package in packages:
        source = Path(importlib.util.find_spec(package).origin).parent
        shutil.copytree(source, folder / package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        for module in (folder / package).rglob("*.py"):
            module.write_text(re.sub(rf"\b{name}\b", f"{name}_renamed", module.read_text("utf-8")), "utf-8")
