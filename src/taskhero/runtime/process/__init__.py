"""A worker process and its supervisor.

- `service` runs an app until a signal arrives, or until its queues are empty (`BurstMonitor`).
- `control_signals` turns signals into control commands: pause, resume, fail the running jobs.
- `shutdown` handles the signals that stop the process.
- `supervisor` starts several worker processes and restarts them. It sends them control commands through a pipe.
- `parent_pipe` reads that pipe in a worker process. `reload` reports changed files to the supervisor.
- `event_loop` runs the event loop, and ends the process even if threads still run.
"""
