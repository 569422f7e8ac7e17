"""Store jobs in Redis or Valkey, in the format of Resque.

- `backend` defines `RedisBackend`, which combines the mixins of `commands` and `notify`.
- `commands` turns each verb of `taskhero.backends.protocol.Backend` into the keys and arguments of a script.
- `scripts` loads the Lua files of `lua/` and runs them by their hash. One script is one atomic step.
- `connection` finds the server, keeps the connections and translates errors.
- `notify` lets an idle process wait for jobs without polling.
- `fake` runs the same driver on fakeredis, for tests without a server.

In `lua/`, a file whose name starts with an underscore is an include. `settle_and_claim.lua` records how jobs ended,
counts attempts, delays retries and claims jobs. `claim.lua` claims when there is nothing to settle. `prepare.lua`
releases queue-locks and takes job-locks. `promote.lua` moves due jobs, `heartbeat.lua` renews leases, and `rescue.lua`
takes jobs of dead processes.

A verb calls `scripts.run_script`, which sends one command by `connection.ConnectionManager`. Only the heartbeat uses
another connection, `connection.heartbeat_client`, because it runs in its own thread.
"""

from taskhero.backends.redis.backend import RedisBackend

__all__ = ["RedisBackend"]
