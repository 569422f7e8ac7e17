"""Jobs in Redis or Valkey."""

from taskhero.backends.redis.driver import RedisBackend

__all__ = ["RedisBackend"]
