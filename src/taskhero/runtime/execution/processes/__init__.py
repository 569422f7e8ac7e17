"""Child processes for tasks with ``run_in="process"``. Each calls one function at a time and can be killed.

- `process_pool` starts child processes, reuses idle ones, and waits for each call in a thread.
- `child_process` is one child process as its parent sees it: start, request, reply, kill.
- `child_main` is the main function of a child process, and defines the messages on the pipe.
- `function_reference` names a function so that a child process can import it.

The pool sends a request with the function's reference and its pickled arguments through a pipe. The child process
imports the function, calls it, and sends back the pickled result or error.
"""

from __future__ import annotations

from taskhero.runtime.execution.processes.process_pool import ProcessCall, ProcessPool

__all__ = ["ProcessCall", "ProcessPool"]
