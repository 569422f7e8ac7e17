"""Jobs within office hours only: ``@app.task(plugins=(OfficeHours(start=9, end=17),))``."""

from taskhero_office_hours.hours import Hours
from taskhero_office_hours.plugin import OfficeHours

__all__ = ["Hours", "OfficeHours"]
