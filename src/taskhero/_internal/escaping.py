"""Escape text of other programs for a terminal or a line of a log."""

from __future__ import annotations

import unicodedata

__all__ = ["escape", "indent"]

#: Controls, format characters such as bidirectional overrides, lone surrogates, line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def escape(text: str, *, keep: str = "", encoding: str | None = None) -> str:
    r"""Return the text with its unsafe characters as Python writes them, such as ``\x1b`` and ``\u202e``.

    Args:
        text: Any text.
        keep: Unsafe characters that stay as they are, such as a line feed.
        encoding: Escape the characters that this encoding lacks, too.
    """
    if not text.isprintable():
        text = "".join(char if char in keep or _is_safe(char) else repr(char)[1:-1] for char in text)
    if encoding is None or text.isascii():
        return text
    try:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:  # the stream has an encoding that Python does not know
        return text.encode("ascii", "backslashreplace").decode("ascii")


def indent(text: str) -> str:
    """Return the text with each further line indented, so that none can imitate a line of a log."""
    return text.replace("\n", "\n    ")


def _is_safe(char: str) -> bool:
    return unicodedata.category(char) not in _UNSAFE
