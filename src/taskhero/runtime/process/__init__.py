"""A worker process and its supervisor.

- `service` runs an app until a signal arrives, or until its queues are empty (`BurstMonitor`).
- `signals` turns signals into orders (pause, resume, fail the running jobs). `shutdown` handles the signals that stop.
- `supervisor` starts several worker processes and restarts them. It sends them orders through a pipe.
- `parent_pipe` reads that pipe in a worker process. `reload` reports changed files to the supervisor.
- `event_loop` runs the event loop, and ends the process even if threads still run.
"""
