"""What `taskhero demo` shows: a few seconds of a shop's background jobs, in memory."""
