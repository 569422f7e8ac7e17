"""Tests about stored jobs: queues, delayed jobs, failed jobs."""
