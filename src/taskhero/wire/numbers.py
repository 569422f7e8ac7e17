"""How JavaScript and Ruby write floating-point numbers.

Python, JavaScript and Ruby find the same shortest digits; they differ in when they use an exponent and how it looks.
"""

from __future__ import annotations

__all__ = ["js_float", "ruby_float"]


def js_float(value: float) -> str:
    """Write a finite float as ``JSON.stringify`` does: ``1.0`` is ``1``, ``1e-7`` has no zero before the 7."""
    text = float.__repr__(value)
    if "e" not in text:
        if not text.endswith(".0"):
            return text
        return "0" if value == 0 else text[:-2]
    mantissa, _, power = text.partition("e")
    exponent = int(power)
    if exponent >= 21 or exponent < -6:
        return f"{mantissa}e{exponent:+d}"
    sign = "-" if value < 0 else ""
    digits = mantissa.lstrip("-").replace(".", "")
    if exponent > 0:
        return sign + digits.ljust(exponent + 1, "0")
    return f"{sign}0.{'0' * (-exponent - 1)}{digits}"


def ruby_float(value: float) -> str:
    """Write a finite float as Ruby's json library does: ``1.0``, ``1.0e+21``, ``1.0e-07``."""
    text = float.__repr__(value)
    mantissa, mark, power = text.partition("e")
    if mark:
        return text if "." in mantissa else f"{mantissa}.0e{power}"
    if abs(value) < 1e15:
        return text
    digits = text.removesuffix(".0").replace(".", "")
    head = 2 if value < 0 else 1
    return f"{digits[:head]}.{digits[head:].rstrip('0') or '0'}e+15"
