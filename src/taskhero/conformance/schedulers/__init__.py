"""Tests about schedulers: the leader lease (`leadership`), periodic tasks and cron tasks.

`periodic_chains` declares, ensures, stops and restarts periodic tasks. `next_runs` uses its sample task to test the
next run that a settlement delays. `cron_tasks` tests fire times.
"""
