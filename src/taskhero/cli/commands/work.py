"""The verb ``work``: a worker process, or several under one parent."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from taskhero.cli.app_loader import app_option, load_app, needed, search_here, top_module
from taskhero.cli.groups import error_text
from taskhero.cli.hints import HintingCommand
from taskhero.cli.logging_setup import log_options, set_up_logging
from taskhero.errors import InvalidSettings, TaskheroError
from taskhero.runtime.process.signals import orders_kept
from taskhero.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskhero.app import TaskHero

__all__ = ["work"]

_logger = logging.getLogger("taskhero.worker")


@attrs.frozen(kw_only=True)
class _Options:
    """What one worker process is told."""

    app: str | None
    queue: tuple[str, ...]
    min_processors: int | None
    max_processors: int | None
    scheduler: bool | None
    tasks: Path | None
    backend: str | None
    burst: bool
    log_format: str
    log_level: str

    def changes(self) -> dict[str, Any]:
        """The settings that beat the app's."""
        given = {
            "queues": self.queue or None,
            "min_task_processors": self.min_processors,
            "max_task_processors": self.max_processors,
            "scheduler": self.scheduler,
        }
        return {name: value for name, value in given.items() if value is not None}

    def command(self) -> list[str]:
        """What starts such a process."""
        words = [sys.executable, "-m", "taskhero", "work"]
        for queue in self.queue:
            words += ["--queue", queue]
        for name in ("app", "min_processors", "max_processors", "tasks", "backend", "log_format", "log_level"):
            value = getattr(self, name)
            if value is not None:
                words += [f"--{name.replace('_', '-')}", str(value)]
        if self.scheduler is not None:
            words.append("--scheduler" if self.scheduler else "--no-scheduler")
        if self.burst:
            words.append("--burst")
        return words


class _Work(HintingCommand):
    def advice(self, given: dict[str, Any], more: list[str]) -> str:
        """See `HintingCommand.advice`."""
        if given.get("app") is None:
            return f"name the app by --app {more[0]}"
        return f"name queues by {_queue_options(more)}"


def _queue_options(names: Iterable[str]) -> str:
    return " ".join(f"--queue {name}" for name in names)


