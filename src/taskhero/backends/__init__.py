"""Stores of jobs: the contract and the drivers that implement it.

`protocol` declares `Backend`, the only interface that the engine uses. Its verbs for periodic tasks are declared in
`periodic_protocol`, those for inspection and repair in `inspection_protocol`. The verbs take and return the records of
`records`. `registry` makes a backend from a URL: it finds the driver of the URL's scheme and imports it. `memory` and
`redis` are drivers. Drivers do not import each other.
"""
