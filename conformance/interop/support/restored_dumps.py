"""The dumps as tests take them, and apps that work what they hold."""

from __future__ import annotations

import pytest
import raw_state
from harm_rules import harms
from raw_state import exact
from redis_dumps import found, load
from state_watcher import look

from taskhero import current

__all__ = ["MUCH_LATER", "SOON", "all_dumps", "dumps_in_which", "dumps_with", "harmless", "works"]

#: All is due by the first that anybody delayed to soon after its dump; by the second, what was to wait for ever, too.
SOON, MUCH_LATER = 3_000_000_000, 5_000_000_000
DUMPS = found()
_ARGUMENTS = "arguments that are not an array are read as something else by each language"


def named(path):
    """A dump's name in the names of tests."""
    return f"{path.parent.name}/{path.stem}"


all_dumps = pytest.mark.parametrize("path", DUMPS, ids=map(named, DUMPS))


def dumps_in_which(condition):
    """The dumps of which a condition holds, given what lies there."""
    chosen = [path for path in DUMPS if condition(as_it_lies(load(path)))]
    return pytest.mark.parametrize("path", chosen, ids=map(named, chosen))


def dumps_with(*beginnings):
    """The dumps in which a key's name begins so."""
    return dumps_in_which(lambda dump: any(key.startswith(beginnings) for key in dump))


def as_it_lies(snapshot):
    """What `watching.look` would show of a dump."""
    return {
        key.name.removeprefix("resque:"): (key.type, key.ttl, tuple(_flat(key))) for key in snapshot.keys if key.ttl
    }


def _flat(key):
    if key.type == "string":
        return [key.value]
    if key.type == "hash":
        return [part for item in key.value.items() for part in item]
    return [part for pair in key.value for part in pair] if key.type == "zset" else key.value


def works(stage, before, **more):
    """An app with a task for every job that lies anywhere, which notes what it is given, by queue."""
    app = stage.app(**{"processors": 1, **more})
    worked = {}

    def note(name):
        @app.task(name=name, queue="default", wire="list")
        async def work(*args):
            worked.setdefault(current().job.queue, []).append((name, exact(list(args))))
            stage.look()

    for name in raw_state.names(before):
        note(name)
    return app, worked


def harmless(before, place):
    """That taskhero added nothing that hurts others.

    A retried failure keeps the arguments of its writer, also those that are no array.
    """
    added = set(harms(look(place.url))) - set(harms(before))
    args = {_args(told) for source in raw_state.failed_lists(before) for told in raw_state.elements(before, source)}
    assert {harm for harm in added if harm.rule != _ARGUMENTS or _args(harm.what) not in args} == set()


def _args(text):
    """The arguments in a job or a failure, as a text; None if they are an array, or there is no job."""
    try:
        told = raw_state.decoded(text)
    except ValueError:
        return None
    job = told.get("payload", told) if isinstance(told, dict) else None
    found = job.get("args") if isinstance(job, dict) else []
    return None if isinstance(found, list) else exact(found)
