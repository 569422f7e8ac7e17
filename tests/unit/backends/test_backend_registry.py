"""From a URL to a backend."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest
from redis_view import ignores_dead_master_locks, keys_of

from taskhero.backends import registry
from taskhero.backends.memory import MemoryBackend
from taskhero.backends.protocol import Backend
from taskhero.backends.registry import known_schemes, open_backend
from taskhero.errors import UnknownBackend
from taskhero.settings import Settings

SECRET = "hunter2"


class NotesBackend(MemoryBackend):
    """A third party's driver; it notes how it was made."""

    def __init__(self, url="", namespace=""):
        super().__init__()
        self.made_with = (url, namespace)

    @classmethod
    def from_url(cls, url, *, namespace="resque"):
        return cls(url, namespace)


class HalfBackend:
    """A driver that lacks most verbs."""

    @classmethod
    def from_url(cls, url, *, namespace="resque"):
        return cls()

    async def connect(self):
        """Nothing."""

    async def close(self):
        """Nothing."""


class NoBackend:
    """An object without anything."""


class WantsAPortBackend(MemoryBackend):
    """A driver that quotes the whole URL in its error."""

    @classmethod
    def from_url(cls, url, *, namespace="resque"):
        raise ValueError(f"no port in {url}")


@pytest.fixture
def installed(monkeypatch):
    """Let these entry points be installed."""

    def install(**drivers):
        points = EntryPoints(EntryPoint(name, target, registry.GROUP) for name, target in drivers.items())
        monkeypatch.setattr(registry, "entry_points", points.select)

    return install


def here(name):
    return f"{__name__}:{name}"


def message_of(where, **options):
    with pytest.raises(UnknownBackend) as caught:
        open_backend(where, **options)
    error = caught.value
    # What a log shows includes the errors behind the error.
    assert SECRET not in f"{error} {error.__cause__} {'' if error.__suppress_context__ else error.__context__}"
    return str(error)


def test_memory_needs_nothing():
    """`memory://` makes a memory backend, each time a new one."""
    first, second = open_backend("memory://"), open_backend("memory://")
    assert type(first) is MemoryBackend
    assert first is not second
    assert isinstance(first, Backend)


def test_memory_takes_nothing_behind_its_scheme():
    """A name behind `memory://` can only be a mistake: it shares nothing."""
    assert "private to its app" in message_of("memory://jobs")


def test_schemes_are_not_case_sensitive():
    """As in any URL."""
    assert isinstance(open_backend("MEMORY://"), MemoryBackend)


@pytest.mark.parametrize(
    "url", ["redis://localhost:6379/0", "rediss://localhost", "unix:///tmp/redis.sock", "fakeredis://"]
)
def test_own_drivers_are_found_without_metadata(installed, url):
    """They are known by a table, so they work where taskhero was not installed by a package manager."""
    installed()
    assert isinstance(open_backend(url), Backend)


def test_a_backend_is_returned_as_it_is():
    """It is neither copied nor made again, and keeps its own namespace."""
    backend = NotesBackend("somewhere", "mine")
    assert open_backend(backend, settings=Settings(namespace="other")) is backend
    assert backend.made_with == ("somewhere", "mine")


def test_a_third_partys_driver_gets_url_and_namespace(installed):
    """It is found by its entry point and told the whole URL and the settings' namespace."""
    installed(notes=here("NotesBackend"))
    backend = open_backend("notes://host/path?x=1", settings=Settings(namespace="crm"))
    assert isinstance(backend, NotesBackend)
    assert backend.made_with == ("notes://host/path?x=1", "crm")


def test_a_driver_is_told_of_rubys_schedulers_if_it_can_share_a_store_with_them(installed):
    """The setting does not keep other stores from being used."""
    installed(notes=here("NotesBackend"))
    settings = Settings(resque_scheduler_prefix="shop", ignore_dead_master_lock=False)
    assert open_backend("notes://", settings=settings).made_with == ("notes://", "resque")
    assert open_backend("memory://", settings=settings)
    backend = open_backend("redis://localhost", settings=settings)
    assert keys_of(backend).ruby_master_lock == "resque:resque:shop:resque_scheduler_master_lock"
    assert not ignores_dead_master_locks(backend)
    assert ignores_dead_master_locks(open_backend("redis://localhost"))


def test_a_prefix_of_rubys_schedulers_with_a_colon_is_taken_as_ruby_takes_it():
    """Its README shows such a one, and it puts a second colon behind it."""
    backend = open_backend("redis://localhost", settings=Settings(resque_scheduler_prefix="MyApp:"))
    assert keys_of(backend).ruby_master_lock == "resque:resque:MyApp::resque_scheduler_master_lock"


def test_the_namespace_is_resque_without_settings(installed):
    """As on the wire of Resque."""
    installed(notes=here("NotesBackend"))
    assert open_backend("notes://").made_with == ("notes://", "resque")


