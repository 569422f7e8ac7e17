"""The scheduler of one process.

- `scheduler` runs three loops: it promotes delayed jobs, renews the leader lease and serves periodic tasks.
- `promoter` moves due jobs from the delayed set to their queues. Every scheduler runs it.
- `periodic_enqueuer` declares the app's periodic tasks. As leader it also enqueues and fires those of all apps.
- `orphan_adoption` finds delayed jobs that the index of due times lacks. Only the leader runs it.
- `stale_workers` removes workers of other programs that stopped. Only the leader runs it.
"""
