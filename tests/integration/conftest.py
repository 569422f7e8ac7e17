"""Fixtures of the tests that type commands."""

from __future__ import annotations

from shell_fixtures import asked, shop

__all__ = ["asked", "shop"]
