"""``taskhero work`` runs one worker process, or several under one parent process."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from taskhero._internal.logs import get_logger
from taskhero.cli.app_loader import app_option, load_app, require_app, search_here, top_module
from taskhero.cli.groups import error_text
from taskhero.cli.hints import HintingCommand
from taskhero.cli.log_config import WorkLog, log_config_option
from taskhero.cli.logging_setup import log_options
from taskhero.cli.output import utc_option
from taskhero.errors import InvalidSettings, TaskheroError
from taskhero.runtime.process.control_signals import control_signals_kept
from taskhero.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskhero.app import TaskHero

__all__ = ["work"]

_logger = get_logger("taskhero.worker")


#: Options with a value that a supervisor passes on as they are.
_WITH_VALUE = ("app", "min_processors", "max_processors", "tasks", "backend", "log_format", "log_level", "log_config")


@attrs.frozen(kw_only=True)
class _Options:
    """The options of one worker process."""

    app: str | None
    queue: tuple[str, ...]
    min_processors: int | None
    max_processors: int | None
    scheduler: bool | None
    tasks: Path | None
    backend: str | None
    burst: bool
    log_format: str | None
    log_level: str | None
    log_config: str | None
    utc: bool

    def changes(self) -> dict[str, Any]:
        """Return the settings that replace the app's."""
        changed = {
            "queues": self.queue or None,
            "min_task_processors": self.min_processors,
            "max_task_processors": self.max_processors,
            "scheduler": self.scheduler,
        }
        return {name: value for name, value in changed.items() if value is not None}

    def command(self) -> list[str]:
        """Return the command line of such a process."""
        words = [sys.executable, "-m", "taskhero", "work"]
        for queue in self.queue:
            words += ["--queue", queue]
        for name in _WITH_VALUE:
            value = getattr(self, name)
            if value is not None:
                words += [f"--{name.replace('_', '-')}", str(value)]
        if self.scheduler is not None:
            words.append("--scheduler" if self.scheduler else "--no-scheduler")
        words += [f"--{name}" for name in ("burst", "utc") if getattr(self, name)]
        return words


class _Work(HintingCommand):
    def advice(self, params: dict[str, Any], extra: list[str]) -> str:
        """See `HintingCommand.advice`."""
        if params.get("app") is None:
            return f"pass the app as --app {extra[0]}"
        return f"pass queues as {_queue_options(extra)}"


def _queue_options(names: Iterable[str]) -> str:
    return " ".join(f"--queue {name}" for name in names)


