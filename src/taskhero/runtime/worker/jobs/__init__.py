"""Run claimed jobs, from the start of each to the acknowledgement of its end.

- `job_runner` starts the job of each claim, and passes how it ended to the settlement buffer.
- `quarantine` holds a job that may have crashed its process, until it may run exclusively.
- `finished_job` is the record of a job from its end to its acknowledgement.
- `settlement_buffer` keeps these records until the backend has recorded the settlements, and then emits their events.
- `claim_recovery` finds claims after a lost reply, and restores claims that another program deleted.

`taskhero.runtime.worker` has the diagram of a claim.
"""
