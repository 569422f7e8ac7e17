"""Tests about schedulers: the leader lease, periodic tasks, cron tasks."""
