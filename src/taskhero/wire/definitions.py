"""Periodic tasks as they lie in the store, for any process to keep them going."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskhero.errors import Undecodable
from taskhero.wire.jsjson import decode, encode_any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["decode_definition", "encode_definition"]

#: What a definition must have, and of which type; what else it has may come with newer versions.
_FIELDS = {"name": str, "queue": str, "raw": str, "forms": list, "guards": list, "holds": list}


def encode_definition(fields: Mapping[str, Any]) -> str:
    """Write a definition: JSON, so that programs in other languages can read which tasks are periodic."""
    return encode_any(dict(fields))


def decode_definition(text: str) -> dict[str, Any] | None:
    """Read a definition; None if it is none that this version understands."""
    try:
        fields = decode(text)
    except Undecodable:
        return None
    if not isinstance(fields, dict) or not all(isinstance(fields.get(name), kind) for name, kind in _FIELDS.items()):
        return None
    return fields
