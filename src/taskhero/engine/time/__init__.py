"""Time: pure functions without a clock.

- `instants` converts durations, due times and frequencies from the form that users pass to the form of the wire.
- `cron` computes fire times. `misfires` decides which missed fire times still fire.
- `recurrence` combines them: it says when a task runs periodically, and which jobs are copies of its own job.
"""
