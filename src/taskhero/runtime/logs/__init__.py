"""Log records.

- `event_log` writes a log record for each event.
- `redaction` hides the values of parameters that the settings name.
"""
