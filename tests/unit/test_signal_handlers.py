"""Signal handlers for a block of code."""

from __future__ import annotations

import os
import signal

from taskhero._internal import signal_handlers


def test_a_process_that_is_forked_handles_signals_as_before() -> None:
    """Or `terminate()` of a pool of processes, which a task forks, would change nothing."""

    def ours(*_: object) -> None: ...

    before = signal.getsignal(signal.SIGTERM)
    with (
        signal_handlers.handled({signal.SIGTERM: ours}),
        signal_handlers.handled({signal.SIGTERM: lambda *_: None, signal.SIGHUP: ours}),
    ):
        pid = os.fork()
        if not pid:
            os._exit(int(signal.getsignal(signal.SIGTERM) is before and signal.getsignal(signal.SIGHUP) is not ours))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
        assert signal.getsignal(signal.SIGHUP) is ours
    assert signal.getsignal(signal.SIGTERM) is before
    assert not signal_handlers._before
