"""Run an app's jobs.

- `app_runner` starts and stops the parts that the settings ask for, in order.
- `worker` holds the task processors of one process. It claims jobs, passes each to `execution`, and settles it.
- `execution` performs one job: on the event loop, in a thread, or in a child process.
- `scheduler` promotes delayed jobs and enqueues periodic tasks. It shares the listener of `worker`.
- `process` runs an app as a worker process: signals, a graceful stop, several processes, reload.
- `logs` writes the events that the other packages emit to the log.
- `background_loop` is the base of all loops: start, stop, retries after errors, reports of outages.
- `backoff` holds the delays after errors and the record of an outage, which all loops share.
"""
