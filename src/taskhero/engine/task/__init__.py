"""Declared tasks.

- `decorators` declares a task on an app. `discovery` imports the files of a folder and collects their tasks.
- `declarations` records where tasks for child processes are declared.
- `functions` accepts what people declare: functions, partials, static and class methods, callable objects.
- `options` checks the options of a declaration. `signature` decides the wire form of the arguments.
- `task` defines the declared task, which enqueues. `task_registry` holds the tasks of an app by name, with their hooks.
"""
