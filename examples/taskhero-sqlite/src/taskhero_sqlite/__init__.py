"""A backend for taskhero that keeps its jobs in a SQLite file: ``TaskHero("sqlite:///jobs.db")``."""

from taskhero_sqlite.backend import SqliteBackend

__all__ = ["SqliteBackend"]
