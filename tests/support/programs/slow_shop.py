"""The app of `shop`, which takes until SIGALRM to be imported."""

from __future__ import annotations

import signal

from shop import app, say

__all__ = ["app"]

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
say("importing")
signal.sigwait({signal.SIGALRM})
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
