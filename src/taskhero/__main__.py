"""The program `taskhero`, also as `python -m taskhero`."""

from __future__ import annotations

import importlib.util
import sys

#: The packages of the extra `cli`, by module.
NEEDED = {"click": "click", "rich": "rich", "typed_settings": "typed-settings"}


def main() -> None:
    """Run the command line, or exit with a message that names the missing packages."""
    missing = [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        sys.exit(f"taskhero: the command line needs {' and '.join(missing)}: pip install 'taskhero[cli]'")
    from taskhero.cli.main import taskhero

    taskhero(prog_name="taskhero")


if __name__ == "__main__":
    main()
