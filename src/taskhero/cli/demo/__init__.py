"""The program of `taskhero demo`: a shop's background jobs for a few seconds, in memory.

`shop` has the app, its tasks and the script that enqueues jobs. `board` collects the app's events, `tables` draws the
board, and `screen` runs the demo.
"""
