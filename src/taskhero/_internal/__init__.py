"""Helpers without any knowledge of jobs. Nothing outside taskhero imports them.

- `async_helpers`: cancel tasks and wait for them; a sleep that can be cut short.
- `display`: how values, paths and URLs appear in messages.
- `suggestions`: the name that a misspelt one may mean.
- `lazy`: names that a package imports on first use.
- `entry_points`: the entry points of installed distributions.
"""
