"""Jobs in the memory of one program."""

from .backend import MemoryBackend

__all__ = ["MemoryBackend"]
