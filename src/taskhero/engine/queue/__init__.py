"""``app.queue``: everything that a program does with stored jobs.

`queue` defines `Queue`, the public class: it enqueues. Its base classes inspect and administer: `delayed`, `failed`,
`workers` and `periodic`. All derive from `base`, which holds the backend and the tasks of the app.
"""
