"""What performs jobs."""
