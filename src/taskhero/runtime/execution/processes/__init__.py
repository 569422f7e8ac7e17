"""Processes for tasks with ``run_in="process"``: each calls one function at a time and can be killed.

`pool` and `handle` are the parent's side, `child` is what runs in the processes. Functions are sent by name, arguments
and results pickled.
"""

from __future__ import annotations

from taskhero.runtime.execution.processes.process_pool import ProcessCall, ProcessPool

__all__ = ["ProcessCall", "ProcessPool"]
