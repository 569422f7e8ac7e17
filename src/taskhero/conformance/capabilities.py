"""What a backend may do without."""

from __future__ import annotations

import attrs

__all__ = ["Capabilities"]

_MEBIBYTE = 1024 * 1024


@attrs.frozen(kw_only=True)
class Capabilities:
    """What a backend, and the suite that proves it, can do; everything, unless it says otherwise.

    A test that cannot do without what is missing is skipped, with the reason.

    Attributes:
        clock: It takes its time from the fixture ``clock``. Without, nothing that needs time to pass is tested: leases
            that end, jobs that become due, locks that lapse.
        second_view: A second connection to the same store can be opened, as another process would have it
            (`Suite.another_view`). Without, since the store is private to its app, the backend itself is used instead.
        pausing: All workers can be paused (`Suite.set_paused`).
        wrong_types: What stands in the store can be of a wrong type, since other programs write to it, too
            (`Suite.break_queue`, `Suite.break_failures`, `Suite.break_counter`, `Suite.break_lock`,
            `Suite.break_attempts`, `Suite.break_moment`, `Suite.break_seconds_of`, `Suite.break_worker`).
        foreign_scheduler: Schedulers of other programs work in the same store (`Suite.set_foreign_scheduler`).
        foreign_workers: Workers of other programs are in view of the same store (`Suite.add_worker`).
        foreign_failures: Other programs keep lists of failures besides (`Suite.add_failure`).
        leftovers: Other programs may leave halves of what they write, a delayed job without its moment or a lock
            without a lifetime (`Suite.add_orphan`, `Suite.add_lock`).
        lost_lease: A process's lease can be lost while its workers stay (`Suite.forget_lease`).
        traces: What is left of the last error beside a counter of attempts can be seen (`Suite.trace_of`). Without,
            since no verb shows it, it need not be kept.
        batch_bytes: No batch of more than one claim has more bytes than this.
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
    traces: bool = True
    batch_bytes: int = 16 * _MEBIBYTE
