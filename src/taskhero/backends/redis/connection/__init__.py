"""Connections to one Redis.

- `addresses` finds the server: one server, the master that Sentinels name, or a node of a Cluster.
- `connection_manager` keeps the connections, sends commands and translates their errors.
- `pipelined` sends commands on one connection without waiting for the reply to the one before.
"""
