"""Jobs in Redis or Valkey."""

from .driver import RedisBackend

__all__ = ["RedisBackend"]
