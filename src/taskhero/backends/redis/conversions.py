"""Convert payloads, numbers and delays between Python and Redis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskhero.wire.workers import HeldJob

__all__ = ["claim_order", "milliseconds", "problem_in", "to_bytes", "to_number", "to_text", "token_order"]


def to_bytes(text: str) -> bytes:
    """Return the exact bytes of a payload."""
    return text.encode("utf-8", "surrogateescape")


def to_text(raw: bytes) -> str:
    """Return any bytes as text, so that `to_bytes` restores them exactly."""
    return raw.decode("utf-8", "surrogateescape")


def to_number(value: bytes | None) -> int | None:
    """Return the whole number in *value*, or None if there is none."""
    try:
        return int(value) if value is not None else None
    except ValueError:
        return None


def problem_in(reply: bytes) -> str | None:
    """Return the message of a script's reply ``error <message>``, or None for all other replies."""
    return reply[6:].decode("utf-8", "replace") if reply.startswith(b"error ") else None


def milliseconds(delay: float) -> int:
    """Return a delay of *delay* seconds in whole milliseconds, rounded up. Float errors below 1 ns do not count."""
    return math.ceil(delay * 1000 - 1e-6)


def token_order(token: str) -> tuple[int, int]:
    """Return a sort key that orders the tokens of one process by the time of their claims."""
    batch, _, number = token.partition(".")
    return (int(batch), int(number or 0)) if batch.isdigit() and (number or "0").isdigit() else (0, 0)


def claim_order(held: HeldJob | None) -> tuple[int, int]:
    """Return a sort key that orders the claims of one process by their time. No claim comes first."""
    return token_order(held.token) if held else (-1, 0)
