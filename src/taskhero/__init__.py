"""Background jobs for Python, inside your server or beside it, on the Resque wire."""

__version__ = "0.1.0"
