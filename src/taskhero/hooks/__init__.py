"""Where taskhero can be extended."""
