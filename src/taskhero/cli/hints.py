"""Hints for verbs and options of other job queues that have another name here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final

import click

__all__ = ["HintingCommand", "command_hint", "option_hint"]

_WORK: Final = "Run workers with taskhero work --app MODULE:ATTR"
_STATUS: Final = "Show queues and workers with taskhero status, or taskhero status --watch"
_SCHEDULER: Final = (
    "Each worker process runs a scheduler. "
    "Run a scheduler without workers with taskhero work --app MODULE:ATTR -c 0 --scheduler"
)
_ENQUEUE: Final = "Enqueue a job with taskhero enqueue NAME"
_DELETE: Final = "Delete a queue and its jobs with taskhero queues delete NAME"
_STOP: Final = "Stop a worker process with SIGTERM or Ctrl+C"

#: Verbs of Celery, RQ, arq, Dramatiq, Huey, Resque and node-resque.
_VERBS: Final = {
    **dict.fromkeys(("worker", "run", "start", "serve", "process", "consume", "consumer", "multi"), _WORK),
    **dict.fromkeys(("beat", "cron", "scheduler", "schedule", "rqscheduler"), _SCHEDULER),
    **dict.fromkeys(("inspect", "info", "list", "stats", "flower", "monitor", "top", "events", "dashboard"), _STATUS),
    **dict.fromkeys(("call", "send", "push", "apply", "delay", "trigger"), _ENQUEUE),
    **dict.fromkeys(("purge", "empty", "clear", "flush"), _DELETE),
    **dict.fromkeys(("requeue", "retry"), "Retry failed jobs with taskhero failed retry POSITION ... or --all"),
    **dict.fromkeys(("stop", "shutdown", "control", "quit"), _STOP),
    "help": "Show the help with taskhero --help, or taskhero VERB --help",
    "version": "Show the version with taskhero --version",
}

_PROCESSORS: Final = "use --max-processors (-c), the number of jobs at once"
_PROCESSES: Final = "use --processes; each process runs up to --max-processors (-c) jobs at once"
_LEVEL: Final = "use --log-level"

#: Options that other programs' workers have.
_OPTIONS: Final = {
    **dict.fromkeys(("--concurrency", "--threads", "--max-jobs"), _PROCESSORS),
    **dict.fromkeys(("-w", "--workers", "--num-workers", "-n", "-p"), _PROCESSES),
    **dict.fromkeys(("-l", "--loglevel"), _LEVEL),
    **dict.fromkeys(("-v", "--verbose"), f"{_LEVEL} debug"),
    **dict.fromkeys(("-Q", "--queues"), "use --queue (-q), once for each queue"),
    **dict.fromkeys(("-B", "--beat", "--with-scheduler"), "use --scheduler"),
    **dict.fromkeys(("-u", "--url", "--broker", "-b", "--redis"), "use --backend"),
    **dict.fromkeys(("--autoscale",), "use --min-processors and --max-processors"),
    **dict.fromkeys(("--watch",), "use --reload"),
}


def command_hint(name: str) -> str:
    """Return a hint for a verb of another program, or an empty str."""
    return _VERBS.get(name, "")


def option_hint(option: str, command: str) -> str:
    """Return a hint for an option that the verb does not have, or an empty str."""
    return _OPTIONS.get(option, "") if command == "work" else ""


class HintingCommand(click.Command, ABC):
    """A verb that explains how to pass words that it does not accept as arguments."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Command.parse_args`."""
        ctx.allow_extra_args = True
        extra = super().parse_args(ctx, args)
        if extra and not ctx.resilient_parsing:
            raise click.UsageError(f"{' '.join(extra)!r} is not expected: {self.advice(ctx.params, extra)}", ctx)
        return extra

    @abstractmethod
    def advice(self, params: dict[str, Any], extra: list[str]) -> str:
        """Return what to write instead of these words."""
