"""A worker process.

- `service` runs an app until a signal arrives, or until the queues are empty.
- `signals` handles the signals, `shutdown` those that stop the process; `parent_pipe` obeys the parent process.
- `supervisor` starts several worker processes and restarts them; `reload` notices changed files.
- `event_loop` runs the event loop and leaves it although threads may still run.
"""
