"""Run the task processors of one process.

A slot, a task processor and a worker in the store are one thing: "task processor" is ActionHero's term, and other
programs see a worker for each slot.

- `pool` starts, stops and resizes the set of slots. It owns the dispatcher and the heartbeat.
- `autoscale` measures the delay of the event loop and decides how many slots there are.
- `slots` holds the slots: which exist, which are free, which run a job, which retire.
- `dispatcher` is the loop that settles finished jobs and claims the next ones in one round trip.
- `queue_order` names the queues to claim from, in priority order.
- `job_runner` starts each claimed job and records how it ended.
- `quarantine` computes how long a job that may have crashed its process runs exclusively. `job_runner` keeps such a job
  apart, and `dispatcher` marks its exclusive run in the backend.
- `settlement_buffer` keeps settlements until the backend has recorded them, and then emits their events.
- `lost_reply_recovery` reads the process's own claims after a lost reply.
- `claim_restorer` writes claims again that another program deleted.
- `listener` waits for wake-ups: new jobs for the dispatcher, earlier due times for the scheduler.
- `heartbeat` is a thread that renews the lease of the process and the locks of its jobs.
- `lease_watch` decides which leases of other processes have expired, from what heartbeats read.
- `rescuer` returns the jobs of processes with an expired lease to their queues.
- `control` passes an operator's commands (pause, resume, fail running jobs) to the dispatcher.

A wake-up from `listener` starts a round of `dispatcher`. The round sends the settlements of `settlement_buffer`, claims
jobs for the free slots of `slots`, and passes the claims to `job_runner`. `job_runner` performs each job through
`taskhero.runtime.execution` and adds its settlement to `settlement_buffer`, which starts the next round. When slots
stay free, the dispatcher resumes `listener`.

States of a slot::

    free -> running -> unsettled -> free         unsettled only while the backend cannot record the end of the job
    free -> running -> busy -> free              busy while a thread of an ended job still runs
    free or running -> retiring -> deregistered
"""
