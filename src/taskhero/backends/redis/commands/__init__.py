"""Implement the verbs of the contract as Redis commands and scripts, one module for each group of verbs.

- `command_group` defines the base class, with the connections, the keys and the clock, and converts text and numbers.
- `producer_commands` stores jobs, now or for later, and batches concurrent pushes.
- `scheduler_commands` promotes due jobs and holds the leader lease.
- `periodic_commands` maintains periodic tasks and fires cron tasks.
- `lease_commands` registers processes, renews leases and locks, and deregisters slots.
- `claim_commands` settles and claims jobs, and rescues the jobs of dead processes.
- `queue_commands`, `inspection_commands` and `worker_commands` list and repair what is stored.

Each module defines a mixin of `RedisBackend`. A verb builds the keys and arguments of a script, runs it and parses its
reply. The header of the Lua file documents the order of both.
"""
