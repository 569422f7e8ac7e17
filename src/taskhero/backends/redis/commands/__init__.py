"""The verbs of the contract as commands and scripts, one module for each group of verbs.

Each module defines a mixin of `RedisBackend`. All derive from `command_group`, which holds the connection, the keys and
the clock.
"""
