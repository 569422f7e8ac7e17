"""Parts of one's own: a queue, a scheduler, a multi-worker. An argument beats a hook, a hook beats the default."""

from __future__ import annotations

from typing import Any

import pytest

from taskhero import MultiWorker, Queue, Scheduler, Settings, TaskHero, hookimpl
from taskhero.errors import AmbiguousOverride, PluginError

pytestmark = pytest.mark.anyio

SETTINGS = Settings(max_task_processors=1, scheduler=True)
PARTS = {"queue": Queue, "scheduler": Scheduler, "multi_worker": MultiWorker}
part = pytest.mark.parametrize("part", PARTS)


def mine(part: str, name: str = "Mine") -> Any:
    """A class derived from the part's."""
    return type(name, (PARTS[part],), {})


def plugin(part: str, make: Any, name: str = "Plugin") -> Any:
    """A plugin that answers the part's hook; `make` is given the context."""

    def hook(self: Any, ctx: Any) -> Any:
        return make(ctx)

    hook.__name__ = f"taskhero_make_{part}"
    return type(name, (), {hook.__name__: hookimpl(hook)})()


async def made(part: str, **given: Any) -> str:
    """The class of the part that an app runs with."""
    async with TaskHero(settings=SETTINGS, **given).running() as app:
        return type(getattr(app, part)).__name__


@part
async def test_the_default_part_is_used_where_nobody_says_otherwise(part):
    """Also where a hook has no opinion."""
    assert await made(part) == PARTS[part].__name__
    assert await made(part, plugins=(plugin(part, lambda ctx: None),)) == PARTS[part].__name__


async def test_taskhero_make_queue_beats_the_default():
    assert await made("queue", plugins=(plugin("queue", mine("queue")),)) == "Mine"


async def test_taskhero_make_scheduler_beats_the_default():
    assert await made("scheduler", plugins=(plugin("scheduler", mine("scheduler")),)) == "Mine"


async def test_taskhero_make_multi_worker_beats_the_default():
    assert await made("multi_worker", plugins=(plugin("multi_worker", mine("multi_worker")),)) == "Mine"


@part
async def test_an_argument_beats_a_hook(part):
    """Hooks are not even asked, so two of them do no harm."""

    def no(ctx):
        raise AssertionError

    plugins = (plugin(part, no), plugin(part, no))
    assert await made(part, plugins=plugins, **{part: mine(part, "Argument")}) == "Argument"


@part
async def test_two_hooks_that_both_answer_are_refused_by_both_names(part):
    """Before anything is claimed; what was started is stopped again."""
    app = TaskHero(settings=SETTINGS, plugins=(plugin(part, mine(part), "One"), plugin(part, mine(part), "Other")))
    with pytest.raises(AmbiguousOverride, match=rf"One and Other each answer taskhero_make_{part}: remove one of them"):
        await app.start()
    assert app.multi_worker is None
    assert app.scheduler is None


@part
async def test_a_hook_gets_the_context_that_the_part_takes(part):
    """With the app's backend and settings in it."""
    seen = []
    await made(part, plugins=(plugin(part, seen.append),))
    context = seen[0]
    assert type(context).__name__ == {"queue": "Queue", "scheduler": "Scheduler"}.get(part, "MultiWorker") + "Context"
    assert context.settings == SETTINGS
    assert context.backend.location == "memory://"
    assert type(PARTS[part](context)) is PARTS[part]


@part
@pytest.mark.parametrize("by", ["argument", "hook"])
async def test_what_is_no_such_part_is_refused(part, by):
    """With the class to derive from."""
    given = {part: lambda ctx: "text"} if by == "argument" else {"plugins": (plugin(part, lambda ctx: "text"),)}
    with pytest.raises(PluginError, match=rf"'text': .* a class derived from taskhero.{PARTS[part].__name__}"):
        await made(part, **given)
