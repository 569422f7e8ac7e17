"""Declared tasks.

- `decorators` declares a task on an app, `discovery` finds the declarations of a folder.
- `options` checks what a task is declared with, `signature` decides the wire form of its arguments.
- `task` is the declared task, `task_registry` holds the tasks of an app by name.
"""
