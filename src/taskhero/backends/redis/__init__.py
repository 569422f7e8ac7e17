"""Jobs in Redis or Valkey."""

from taskhero.backends.redis.backend import RedisBackend

__all__ = ["RedisBackend"]
