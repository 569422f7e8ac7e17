"""The kit that proves a backend: every promise of `taskhero.backends.protocol.Backend` as a test.

A third party's whole test file::

    import pytest

    from taskhero.conformance import BackendConformance, Capabilities


    class TestSqliteBackend(BackendConformance):
        capabilities = Capabilities(foreign_scheduler=False, lost_lease=False, traces=False)

        @pytest.fixture
        async def backend(self, clock):
            backend = SqliteBackend(":memory:", clock=clock)
            await backend.connect()
            yield backend
            await backend.close()

It needs pytest and anyio (``pip install taskhero[conformance]``) and no configuration; pytest-asyncio, where it is
installed, must not be in its ``auto`` mode. Each test gets a backend that is connected and holds nothing. What a
backend cannot do, it says in its `Capabilities`; how to bring it into states that no verb of the contract makes, its
suite says in the hooks of `Suite`.
"""

from pkgutil import iter_modules

import pytest

# Before the modules are imported, so that a failed assertion shows its values in third parties' runs, too.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in iter_modules(__path__)))

from taskhero.conformance.capabilities import Capabilities  # noqa: E402
from taskhero.conformance.jobs.damaged_data import Damage  # noqa: E402
from taskhero.conformance.jobs.damaged_keys import SpoiltPlaces  # noqa: E402
from taskhero.conformance.jobs.delayed_jobs import Delays  # noqa: E402
from taskhero.conformance.jobs.extreme_numbers import Extremes  # noqa: E402
from taskhero.conformance.jobs.failed_jobs import Failures  # noqa: E402
from taskhero.conformance.jobs.fair_shares import Fairness  # noqa: E402
from taskhero.conformance.jobs.foreign_leftovers import Leftovers  # noqa: E402
from taskhero.conformance.jobs.isolated_items import Isolation  # noqa: E402
from taskhero.conformance.jobs.payload_bytes import Texts  # noqa: E402
from taskhero.conformance.jobs.producing import Producing  # noqa: E402
from taskhero.conformance.jobs.promoting import Promoting  # noqa: E402
from taskhero.conformance.jobs.queue_inspection import Inspection  # noqa: E402
from taskhero.conformance.jobs.scheduling import Scheduling  # noqa: E402
from taskhero.conformance.processes.claiming import Exchanging  # noqa: E402
from taskhero.conformance.processes.concurrency import Concurrency  # noqa: E402
from taskhero.conformance.processes.held_locks import Holding  # noqa: E402
from taskhero.conformance.processes.lease_keeping import LeaseKeeping  # noqa: E402
from taskhero.conformance.processes.lifecycle import Lifecycle  # noqa: E402
from taskhero.conformance.processes.preparing import Preparing  # noqa: E402
from taskhero.conformance.processes.registration import Registration  # noqa: E402
from taskhero.conformance.processes.rescuing import Rescue  # noqa: E402
from taskhero.conformance.processes.retrying import Retrying  # noqa: E402
from taskhero.conformance.processes.settling import Settling  # noqa: E402
from taskhero.conformance.processes.waiting import Waking  # noqa: E402
from taskhero.conformance.processes.worker_administration import Overseeing  # noqa: E402
from taskhero.conformance.promises import promises_of  # noqa: E402
from taskhero.conformance.schedulers.cron_tasks import CronTasks  # noqa: E402
from taskhero.conformance.schedulers.leadership import Leadership  # noqa: E402
from taskhero.conformance.schedulers.next_runs import NextRuns  # noqa: E402
from taskhero.conformance.schedulers.periodic_chains import PeriodicTasks  # noqa: E402
from taskhero.conformance.suite import Suite  # noqa: E402

__all__ = [
    "BackendConformance",
    "Capabilities",
    "Concurrency",
    "CronTasks",
    "Damage",
    "Delays",
    "Exchanging",
    "Extremes",
    "Failures",
    "Fairness",
    "Holding",
    "Inspection",
    "Isolation",
    "Leadership",
    "LeaseKeeping",
    "Leftovers",
    "Lifecycle",
    "NextRuns",
    "Overseeing",
    "PeriodicTasks",
    "Preparing",
    "Producing",
    "Promoting",
    "Registration",
    "Rescue",
    "Retrying",
    "Scheduling",
    "Settling",
    "SpoiltPlaces",
    "Suite",
    "Texts",
    "Waking",
    "promises_of",
]


class BackendConformance(
    Lifecycle,
    Texts,
    Producing,
    Scheduling,
    Promoting,
    Registration,
    Exchanging,
    Fairness,
    Preparing,
    Settling,
    Retrying,
    Holding,
    LeaseKeeping,
    Rescue,
    Waking,
    Leadership,
    NextRuns,
    PeriodicTasks,
    CronTasks,
    Inspection,
    Delays,
    Failures,
    Overseeing,
    Damage,
    Isolation,
    SpoiltPlaces,
    Extremes,
    Leftovers,
    Concurrency,
):
    """All topics; derive a class named ``Test...`` from it and give it a fixture ``backend``."""
