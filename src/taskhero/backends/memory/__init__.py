"""Jobs in the memory of one program."""

from taskhero.backends.memory.backend import MemoryBackend

__all__ = ["MemoryBackend"]
