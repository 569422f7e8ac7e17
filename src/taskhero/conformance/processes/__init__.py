"""Tests about worker processes: claims, settlements, leases, locks, wake-ups.

A process registers (`registration`), claims (`claiming`), prepares its jobs (`preparing`), settles them (`settling`,
`retrying`) and waits (`waiting`). Heartbeats keep its lease (`lease_keeping`) and its locks (`held_locks`). Other
processes rescue its jobs (`rescuing`) or remove it (`worker_administration`). `concurrency` runs many processes at
once, `lifecycle` opens and closes the backend.
"""
