"""Tasks and the queue: what a program uses without running a worker.

- `task` declares tasks and binds calls to their signatures.
- `time` checks durations, due times and cron expressions. It has no clock and no I/O.
- `queue` stores jobs in the backend, inspects and administers them. It uses `task` and `time`.
- `connection` connects the app's backend, in one event loop at a time.
"""
