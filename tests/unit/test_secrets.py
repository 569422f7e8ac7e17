"""A password in a URL is shown nowhere: in no error, no log line and no repr."""

from __future__ import annotations

import logging
import traceback

import pytest

from taskhero import Settings, TaskHero
from taskhero._internal.display import location_of
from taskhero.backends.registry import open_backend

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t"
#: URLs that hold it, each wrong or of a server that is not there.
URLS = [
    "redis://:s3cr3t@127.0.0.1:1/0",
    "redis://ann:s3cr3t@127.0.0.1:1",
    "redis://127.0.0.1:1/0?password=s3cr3t",
    "redis://127.0.0.1:1/0?password=x@s3cr3t",
    "redis://:s3cr3t/s3cr3t@127.0.0.1:1/0",
    "redis://:s3cr3t?s3cr3t@127.0.0.1:1/0",
    "redis://:12s3cr3t/x@127.0.0.1:1/0",
    "redis://:s3cr3t@127.0.0.1:port/0",
    "redis://:s3cr3t@127.0.0.1:1/0?socket_timeout=s3cr3t",
    "redis://:s3cr3t@127.0.0.1:1/0?nonsense=s3cr3t",
    "redis://:s3cr3t[@127.0.0.1:1/0",
    "rediss://:s3cr3t@127.0.0.1:1/0",
    "unix://ann:s3cr3t@/nowhere/redis.sock",
    "unix:///nowhere/redis.sock?password=s3cr3t",
    "rdis://:s3cr3t@127.0.0.1:1/0",
    "redis:/:s3cr3t@127.0.0.1:1/0",
    "rediss://127.0.0.1:1/0?ssl_password=s3cr3t",
]


@pytest.mark.parametrize("url", URLS)
async def test_no_error_log_line_or_repr_shows_it(url: str, caplog: pytest.LogCaptureFixture):
    """Neither the message nor the whole traceback with its causes."""
    caplog.set_level(logging.DEBUG)
    shown = []
    app = None
    try:
        app = TaskHero(url, settings=Settings(max_task_processors=1))
        async with app.running():
            pass
    except Exception as error:
        shown += [str(error), repr(error), *traceback.format_exception(error)]
        # Those who report errors elsewhere follow these even where Python shows them no more.
        shown += [repr(each) for each in (error.__cause__, error.__context__)]
    assert shown, "this URL was to be of no use"
    if app is not None:
        shown += [repr(app), repr(app.backend), app.backend.location, repr(app.queue.context)]
    assert SECRET not in "\n".join([*shown, caplog.text, *(repr(vars(record)) for record in caplog.records)])


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://ann:pw@localhost:6379/0?x=1", "redis://localhost:6379/0"),
        ("unix://:pw@/run/redis.sock?db=1", "unix:///run/redis.sock?db=1"),
        ("redis://:pw@localhost?password=pw&db=3", "redis://localhost?db=3"),
        ("redis://localhost?db=pw", "redis://localhost"),
        ("redis+sentinel://:pw@a:1,b:2/main/0", "redis+sentinel://a:1,b:2/main/0"),
        ("redis://:p/w@localhost/0", "redis://***"),
        ("redis://localhost/0?password=p@w", "redis://***"),
    ],
)
def test_what_is_shown_of_a_url(url: str, location: str):
    assert location_of(url) == location


def test_a_wrong_setting_beside_a_url_does_not_show_the_url(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TASKHERO_BACKEND", URLS[0])
    monkeypatch.setenv("TASKHERO_BACKENDS", URLS[0])
    with pytest.raises(ValueError, match="TASKHERO_BACKENDS") as refused:
        Settings.load()
    assert SECRET not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("url", [URLS[0], "fakeredis://ann:s3cr3t@name"])
def test_the_repr_of_what_is_not_connected_has_none_either(url: str):
    backend = open_backend(url)
    assert SECRET not in f"{backend!r} {backend.location}"
