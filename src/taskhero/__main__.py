"""The program `taskhero`, also as `python -m taskhero`."""

from __future__ import annotations

import importlib.util
import sys

#: What the command line needs beyond the library, as in the extra `cli`: packages by module.
NEEDED = {"click": "click", "rich": "rich", "typed_settings": "typed-settings"}


def main() -> None:
    """Run the command line, or say in one line what it lacks."""
    missing = [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        sys.exit(f"taskhero: the command line needs {' and '.join(missing)}: pip install 'taskhero[cli]'")
    from taskhero.cli.main import taskhero

    taskhero(prog_name="taskhero")


if __name__ == "__main__":
    main()
