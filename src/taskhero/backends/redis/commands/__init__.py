"""Implement the verbs of the contract as Redis commands and scripts, one module for each group of verbs.

- `command_group` defines the base class, with what several groups need.
- `producer_commands` stores jobs, now or for later.
- `scheduler_commands` promotes due jobs, adopts those of other programs, and holds the leader lease.
- `periodic_commands` maintains periodic tasks and fires cron tasks.
- `process_commands` registers processes, renews and lists leases, and deregisters slots and processes.
- `claim_commands` prepares claimed jobs for their runs, and lists, restores and marks claims.
- `rescue_commands` rescues the jobs of dead processes.
- `queue_commands` lists and removes queued jobs, and reads counters.
- `inspection_commands` lists and repairs delayed jobs, failed jobs and locks.
- `worker_commands` lists and removes workers.

A group receives what it needs in its constructor and has no state of its own. A verb builds a `ScriptCall`, runs it and
parses its reply. The Lua script reads the call in the same order, and its header documents it.
"""
