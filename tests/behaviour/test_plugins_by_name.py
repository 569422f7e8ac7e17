"""Plugins given by name: made once, with their own options, wherever they come from."""

from __future__ import annotations

import attrs
import pytest

from taskhero import hookimpl
from taskhero.plugins import JobLock

pytestmark = pytest.mark.anyio


async def test_a_third_partys_plugin_is_made_once_and_gets_its_own_options(harness):
    """node-resque creates the plugin for each hook, knows only its own names, and gives a subclass no options."""
    made = []

    @attrs.frozen(eq=False)
    class PerUser(JobLock):
        prefix: str = "none"

        def __attrs_post_init__(self):
            made.append(self.prefix)

        @hookimpl
        def taskhero_needs(self, job):
            return [attrs.evolve(need, key=f"{self.prefix}:{job.args[0]}") for need in super().taskhero_needs(job)]

    class Names:
        @hookimpl
        def taskhero_register_plugins(self, registry):
            registry.add("per-user", PerUser)

    app = harness.app(processors=1, plugins=(Names(),))
    seen = []

    @app.task(plugins=("per-user",), plugin_options={"per-user": {"prefix": "workerslock:user", "requeue": False}})
    async def sync(user, what):
        seen.extend(await app.queue.locks())

    async with app.running():
        for times in (1, 2, 3):
            await sync.enqueue(7, times)
            await harness.happened("success", times)
    assert made == ["workerslock:user"]
    assert seen == ["workerslock:user:7"] * 3
