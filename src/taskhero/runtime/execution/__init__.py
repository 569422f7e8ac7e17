"""Run one job.

- `executor` takes a job from its claim to its settlement.
- `preparation` acquires the locks and counters that its plugins need.
- `invoker` calls the function: on the loop, in `threads`, or in a child process of `processes`.
- `context` gives the running task its job, attempt and logger; `failure_report` describes an exception.
"""