def _refuse_commas(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Raise an error that explains the option, before the settings raise one for programs."""
    for names in values:
        if "," in names:
            raise click.BadParameter(f"{names!r} has several names: pass {_queue_options(names.split(','))}")
    return values


@click.command(cls=_Work)
@app_option
@click.option(
    "--queue",
    "-q",
    multiple=True,
    callback=_refuse_commas,
    metavar="NAME",
    help="A queue to take jobs from, '*' for all others. The most urgent comes first.",
)
@click.option("--min-processors", type=click.IntRange(0), help="Task processors that always run.")
@click.option("--max-processors", "-c", type=click.IntRange(0), help="Jobs that may run at once; 0 for none.")
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True, help="Number of worker processes.")
@click.option("--scheduler/--no-scheduler", default=None, help="Whether to run a scheduler here.")
@click.option(
    "--tasks",
    type=click.Path(exists=True, path_type=Path),
    metavar="DIR",
    help="A folder whose files declare tasks with @task, in addition to the app's or without an app.",
)
@click.option(
    "--backend",
    metavar="URL",
    help="Use this backend instead of the app's. Without an app, TASKHERO_BACKEND is used, too.",
)
@click.option("--burst", is_flag=True, help="Exit when the queues are empty, without waiting for delayed jobs.")
@click.option("--reload", is_flag=True, help="Restart when a Python file changes, for development.")
@log_options
@log_config_option
@utc_option(exposed=True)
@click.pass_context
def work(context: click.Context, /, *, app: str | None, processes: int, reload: bool, **params: Any) -> None:
    """Run the jobs of an app until SIGTERM, SIGINT, SIGQUIT or SIGHUP.

    Options beat the environment, pyproject.toml and the app's settings. The default is 1 to 10 jobs at once and a
    scheduler.

    \b
    taskhero work --app shop:app
    taskhero work --app shop:app --queue urgent --queue '*' -c 50
    taskhero work --app shop:app --processes 4
    taskhero work --app shop:app --no-scheduler --burst
    taskhero work --tasks tasks --backend redis://localhost:6379/0

    After the first signal the process claims no jobs. Running jobs have the setting `grace` (25 seconds) to end, and
    are then released to the front of their queues. A second SIGTERM or SIGINT ends the process at once, and other
    processes rescue its jobs. SIGUSR1 fails the running jobs, SIGUSR2 pauses claiming, SIGCONT resumes it.

    Exit codes: 0 after a stop, 1 if the app or the backend cannot be used, 2 for a wrong option.
    """  # noqa: D301 - \b tells click to keep the lines
    log = WorkLog(context)
    # The processes of a supervisor find out for themselves what is given and what the app configures.
    params |= {"log_format": log.format, "log_level": log.level}
    options = _Options(app=app or (None if params["tasks"] else require_app(app)), **params)
    try:
        with control_signals_kept():
            if reload:
                log.around(lambda: None)
                _supervise(options, processes, reload=reload)
            elif processes > 1:
                # Report an error once, instead of once by each process.
                log.around(lambda: _open_app(options))
                _supervise(options, processes, reload=reload)
            else:
                _run(log.around(lambda: _open_app(options)), burst=options.burst)
    except click.UsageError:
        raise
    except (TaskheroError, click.ClickException) as error:
        text = error.message if isinstance(error, click.ClickException) else error_text(error)
        if not log.is_json:
            raise click.ClickException(text) from None
        _logger.critical("%s", text)
        sys.exit(1)


def _run(app: TaskHero, *, burst: bool) -> None:
    if app.backend.location.startswith("memory:"):
        _logger.warning(
            "the jobs are in this process's memory: no other process can enqueue jobs, and they are lost when it ends"
        )
    app.run(burst=burst)


def _open_app(options: _Options) -> TaskHero:
    app = load_app(options.app) if options.app else _app_of_folder(options)
    app.reconfigure(backend=options.backend, settings=_settings(app, options))
    if options.tasks is not None:
        app.load_tasks(options.tasks)
        if not len(app.tasks):
            raise click.ClickException(
                f"--tasks {options.tasks}: the files declare no task: put @task above a function"
            )
    return app


def _app_of_folder(options: _Options) -> TaskHero:
    """Return an app for the tasks of a folder, which has no tasks yet."""
    from taskhero.app import TaskHero

    search_here()
    return TaskHero(options.backend or os.environ.get("TASKHERO_BACKEND") or "memory://", settings=Settings.load())


def _settings(app: TaskHero, options: _Options) -> Settings:
    from taskhero.runtime.process.service import worker_settings

    loaded = Settings.load(app.settings)
    if options.backend is None:
        loaded = _keep_app_location(app.settings, loaded)
    try:
        settings = worker_settings(loaded, burst=options.burst, **options.changes())
    except InvalidSettings as error:
        raise click.UsageError(str(error)) from None
    if not settings.max_task_processors and not settings.scheduler:
        raise click.UsageError("there is nothing to run: pass --max-processors 1 or more, or --scheduler")
    return settings


def _keep_app_location(own: Settings, loaded: Settings) -> Settings:
    """Keep the app's own settings of where its jobs are, because programs that enqueue know only those."""
    for key in ("namespace", "resque_scheduler_prefix", "ignore_dead_master_lock"):
        app_value, loaded_value = getattr(own, key), getattr(loaded, key)
        if app_value != loaded_value:
            _logger.warning(
                "%s=%r from outside is ignored: the app has %r, which programs that enqueue use; "
                "create the app with Settings.load()",
                key,
                loaded_value,
                app_value,
            )
            loaded = attrs.evolve(loaded, **{key: app_value})
    return loaded


def _supervise(options: _Options, processes: int, *, reload: bool) -> None:
    """Run as the parent of worker processes."""
    from taskhero.runtime.process.control_signals import ControlSignals
    from taskhero.runtime.process.event_loop import run_in_loop
    from taskhero.runtime.process.reload import FileWatcher
    from taskhero.runtime.process.shutdown import ShutdownSignal
    from taskhero.runtime.process.supervisor import Supervisor

    watcher = FileWatcher(_folders(options)) if reload else None
    supervisor: Supervisor | None = None

    def kill_all() -> None:
        if supervisor is not None:
            supervisor.kill_all()

    async def run(stop: ShutdownSignal, control_signals: ControlSignals) -> None:
        nonlocal supervisor
        supervisor = Supervisor(
            options.command(), processes, stop, control_signals, burst=options.burst, watcher=watcher
        )
        await supervisor.run()

    with ShutdownSignal(lambda: 0.0, kill_all) as stop, ControlSignals() as control_signals:
        # uvloop cannot start a process in its own process group.
        run_in_loop(run(stop, control_signals), asyncio.new_event_loop)


def _folders(options: _Options) -> list[Path]:
    """Return the folders of the app's files: the current one, that of its module, and that of its tasks."""
    folders = [Path.cwd()]
    if options.tasks is not None:
        folders.append(options.tasks)
    module = top_module(options.app or "")
    spec = importlib.util.find_spec(module) if module.isidentifier() else None
    if spec is not None and spec.origin is not None and "site-packages" not in spec.origin:
        folders.append(Path(spec.origin).parent)
    return folders
