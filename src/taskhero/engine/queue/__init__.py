"""``app.queue``: everything that a program does with stored jobs.

- `queue` defines `Queue`, the public class, which enqueues. It derives from one class for each kind of stored data:
  `queued`, `delayed`, `failed`, `periodic`, `locks` and `workers`. Each inspects and administers its kind.
- `part` is the base of all these classes. It holds the `QueueContext` of `context`, and no other class has state.
- `admission` contains the steps of each enqueue and of each retry by hand: the hooks, the guards and the call of the
  backend.
- `lock_states` describes locks for `locks` and `workers`.
"""
