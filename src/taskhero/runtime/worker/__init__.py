"""The task processors of one process.

- `pool` starts and stops task processors; `autoscale` decides how many there are; `slots` holds the state of each.
- `dispatcher` settles finished jobs and claims new ones in one round trip; `queue_order` names the queues it claims
  from.
- `job_runner` runs each claimed job; `quarantine` says how long a job that crashed its process runs alone.
- `settlement_buffer` keeps the settlements until the backend has recorded them, and then emits their events.
- `listener` waits for new jobs, `heartbeat` renews the lease, `rescuer` takes the jobs of dead processes.
"""
