"""Store jobs in Redis or Valkey, in the format of Resque.

- `backend` defines `RedisBackend`. It makes the parts below, and maps each verb of the contract to one of them.
- `store` is what all parts share: the connections, the names of the keys and the clock.
- `commands` turns verbs into calls of scripts. Its groups of commands have no state.
- `push_batcher` lets pushes that arrive during a round trip share the next one.
- `settle_and_claim` is the verb of that name. It numbers the claims and keeps encoded keys.
- `registered_slots` keeps the slots that processes have registered.
- `notify` lets an idle process wait for jobs without polling.
- `scripts` loads the Lua files of `lua/` and encodes calls of them. One script is one atomic step.
- `connection` finds the server, keeps the connections, sends commands and translates errors.
- `conversions` converts payloads and numbers.
- `fake` runs the same driver on fakeredis, for tests without a server.

In `lua/`, a file whose name starts with an underscore is an include. `settle_and_claim.lua` records how jobs ended,
counts attempts, delays retries and claims jobs. `claim.lua` claims when there is nothing to settle. `prepare.lua`
releases queue-locks and takes job-locks. `promote.lua` moves due jobs, `heartbeat.lua` renews leases, and `rescue.lua`
takes jobs of dead processes.

All parts use one `connection.ConnectionManager`. Only the heartbeat uses another connection,
`connection.heartbeat_client`, because it runs in its own thread.

The states of a connection::

                  a command takes it               the reply came
    (new) -> idle -------------------> pending ------------------> idle
              |                           |
              | the server closed it      | no reply within 5 seconds, or the connection broke: `ReplyLost`
              v                           v
             lost <-----------------------+
              ^
              | the server moved, so the generation of the address grew: pending replies may arrive for 0.5 seconds
             idle or pending

The states of a script call (`ConnectionManager.run_script`)::

    EVALSHA sent -- reply ------------------------------------> returned
        |  |  |
        |  |  +--- NOSCRIPT ---> EVAL sent -- reply ----------> returned, and the server keeps the script
        |  +------ the server is not the master, and did nothing
        |             |-- a newer generation exists ----------> sent once more, to the new master
        |             +-- none ------------------------------> `BackendUnavailable`
        +--------- another error reply -----------------------> `BackendRefused`, or `WrongType`
        +--------- no reply ----------------------------------> `ReplyLost`: the step may have happened
"""

from taskhero.backends.redis.backend import RedisBackend

__all__ = ["RedisBackend"]
