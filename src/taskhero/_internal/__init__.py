"""Private helpers that know nothing of jobs. All layers import them; they do not use each other.

- `async_helpers`: cancel tasks and wait for them; an interruptible sleep.
- `signal_handlers`: handlers of signals for a block of code.
- `bounds`: the bounds of numbers that a backend accepts.
- `display`: the form of values, paths and URLs in messages.
- `suggestions`: the known names that a misspelt name may mean.
- `interpreter`: the undocumented parts of the interpreter and of multiprocessing, each with a fallback.
- `lazy`: names that a package imports on first use.
- `entry_points`: the entry points of installed distributions.
"""
