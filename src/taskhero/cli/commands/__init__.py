"""The verbs of the command line, one module for each group of verbs.

`taskhero.cli.main` lists them by name and imports a module on the first use of its verb. `status` takes its rows from
`queues` and `workers`, `failed` its sub-verbs from `failed_actions`, and `generate` the text of files from
`task_template`.
"""
