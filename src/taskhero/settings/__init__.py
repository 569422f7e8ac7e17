"""Settings: their fields, their bounds and the sources of their values.

- `schema`: the class `Settings`. It reads neither the environment nor files.
- `loading`: reads values from environment variables and from ``pyproject.toml``, for `Settings.load`.
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
