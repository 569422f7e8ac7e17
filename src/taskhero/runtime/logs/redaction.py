"""Mask values that log records must not show."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["FILTERED", "Redaction"]

#: The text that replaces a value.
FILTERED: Final = "[FILTERED]"


class Redaction:
    """Masks the values of some names in JSON values, at any depth.

    Args:
        names: The names as in `Settings.filtered_params`. A dot separates the keys of nested objects, as in
            ``"card.number"``.
    """

    __slots__ = ("_ends",)

    def __init__(self, names: tuple[str, ...]) -> None:
        self._ends = [tuple(name.split(".")) for name in names]

    def __bool__(self) -> bool:
        return bool(self._ends)

    def masked(self, value: Any, path: tuple[str, ...] = ()) -> Any:
        """Return the value, or a copy of it with the filtered values masked."""
        if not self._ends:
            return value
        if isinstance(value, dict):
            return {key: self._item(item, (*path, str(key))) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.masked(item, path) for item in value]
        return value

    def masked_result(self, value: Any) -> Any:
        """Return a task's result as `masked` does, or `FILTERED` if its parts cannot be read (recursive list)."""
        try:
            return self.masked(value)
        except Exception:  # noqa: BLE001 - a task may return any object
            return FILTERED

    def masked_args(self, args: list[Any], names: Sequence[str]) -> list[Any]:
        """Return a job's args with the filtered values masked; *names* are the parameters of the first args."""
        if not self._ends:
            return args
        return [self._item(arg, (names[at],)) if at < len(names) else self.masked(arg) for at, arg in enumerate(args)]

    def secrets_of_args(self, args: list[Any], names: Sequence[str]) -> Iterator[str]:
        """Yield the filtered values of a job's args, as `secrets` does."""
        named = dict(zip(names, args, strict=False))
        yield from self.secrets(named)
        yield from self.secrets(args[len(named) :])

    def _item(self, value: Any, path: tuple[str, ...]) -> Any:
        return FILTERED if self._is_filtered(path) else self.masked(value, path)

    def _is_filtered(self, path: tuple[str, ...]) -> bool:
        return any(path[-len(end) :] == end for end in self._ends)

    def secrets(self, value: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
        """Yield the filtered values within a value, in the forms in which a text may quote them."""
        if isinstance(value, dict):
            for key, item in value.items():
                here = (*path, str(key))
                if self._is_filtered(here):
                    yield from _quotes(item)
                else:
                    yield from self.secrets(item, here)
        elif isinstance(value, (list, tuple)):
            for item in value:
                yield from self.secrets(item, path)

    def masked_text(self, text: str, secrets: list[str]) -> str:
        """Return a text with these values masked."""
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, FILTERED)
        return text

    def may_show(self, error: BaseException, secrets: list[str]) -> bool:
        """Return whether the traceback of an error quotes none of these values."""
        if not secrets:
            return True
        try:
            lines = "".join(traceback.format_exception(error))
        except BaseException:  # noqa: BLE001 - methods of its class may raise anything
            return False
        return not any(secret in lines for secret in secrets)


def _quotes(value: Any) -> Iterator[str]:
    """Yield the forms in which an error quotes a value and its items; texts under 3 characters match too much."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _quotes(item)
    elif isinstance(value, list):
        for item in value:
            yield from _quotes(item)
    elif not isinstance(value, bool) and value is not None and len(str(value)) > 2:
        yield str(value)
        yield repr(value).strip("'\"")
