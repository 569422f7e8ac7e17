"""What a backend may lack."""

from __future__ import annotations

import attrs

__all__ = ["Capabilities"]

_MEBIBYTE = 1024 * 1024


@attrs.frozen(kw_only=True)
class Capabilities:
    """What a backend, and the suite that proves it, can do. The default is everything.

    The kit skips a test that needs a missing capability, and shows the reason.

    Attributes:
        clock: The backend takes its time from the fixture ``clock``. If False, the kit skips what needs time to pass:
            leases that end, jobs that become due, locks that expire.
        second_view: The suite can open a second connection to the same store, as another process would
            (`Suite.another_view`). If False, because the store is private to its app, tests use the backend itself.
        pausing: The suite can pause all workers (`Suite.set_paused`).
        wrong_types: Data in the store can be of a wrong type, because other programs write to it too
            (`Suite.break_queue`, `Suite.break_failures`, `Suite.break_counter`, `Suite.break_lock`,
            `Suite.break_attempts`, `Suite.break_due_time`, `Suite.break_due_times_of`, `Suite.break_worker`).
        foreign_scheduler: Schedulers of other programs use the same store (`Suite.set_foreign_scheduler`).
        foreign_workers: Workers of other programs are registered in the same store (`Suite.add_worker`).
        foreign_failures: Other programs keep failed lists of their own (`Suite.add_failure`).
        leftovers: Other programs can leave half of what they write: a delayed job without its due time, or a lock
            without a lifetime (`Suite.add_orphan`, `Suite.add_lock`).
        lost_lease: A process can lose its lease while its workers stay registered (`Suite.forget_lease`).
        last_errors: The suite can read the last error that the store keeps with a counter of attempts
            (`Suite.last_error_of`).
            If False, the backend does not have to keep it, because no verb shows it.
        batch_bytes: The largest size, in bytes, of a batch of more than one claim.
    """

    clock: bool = True
    second_view: bool = True
    pausing: bool = True
    wrong_types: bool = True
    foreign_scheduler: bool = True
    foreign_workers: bool = True
    foreign_failures: bool = True
    leftovers: bool = True
    lost_lease: bool = True
    last_errors: bool = True
    batch_bytes: int = 16 * _MEBIBYTE
