"""Run the task processors of one process.

A slot, a task processor and a worker in the store are one thing: "task processor" is ActionHero's term, and other
programs see a worker for each slot.

- `pool` starts, stops and resizes the set of slots. It owns the heartbeat, and `wiring` makes its other parts.
- `autoscale` measures the delay of the event loop and decides how many slots there are.
- `slots` owns the slots and their states.
- `registration` registers the slots in the store and deregisters them.
- `dispatcher` is the loop that settles finished jobs and claims the next ones in one round trip.
- `rounds` says when the dispatcher runs a round: on request, at each poll, and after an error with a delay.
- `queue_order` names the queues to claim from, in priority order.
- `jobs` runs claimed jobs, from the start of each to the acknowledgement of its end.
- `problems` reports what cannot be read or recorded.
- `listener` waits for wake-ups: new jobs for the dispatcher, earlier due times for the scheduler.
- `heartbeat` is a thread that renews the lease of the process and the locks of its jobs.
- `lease_watch` decides which leases of other processes have expired, from what heartbeats read.
- `rescuer` returns the jobs of processes with an expired lease to their queues.
- `control` passes an operator's commands (pause, resume, fail running jobs) to the dispatcher and the job runner.

A wake-up from `listener` requests a round. The dispatcher sends the settlements of the settlement buffer, claims jobs
for idle slots, and passes the claims to the job runner. The job runner performs each job through
`taskhero.runtime.execution` and adds its settlement to the settlement buffer, which requests the next round. When slots
stay idle, the dispatcher resumes `listener`.

States of a slot (`slots.SlotState`). RETIRED replaces IDLE for a slot that is to be removed::

    IDLE, RETIRED                         -> RUNNING    the job of a claim starts
    IDLE, RETIRED                         -> CLAIMED    the job of a claim is quarantined first
    CLAIMED                               -> RUNNING    the quarantined job starts
    CLAIMED                               -> IDLE       the quarantined job is released, or was taken from this process
    RUNNING                               -> IDLE       the job ended
    RUNNING                               -> DRAINING   the job ended, but something of it still runs
    DRAINING                              -> IDLE       nothing of the job runs any more
    IDLE, RETIRED                         -> UNSETTLED  the backend could not record how the last job ended
    CLAIMED, RUNNING, DRAINING            -> UNSETTLED  the same, found while the slot was occupied
    UNSETTLED                             -> IDLE       the settlement is sent again
    IDLE                                  -> RETIRED    the slot is to be removed
    CLAIMED, RUNNING, DRAINING, UNSETTLED -> RETIRED    the same, decided while the slot was occupied
    RETIRED                               -> IDLE       the slot is kept
    RETIRED                               -> removed    all its settlements are sent: it is deregistered

A claim, from the reply that brings it to the reply that acknowledges its settlement. A quarantined job has the phases
of `jobs.quarantine.QuarantinePhase`::

    claimed    -> running                          its job starts at once
    claimed    -> WAITING                          its job may have crashed a process
    claimed    -> pending                          it is released: the process stops, is paused, or has no place for it
    WAITING    -> EXCLUSIVE                        no other job runs
    WAITING    -> OVERDUE -> EXCLUSIVE             it has waited for its period
    EXCLUSIVE  -> EXPIRED -> running               it has run for its period: other jobs run beside it
    WAITING, OVERDUE             -> pending        it is released: the process stops or is paused
    running, EXCLUSIVE, EXPIRED  -> pending        its job ended, or is released since the process stops
    pending    -> sent                             a round sends its settlement (`jobs.finished_job.FinishedJob`)
    sent       -> pending                          the round failed
    sent       -> unsettled -> pending             the backend could not record it: it is sent again after a delay
    sent       -> acknowledged                     the event of its end is emitted
    sent       -> gone                             another process owns the job: that is reported
"""
