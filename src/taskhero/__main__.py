"""The program `taskhero`, also as `python -m taskhero`."""

from __future__ import annotations

import importlib.util
import sys

#: The packages of the extra `cli`.
NEEDED = ("click", "rich")


def main() -> None:
    """Run the command line, or exit with a message that names the missing packages."""
    from taskhero.cli.streams import end_without_output, prepare_streams

    prepare_streams()
    missing = [package for package in NEEDED if importlib.util.find_spec(package) is None]
    if missing:
        sys.exit(f"taskhero: the command line needs {' and '.join(missing)}: pip install 'taskhero[cli]'")
    from taskhero.cli.main import taskhero

    try:
        taskhero(prog_name="taskhero")
    except OSError as error:
        end_without_output(error)


if __name__ == "__main__":
    main()
