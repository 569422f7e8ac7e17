"""Let an idle process wait for jobs without polling.

- `notifier` implements `Backend.wait`. It decides how a process waits: one process of a namespace tracks, all others
  block.
- `blocking_listener` waits with BLPOP on wake lists.
- `tracking_listener` waits for invalidations of the queues' keys (CLIENT TRACKING).

Each push of taskhero leaves at most one wake-up in the wake list of its queue. Redis gives it to one blocking process.
Pushes of other programs leave none. The tracking process notices them, and claims the jobs or leaves a wake-up.

    blocking -- tracking lease is free, and acquired --> tracking
    tracking -- lease lost, or process too busy -------> blocking
"""
