"""Connect to one Redis server, send commands, and follow the server when it moves.

- `url_options` parses URLs and makes the options of all connections.
- `address` defines what an address is: the server of now, and a generation that grows when it moves.
- `topologies` makes addresses: one server, the master that Sentinels name, or a node of a Cluster.
- `sentinel_listener` learns from Sentinels that another server became the master.
- `master_errors` recognizes the errors of a server that cannot act as the master.
- `master_connections` keeps the connections of one event loop and replaces those of an older generation.
- `connection_manager` sends commands on them and translates errors.
- `pipelined` sends commands on one connection without waiting for the previous reply.
- `redis_py_internals` reads private attributes of redis-py and asyncio, each with a fallback.
- `heartbeat_client` is the connection of the heartbeat's thread.

Every connection records the generation in which it was made. When a connection fails, its user calls
`Address.follow`, which locates the server and, if it moved, starts a new generation. All users then reconnect.
"""
