"""Settings from outside: every key from both sources, which one beats which, and errors that name the source."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from taskhero import Settings
from taskhero.errors import InvalidSettings

#: For each key: the text of its variable, its value in TOML, and what both mean.
EVERY_KEY = {
    "scheduler": ("true", "true", True),
    "queues": ("high, low", '["high", "low"]', ("high", "low")),
    "min_task_processors": ("2", "2", 2),
    "max_task_processors": ("20", "20", 20),
    "check_interval": ("1.5", "1.5", 1.5),
    "max_event_loop_delay": ("0.1", "0.1", 0.1),
    "timeout": ("10", "10", 10.0),
    "worker_logging": ('{"poll": "info"}', '{poll = "info"}', {"poll": "info"}),
    "scheduler_logging": ('{"leader": "off"}', '{leader = "off"}', {"leader": "off"}),
    "stuck_worker_timeout": ("60", "60", 60.0),
    "retry_stuck_jobs": ("yes", "true", True),
    "heartbeat_interval": ("2", "2", 2.0),
    "rescue_after": ("30", "30", 30.0),
    "rescue_limit": ("5", "5", 5),
    "leader_lock_timeout": ("20", "20", 20.0),
    "grace": ("0", "0", 0.0),
    "filtered_params": ("password, card.number", '["password", "card.number"]', ("password", "card.number")),
    "namespace": ("shop", '"shop"', "shop"),
    "resque_scheduler_prefix": ("shop", '"shop"', "shop"),
    "ignore_dead_master_lock": ("false", "false", False),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    (tmp_path / ".git").mkdir()  # nothing above it is looked at
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.taskhero]\n{text}\n")


def test_this_table_has_every_key():
    assert list(EVERY_KEY) == [field.name for field in attrs.fields(Settings)]


def test_where_nothing_is_given_all_are_defaults(folder: Path):
    assert Settings.load() == Settings()
    (folder / "pyproject.toml").write_text("[project]\nname = 'shop'\n")
    assert Settings.load() == Settings()


@pytest.mark.parametrize("key", EVERY_KEY)
def test_every_key_can_come_from_a_variable(key: str, monkeypatch: pytest.MonkeyPatch):
    company = {"max_task_processors": 20} if key == "min_task_processors" else {}
    monkeypatch.setenv(f"TASKHERO_{key.upper()}", EVERY_KEY[key][0])
    assert Settings.load(Settings(**company)) == Settings(**{key: EVERY_KEY[key][2]}, **company)


@pytest.mark.parametrize("key", EVERY_KEY)
def test_every_key_can_come_from_the_file(key: str, folder: Path):
    company = {"max_task_processors": 20} if key == "min_task_processors" else {}
    write(folder, f"{key} = {EVERY_KEY[key][1]}")
    assert Settings.load(Settings(**company)) == Settings(**{key: EVERY_KEY[key][2]}, **company)


def test_the_environment_beats_the_file_and_the_file_beats_what_is_given(folder: Path, monkeypatch: pytest.MonkeyPatch):
    write(folder, "timeout = 2\ngrace = 3")
    monkeypatch.setenv("TASKHERO_TIMEOUT", "1")
    loaded = Settings.load(Settings(timeout=100, grace=100, rescue_limit=7))
    assert loaded == Settings(timeout=1, grace=3, rescue_limit=7)


def test_the_file_is_found_above_the_working_directory(folder: Path, monkeypatch: pytest.MonkeyPatch):
    write(folder, 'check-interval = 7\nqueues = "mail, *"\n[tool.taskhero.worker_logging]\nsuccess = "debug"')
    (folder / "src" / "shop").mkdir(parents=True)
    monkeypatch.chdir(folder / "src" / "shop")
    loaded = Settings.load()
    assert (loaded.check_interval, loaded.queues) == (7.0, ("mail", "*"))
    assert loaded.worker_logging["success"] == "debug"


def test_without_load_nothing_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch):
    write(folder, "timeout = 2")
    monkeypatch.setenv("TASKHERO_GRACE", "1")
    assert (Settings().timeout, Settings().grace) == (5.0, 25.0)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("TIMEOUT", "9000", "TASKHERO_TIMEOUT='9000': timeout=9000 is beyond its maximum of 300 seconds"),
        ("TIMEOUT", "soon", "TASKHERO_TIMEOUT='soon': timeout='soon' is not a duration"),
        ("TIMEOUT", "", "TASKHERO_TIMEOUT='': timeout='' is not a duration"),
        ("RESCUE_LIMIT", "1.5", "TASKHERO_RESCUE_LIMIT='1.5': rescue_limit='1.5' is not a whole number"),
        ("SCHEDULER", "perhaps", "TASKHERO_SCHEDULER='perhaps': pass true or false"),
        ("QUEUES", "a,a", "TASKHERO_QUEUES='a,a': queues names 'a' twice"),
        ("QUEUES", "", "TASKHERO_QUEUES='': queues is empty"),
        ("WORKER_LOGGING", "debug", "TASKHERO_WORKER_LOGGING='debug': this is not a JSON object"),
        ("WORKER_LOGGING", '{"pol": "info"}', "worker_logging has no event 'pol'; did you mean 'poll'?"),
        ("TIMOUT", "5", "TASKHERO_TIMOUT: there is no such setting; did you mean 'TASKHERO_TIMEOUT'?"),
        ("MIN_TASK_PROCESSORS", "3", "TASKHERO_MIN_TASK_PROCESSORS='3': min_task_processors=3 is above max_task"),
    ],
)
def test_a_wrong_variable_is_named_with_its_value(name: str, text: str, message: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(f"TASKHERO_{name}", text)
    with pytest.raises(InvalidSettings) as refused:
        Settings.load()
    assert f"environment variable {message}" in str(refused.value) or message in str(refused.value)
    assert f"environment variable TASKHERO_{name}" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("timeout = 9000", "[tool.taskhero] timeout = 9000: timeout=9000 is beyond its maximum of 300 seconds"),
        ("timeout = '5'", "[tool.taskhero] timeout = '5': timeout='5' is not a duration"),
        ("scheduler = 1", "[tool.taskhero] scheduler = 1: scheduler=1 is neither True nor False"),
        ("queues = 3", "[tool.taskhero] queues = 3: queues=3 is not a list of queues"),
        ("filtered_params = 3", "[tool.taskhero] filtered_params = 3: filtered_params=3 is not a list of names"),
        ("checkTimout = 3", "[tool.taskhero] checkTimout = 3: there is no such setting"),
        ("time_out = 3", "[tool.taskhero] time_out = 3: there is no such setting; did you mean 'timeout'?"),
        ("timeout = ", "cannot be read"),
    ],
)
def test_a_wrong_key_of_the_file_is_named_with_file_and_value(text: str, message: str, folder: Path):
    write(folder, text)
    with pytest.raises(InvalidSettings) as refused:
        Settings.load()
    assert str(refused.value).startswith(str(folder / "pyproject.toml"))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[tool]\ntaskhero = 3\n", "[tool.taskhero] is 3, not a table"),
        (b"[[tool.taskhero]]\ngrace = 3\n", "[tool.taskhero] is [{'grace': 3}], not a table"),
        (b"tool = 3\n", "cannot be read"),
        (b"[tool.taskhero]\nnamespace = '\xff'\n", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(text: bytes, message: str, folder: Path):
    (folder / "pyproject.toml").write_bytes(text)
    with pytest.raises(InvalidSettings) as refused:
        Settings.load()
    assert str(refused.value).startswith(str(folder / "pyproject.toml"))
    assert message in str(refused.value)


def test_a_folder_with_the_name_of_the_file_is_none(folder: Path):
    (folder / "pyproject.toml").mkdir()
    assert Settings.load() == Settings()


@pytest.mark.parametrize("key", ["backend", "url", "redis-url"])
def test_a_url_in_the_file_is_refused_without_its_password(key: str, folder: Path):
    """Where the jobs lie is no setting, but somebody will look for it there."""
    write(folder, f"{key} = 'redis://:s3cr3t@localhost/0'")
    with pytest.raises(InvalidSettings, match=rf"{key}: there is no such setting; .*TASKHERO_BACKEND") as refused:
        Settings.load()
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        "SERVICE_HOST",
        "SERVICE_PORT",
        "SERVICE_PORT_HTTP",
        "PORT",
        "PORT_6379_TCP",
        "PORT_6379_TCP_ADDR",
        "WEB_SERVICE_HOST",
    ],
)
def test_variables_that_kubernetes_sets_for_a_service_of_that_name_are_no_settings(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(f"TASKHERO_{name}", "tcp://10.0.0.1:6379")
    assert Settings.load() == Settings()


def test_two_settings_that_do_not_go_together_are_named_with_both_sources(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    write(folder, "rescue_after = 4")
    monkeypatch.setenv("TASKHERO_HEARTBEAT_INTERVAL", "3")
    with pytest.raises(InvalidSettings) as refused:
        Settings.load()
    assert "[tool.taskhero] rescue_after = 4 and environment variable TASKHERO_HEARTBEAT_INTERVAL='3'" in str(
        refused.value
    )


def test_variables_of_the_command_line_are_no_settings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TASKHERO_APP", "shop:app")
    monkeypatch.setenv("TASKHERO_BACKEND", "redis://:secret@localhost")
    monkeypatch.setenv("TASKHERO_PLUGINS", "off")
    assert Settings.load() == Settings()


def test_no_other_package_than_ours_and_attrs_is_needed():
    code = (
        "import sys; old = set(sys.modules)\n"
        "import taskhero; print(taskhero.Settings.load().timeout)\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - old} - sys.stdlib_module_names\n"
        "print(sorted(new - {'taskhero', 'attr', 'attrs', 'pluggy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["5.0", "[]"]


@pytest.mark.parametrize("mark", [".git", ".hg"])
def test_the_search_for_the_file_ends_at_the_root_of_the_repository(
    mark: str, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    write(folder, "timeout = 2")
    inner = folder / "vendored" / "src"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert Settings.load().timeout == 2.0
    (inner.parent / mark).mkdir()
    assert Settings.load().timeout == 5.0


def test_what_was_not_given_stays_open(monkeypatch: pytest.MonkeyPatch):
    """A minimum of 1 that was derived does not stand against a maximum of 0 that is given."""
    monkeypatch.setenv("TASKHERO_MAX_TASK_PROCESSORS", "0")
    loaded = Settings.load(Settings(max_task_processors=5))
    assert (loaded.min_task_processors, loaded.max_task_processors) == (0, 0)
    assert loaded.given == {"max_task_processors"}
