"""Tasks and the queue."""
