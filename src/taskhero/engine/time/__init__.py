"""Time: pure functions without a clock.

- `instants`: durations, due times and frequencies, as users pass them and as the wire stores them.
- `cron` computes fire times, `misfires` decides which missed fire times still fire.
- `recurrence`: when a periodic task runs again.
"""
