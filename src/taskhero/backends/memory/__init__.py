"""Store jobs in the memory of one program, with the behaviour of the Redis driver.

- `backend` defines `MemoryBackend`, with the verbs of producers, workers and schedulers.
- `inspection_verbs` and `periodic_verbs` are mixins with the other verbs.
- `store` holds all jobs, and records settlements. It consists of `queue_store`, `delayed_store`, `locks`,
  `periodic_store` and `wakeup_queue`.
- `claim_store` holds the claims of the processes in `process_table`.

A subclass may replace any of these parts: see `MemoryBackend.make_store`.

A verb checks that it runs in the right event loop, reads the clock and calls the stores. No verb except `wait` awaits
anything, so each is atomic. `Store.guard` protects leases, claims and locks, because heartbeats come from threads.
"""

from taskhero.backends.memory.backend import MemoryBackend

__all__ = ["MemoryBackend"]