def test_an_own_driver_cannot_be_replaced(installed):
    """A third party that calls itself `memory` is not asked."""
    installed(memory=here("NotesBackend"))
    assert type(open_backend("memory://")) is MemoryBackend


def test_two_packages_with_one_scheme_are_refused(monkeypatch):
    """Which one came first would be an accident of the installation."""
    points = EntryPoints(EntryPoint("notes", here(name), registry.GROUP) for name in ("NotesBackend", "HalfBackend"))
    monkeypatch.setattr(registry, "entry_points", points.select)
    message = message_of("notes://")
    assert "NotesBackend" in message
    assert "HalfBackend" in message


def test_an_unknown_scheme_lists_the_known_ones_and_what_to_install(installed):
    """The message names what there is, third parties' too, and the entry point that is missing."""
    installed(notes=here("NotesBackend"))
    message = message_of(f"sqlite://me:{SECRET}@host/db?token={SECRET}")
    for known in ("fakeredis", "memory", "notes", "redis", "rediss", "unix"):
        assert known in message
    assert "sqlite://" in message
    assert "nstall" in message
    assert "taskhero.backends" in message


def test_a_misspelt_scheme_gets_a_guess():
    """`reddis` is close to `redis`."""
    assert "did you mean 'redis://'?" in message_of(f"reddis://:{SECRET}@host")
    assert "did you mean 'redis://'?" in message_of("valkey://host")


@pytest.mark.parametrize("text", [f"user:{SECRET}@host", f"{SECRET}", "", f"redis:/{SECRET}", f"1redis://{SECRET}"])
def test_a_text_that_is_no_url_is_not_shown(text):
    """It may hold a password; the message shows what a URL looks like."""
    assert "redis://localhost:6379/0" in message_of(text)


def test_a_drivers_error_does_not_show_secrets(installed):
    """Whatever a driver quotes from its URL."""
    installed(port=here("WantsAPortBackend"))
    message = message_of(f"port://me:{SECRET}@host?token=x{SECRET}x")
    assert "no port in port://***@host" in message


def test_a_redis_url_that_cannot_be_read_does_not_show_secrets():
    """The standard library quotes the whole authority for some letters."""
    assert "redis://" in message_of(f"redis://me:{SECRET}@ho\u2100st:1")


def test_a_driver_that_cannot_be_imported_names_what_is_missing(installed):
    """And where its entry point leads."""
    installed(gone="taskhero_no_such_package:Backend", typo=here("Nothing"))
    assert "taskhero_no_such_package" in message_of("gone://")
    assert "Nothing" in message_of("typo://")


def test_an_own_driver_without_its_package_says_what_to_install(monkeypatch):
    """fakeredis is optional."""
    monkeypatch.setitem(sys.modules, "fakeredis", None)
    monkeypatch.delitem(sys.modules, "taskhero.backends.redis.fake", raising=False)
    assert "pip install 'taskhero[fakeredis]'" in message_of("fakeredis://")


def test_a_driver_without_from_url_is_refused(installed):
    """The message says what it lacks."""
    installed(no=here("NoBackend"))
    assert "from_url" in message_of("no://")


@pytest.mark.parametrize("where", [HalfBackend(), "half://"])
def test_half_a_backend_is_told_what_it_lacks(installed, where):
    """By instance or by URL: the missing verbs are listed, those it has are not."""
    installed(half=here("HalfBackend"))
    message = message_of(where)
    assert "HalfBackend is not a backend" in message
    for verb in ("settle_and_claim", "push", "wait", "location"):
        assert verb in message
    assert "connect" not in message


@pytest.mark.parametrize("where", [None, 5, NoBackend(), b"redis://"])
def test_what_is_no_backend_at_all_is_refused_by_type(where):
    """Not with a list of thirty missing verbs."""
    message = message_of(where)
    assert type(where).__qualname__ in message
    assert "settle_and_claim" not in message


def test_a_class_is_not_its_instance():
    """`MemoryBackend` without parentheses has all the verbs, yet is no backend."""
    assert "is a class" in message_of(MemoryBackend)


def test_known_schemes_are_sorted_and_import_nothing(installed):
    """A broken driver is listed, too."""
    installed(zebra="taskhero_no_such_package:Backend")
    schemes = known_schemes()
    assert list(schemes) == sorted(schemes)
    assert {"memory", "redis", "zebra"} <= set(schemes)


@pytest.mark.parametrize(
    "program",
    ["import taskhero", "from taskhero.backends.registry import open_backend; open_backend('memory://')"],
)
def test_neither_redis_nor_fakeredis_is_imported(program):
    """Who works in memory pays for nothing else."""
    check = "import sys; print([name for name in ('redis', 'fakeredis', 'lupa', 'pytest') if name in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", f"{program}; {check}"], capture_output=True, text=True, check=True, timeout=30
    )
    assert ran.stdout.strip() == "[]"
