"""The command line `taskhero`. It needs the extra `cli`.

`main` defines the command and imports each verb on its first use. `commands/` has one module for each group of verbs,
and `demo/` the program of ``taskhero demo``. The verbs share these modules: `targets` opens the app or the backend that
the options name, `app_loader` imports apps, `parameters` reads the values of options, `output` and `formatting` print
tables and JSON, `groups` turns errors into short messages and exit codes. `failure_selection` chooses failed jobs,
`logging_setup` configures the log of `taskhero work`, `hints` knows the verbs of other queues, and `completion`
completes names in the shell.
"""
