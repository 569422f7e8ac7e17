"""Settings: their fields, their bounds and where their values come from.

- `schema`: the class `Settings`. It reads nothing from outside.
- `loading`: the values from environment variables and from ``pyproject.toml``.
- `log_levels`: the log level of each event.
"""

from taskhero.settings.schema import (
    SCHEDULER_EVENTS,
    WORKER_EVENTS,
    Levels,
    QueueNames,
    QueuesGiven,
    Settings,
    Validator,
)

__all__ = ["SCHEDULER_EVENTS", "WORKER_EVENTS", "Levels", "QueueNames", "QueuesGiven", "Settings", "Validator"]
