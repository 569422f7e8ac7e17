"""Log records.

- `event_log` subscribes to the app's events and writes a log record for each.
- `redaction` masks the values of the parameters that `Settings.filtered_params` names. `event_log` applies it.
"""
