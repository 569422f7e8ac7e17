"""Plugins that come with taskhero."""
