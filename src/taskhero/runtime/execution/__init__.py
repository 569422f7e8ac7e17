"""Perform one job.

- `executor` takes a job from its claim to the disposition of its settlement.
- `preparation` acquires the locks and counters that the task's plugins need.
- `invoker` calls the function and applies its timeout: on the event loop, in a thread of `threads`, or in a child
  process of `processes`.
- `context` gives the running task its job, attempt and logger.
- `failure_report` describes an exception for the failed list.

`executor` calls `preparation`, then the hooks before the job, then `invoker`, then the hooks after the job. `invoker`
turns everything that a function does into a `Success` or a `Failure`. The worker package records the result.
"""