def _apart(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse queues that are given with commas, before the settings do it in words for programs."""
    for names in given:
        if "," in names:
            raise click.BadParameter(f"{names!r} holds several: write {_queue_options(names.split(','))}")
    return given


@click.command(cls=_Work)
@app_option
@click.option(
    "--queue",
    "-q",
    multiple=True,
    callback=_apart,
    metavar="NAME",
    help="A queue to work, '*' for all others; the most urgent first.",
)
@click.option("--min-processors", type=click.IntRange(0), help="How many jobs can always be worked at once.")
@click.option("--max-processors", "-c", type=click.IntRange(0), help="How many jobs can be worked at once; 0 for none.")
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True, help="How many worker processes.")
@click.option("--scheduler/--no-scheduler", default=None, help="Whether to promote delayed jobs here.")
@click.option(
    "--tasks",
    type=click.Path(exists=True, path_type=Path),
    metavar="DIR",
    help="A folder whose files declare tasks with @task: more of them, or all if there is no app.",
)
@click.option(
    "--backend",
    metavar="URL",
    help="Work there instead of on the app's own backend; with --tasks alone, TASKHERO_BACKEND too.",
)
@click.option("--burst", is_flag=True, help="End when the queues are empty; delayed jobs are not waited for.")
@click.option("--reload", is_flag=True, help="Start anew when a Python file changes, for development.")
@log_options
def work(*, app: str | None, processes: int, reload: bool, **options: Any) -> None:
    """Work the jobs of an app until SIGTERM, SIGINT, SIGQUIT or SIGHUP.

    Where neither options nor the environment, pyproject.toml or the app's settings say otherwise: 1 to 10 jobs at once,
    and a scheduler.

    \b
    taskhero work --app shop:app
    taskhero work --app shop:app --queue urgent --queue '*' -c 50
    taskhero work --app shop:app --processes 4
    taskhero work --app shop:app --no-scheduler --burst
    taskhero work --tasks tasks --backend redis://localhost:6379/0

    At the first signal no more jobs are claimed, and those that run get the setting `grace` seconds (25); what has not
    ended by then goes back to the front of its queue. A second SIGTERM or SIGINT ends the process at once; its
    jobs are rescued by other processes. SIGUSR1 fails the jobs that run, SIGUSR2 pauses claiming, SIGCONT resumes it.

    Exit code: 0 after a stop, 1 where the app or the backend cannot be used, 2 for a wrong option.
    """  # noqa: D301 - \b is click's mark for lines that are kept as they are
    told = _Options(app=app or (None if options["tasks"] else needed(app)), **options)
    set_up_logging(told.log_format, told.log_level)
    try:
        with orders_kept():
            if reload or processes > 1:
                _supervise(told, processes, reload=reload)
            else:
                _run(_prepared(told), burst=told.burst)
    except click.UsageError:
        raise
    except (TaskheroError, click.ClickException) as error:
        text = error.message if isinstance(error, click.ClickException) else error_text(error)
        if told.log_format != "json":
            raise click.ClickException(text) from None
        _logger.critical("%s", text)
        sys.exit(1)


def _run(app: TaskHero, *, burst: bool) -> None:
    if app.backend.location.startswith("memory:"):
        _logger.warning("the jobs lie in this process's memory: no other can enqueue any, and they end with it")
    app.run(burst=burst)


def _prepared(told: _Options) -> TaskHero:
    app = load_app(told.app) if told.app else _bare(told)
    app.reconfigure(backend=told.backend, settings=_settings(app, told))
    if told.tasks is not None:
        app.load_tasks(told.tasks)
        if not len(app.tasks):
            raise click.ClickException(f"--tasks {told.tasks}: its files declare no task")
    return app


def _bare(told: _Options) -> TaskHero:
    """An app that has nothing but the tasks of a folder."""
    from taskhero.app import TaskHero

    search_here()
    return TaskHero(told.backend or os.environ.get("TASKHERO_BACKEND") or "memory://", settings=Settings.load())


def _settings(app: TaskHero, told: _Options) -> Settings:
    from taskhero.runtime.process.service import worker_settings

    outside = Settings.load(app.settings)
    if told.backend is None:
        outside = _with_own_place(app.settings, outside)
    try:
        settings = worker_settings(outside, burst=told.burst, **told.changes())
    except InvalidSettings as error:
        raise click.UsageError(str(error)) from None
    if not settings.max_task_processors and not settings.scheduler:
        raise click.UsageError("there is nothing to run: allow --max-processors 1 or more, or --scheduler")
    return settings


def _with_own_place(own: Settings, outside: Settings) -> Settings:
    """What the app says of where its jobs are, since those who enqueue have nothing but the app."""
    for key in ("namespace", "resque_scheduler_prefix", "ignore_dead_master_lock"):
        mine, theirs = getattr(own, key), getattr(outside, key)
        if mine != theirs:
            _logger.warning(
                "%s=%r from outside is not used: the app's is %r, and those who enqueue know no other; "
                "let the app have Settings.load()",
                key,
                theirs,
                mine,
            )
            outside = attrs.evolve(outside, **{key: mine})
    return outside


def _supervise(told: _Options, processes: int, *, reload: bool) -> None:
    """Be the parent of worker processes."""
    from taskhero.runtime.process.event_loop import run_in_loop
    from taskhero.runtime.process.reload import FileWatcher
    from taskhero.runtime.process.shutdown import ShutdownSignal
    from taskhero.runtime.process.signals import Orders
    from taskhero.runtime.process.supervisor import Supervisor

    if not reload:
        # What is wrong is said once, rather than by each process again and again.
        _prepared(told)
    sources = FileWatcher(_folders(told)) if reload else None
    supervisor: Supervisor | None = None

    def kill_all() -> None:
        if supervisor is not None:
            supervisor.kill_all()

    async def run(stop: ShutdownSignal, orders: Orders) -> None:
        nonlocal supervisor
        supervisor = Supervisor(told.command(), processes, stop, orders, burst=told.burst, watcher=sources)
        await supervisor.run()

    with ShutdownSignal(lambda: 0.0, kill_all) as stop, Orders() as orders:
        # uvloop cannot start a process in a group of its own.
        run_in_loop(run(stop, orders), asyncio.new_event_loop)


def _folders(told: _Options) -> list[Path]:
    """Where the app's files are: here, where its module is, and the folder of its tasks."""
    folders = [Path.cwd()]
    if told.tasks is not None:
        folders.append(told.tasks)
    module = top_module(told.app or "")
    spec = importlib.util.find_spec(module) if module.isidentifier() else None
    if spec is not None and spec.origin is not None and "site-packages" not in spec.origin:
        folders.append(Path(spec.origin).parent)
    return folders
