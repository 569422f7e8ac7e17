"""The command line `taskhero`. It needs the extra `cli`.

`main` defines the command and imports each verb on its first use. `commands/` has one module for each group of verbs,
and `demo/` the program of ``taskhero demo``. The verbs share these modules: `targets` opens the app or the backend that
the options name, `app_loader` imports apps, `parameters` reads the values of options, `output` and `formatting` print
tables and JSON, `groups` turns errors into short messages and exit codes.
"""
