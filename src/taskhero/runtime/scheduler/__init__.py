"""The scheduler of one process.

- `scheduler` runs the loops and holds the leader lease.
- `promoter` moves delayed jobs that are due to their queues.
- `periodic_enqueuer` enqueues periodic tasks and fires cron tasks. Only the leader runs it.
- `stale_workers` removes workers of other programs that stopped. Only the leader runs it.
"""
