"""Tests about worker processes: claims, settlements, leases, locks, wake-ups."""
