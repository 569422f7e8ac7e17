"""How an idle process learns about new jobs.

- `notifier` decides how a process waits: one process of a namespace tracks, all others block.
- `blocking_listener` waits with BLPOP on the wake lists.
- `tracking_listener` learns from Redis that another program pushed a job, and forwards it to the wake lists.
"""
