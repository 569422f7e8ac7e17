"""Declared tasks.

- `decorators` declares a task on an app. `discovery` imports the files of a folder and collects their tasks.
- `options` checks the options of a declaration. `signature` decides the wire form of the arguments.
- `task` defines the declared task, which enqueues. `task_registry` holds the tasks of an app by name, with their hooks.
"""
