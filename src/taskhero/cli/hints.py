"""What to write here for what other programs for background jobs call something else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final

import click

__all__ = ["HintingCommand", "command_hint", "option_hint"]

_WORK: Final = "Jobs are worked by taskhero work --app MODULE:ATTR"
_STATUS: Final = "What there is and what runs is shown by taskhero status, and by taskhero status --watch"
_SCHEDULER: Final = (
    "Nothing to start: each worker process has a scheduler; "
    "one alone is taskhero work --app MODULE:ATTR -c 0 --scheduler"
)
_ENQUEUE: Final = "A job is stored by taskhero enqueue NAME"
_DELETE: Final = "A queue is emptied by taskhero queues delete NAME"
_STOP: Final = "A worker process stops at SIGTERM or Ctrl+C"

#: Verbs of Celery, RQ, arq, Dramatiq, Huey, Resque and node-resque.
_VERBS: Final = {
    **dict.fromkeys(("worker", "run", "start", "serve", "process", "consume", "consumer", "multi"), _WORK),
    **dict.fromkeys(("beat", "cron", "scheduler", "schedule", "rqscheduler"), _SCHEDULER),
    **dict.fromkeys(("inspect", "info", "list", "stats", "flower", "monitor", "top", "events", "dashboard"), _STATUS),
    **dict.fromkeys(("call", "send", "push", "apply", "delay", "trigger"), _ENQUEUE),
    **dict.fromkeys(("purge", "empty", "clear", "flush"), _DELETE),
    **dict.fromkeys(("requeue", "retry"), "Failed jobs are retried by taskhero failed retry POSITION ... or --all"),
    **dict.fromkeys(("stop", "shutdown", "control", "quit"), _STOP),
    "help": "Help is shown by taskhero --help, and by taskhero VERB --help",
    "version": "The version is shown by taskhero --version",
}

_PROCESSORS: Final = "it is --max-processors (-c), how many jobs at once"
_PROCESSES: Final = "it is --processes, each with up to --max-processors (-c) jobs at once"
_LEVEL: Final = "it is --log-level"

#: The same for options of ``work``.
_OPTIONS: Final = {
    **dict.fromkeys(("--concurrency", "--threads", "--max-jobs"), _PROCESSORS),
    **dict.fromkeys(("-w", "--workers", "--num-workers", "-n", "-p"), _PROCESSES),
    **dict.fromkeys(("-l", "--loglevel"), _LEVEL),
    **dict.fromkeys(("-v", "--verbose"), f"{_LEVEL} debug"),
    **dict.fromkeys(("-Q", "--queues"), "it is --queue (-q), once for each queue"),
    **dict.fromkeys(("-B", "--beat", "--with-scheduler"), "it is --scheduler"),
    **dict.fromkeys(("-u", "--url", "--broker", "-b", "--redis"), "it is --backend"),
    **dict.fromkeys(("--autoscale",), "it is --min-processors and --max-processors"),
    **dict.fromkeys(("--watch",), "it is --reload"),
}


def command_hint(name: str) -> str:
    """What to write for a verb of another program; empty if there is nothing to say."""
    return _VERBS.get(name, "")


def option_hint(option: str, command: str) -> str:
    """What to write for an option that a verb does not have; empty if there is nothing to say."""
    return _OPTIONS.get(option, "") if command == "work" else ""


class HintingCommand(click.Command, ABC):
    """A verb that says how words are meant to be given which it does not take."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Command.parse_args`."""
        ctx.allow_extra_args = True
        more = super().parse_args(ctx, args)
        if more and not ctx.resilient_parsing:
            raise click.UsageError(f"{' '.join(more)!r} is too much: {self.advice(ctx.params, more)}", ctx)
        return more

    @abstractmethod
    def advice(self, given: dict[str, Any], more: list[str]) -> str:
        """What to write instead of these words."""
