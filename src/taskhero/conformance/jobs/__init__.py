"""Tests about stored jobs: queues, delayed jobs, failed jobs.

The verbs: `producing`, `scheduling`, `promoting`, `fair_shares`, `queue_inspection`, `delayed_jobs`, `failed_jobs`.
The data: `payload_bytes`, `extreme_numbers`, and keys that other programs damaged (`damaged_data`,
`blocked_destinations`, `isolated_items`) or left behind (`foreign_leftovers`). Each module defines one class. All share
`steps` and `suite`.
"""
