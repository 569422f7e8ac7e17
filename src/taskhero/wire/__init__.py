"""What lies in the store, as pure functions: keys, JSON, jobs, failures, workers."""
