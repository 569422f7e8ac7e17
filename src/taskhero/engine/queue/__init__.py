"""``app.queue``: everything that a program does with stored jobs.

- `queue` defines `Queue`, the public class, which enqueues. It derives from the classes below.
- `delayed`, `failed` and `periodic` inspect and administer one kind of stored data each.
- `workers` inspects workers, locks and the leader, and removes stale workers.
- `base` inspects queues and deletes jobs. All classes derive from it and share its `QueueContext`.
- `lock_states` describes locks for `workers`.
"""
