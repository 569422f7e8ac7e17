"""The stored format of Resque, as pure functions without I/O.

- `keys`: the names of all Redis keys.
- `json`, `json_writer`: read JSON, and write it byte for byte as JavaScript or Ruby does.
- `json_internals`: the undocumented parts of Python's json library, each with a fallback.
- `splicing`: change one member of a JSON object and keep all other bytes.
- `jobs`: payloads, equivalent payloads and rescue marks.
- `equal_jobs`: the keys of locks and counters that equal jobs share.
- `failures`: entries of the failed list.
- `workers`: names of workers, their heartbeats and claims.
- `dates`: the date formats of Resque's programs.

`jobs`, `equal_jobs`, `failures` and `workers` use `json` and `splicing`. Backends, the engine and the plugins use them.
"""
