"""The tree of errors in the docstring of `taskhero.errors` is the tree of its classes."""

from __future__ import annotations

import re

from taskhero import errors

LINE = re.compile(r"^(?P<indent>[│ ├└─]*)(?P<name>\w+)(?: \((?P<builtins>[\w, ]+)\))?$")


def drawn() -> dict[str, tuple[str | None, list[str]]]:
    """For each class in the docstring: its parent there, and the built-in classes it is as well."""
    _, _, tree = (errors.__doc__ or "").partition("\n\n")
    found: dict[str, tuple[str | None, list[str]]] = {}
    parents: list[str] = []
    for line in tree.strip().splitlines():
        match = LINE.match(line)
        assert match, f"cannot read this line of the tree: {line!r}"
        depth = len(match["indent"]) // 4
        parents[depth:] = [match["name"]]
        builtins = match["builtins"].split(", ") if match["builtins"] else []
        found[match["name"]] = (parents[depth - 1] if depth else None, builtins)
    return found


def written() -> dict[str, tuple[str | None, list[str]]]:
    """The same from the classes themselves."""
    found: dict[str, tuple[str | None, list[str]]] = {}
    classes = [errors.TaskheroError]
    while classes:
        one = classes.pop()
        ours = [base.__name__ for base in one.__bases__ if issubclass(base, errors.TaskheroError)]
        others = [base.__name__ for base in one.__bases__ if not issubclass(base, errors.TaskheroError)]
        found[one.__name__] = (ours[0], others) if ours else (None, [])
        classes += [child for child in one.__subclasses__() if child.__module__ == errors.__name__]
    return found


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    """Names, parents and built-in second parents agree."""
    assert drawn() == written()


def test_every_error_is_public_and_says_when_it_is_raised() -> None:
    """Whoever catches one can import it and read what it means."""
    assert sorted(written()) == sorted(errors.__all__)
    for name in errors.__all__:
        assert getattr(errors, name).__doc__.strip().endswith("."), name
