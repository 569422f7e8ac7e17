"""The periodic task of these tests."""

import pytest
from periodic_ticks import Ticks


@pytest.fixture
def ticks(harness):
    """Return the periodic task "tick", which is not declared yet."""
    return Ticks(harness)
