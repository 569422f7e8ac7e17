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
from taskhero.conformance.concurrency import Concurrency  # noqa: E402
from taskhero.conformance.cron import CronTasks  # noqa: E402
from taskhero.conformance.damage import Damage  # noqa: E402
from taskhero.conformance.delays import Delays  # noqa: E402
from taskhero.conformance.exchange import Exchanging  # noqa: E402
from taskhero.conformance.extremes import Extremes  # noqa: E402
from taskhero.conformance.failures import Failures  # noqa: E402
from taskhero.conformance.fairness import Fairness  # noqa: E402
from taskhero.conformance.holding import Holding  # noqa: E402
from taskhero.conformance.inspection import Inspection  # noqa: E402
from taskhero.conformance.isolation import Isolation  # noqa: E402
from taskhero.conformance.leader import Leadership  # noqa: E402
from taskhero.conformance.leases import LeaseKeeping  # noqa: E402
from taskhero.conformance.leftovers import Leftovers  # noqa: E402
from taskhero.conformance.lifecycle import Lifecycle  # noqa: E402
from taskhero.conformance.next_runs import NextRuns  # noqa: E402
from taskhero.conformance.overseeing import Overseeing  # noqa: E402
from taskhero.conformance.periodic import PeriodicTasks  # noqa: E402
from taskhero.conformance.preparing import Preparing  # noqa: E402
from taskhero.conformance.producing import Producing  # noqa: E402
from taskhero.conformance.promises import promises_of  # noqa: E402
from taskhero.conformance.promoting import Promoting  # noqa: E402
from taskhero.conformance.registration import Registration  # noqa: E402
from taskhero.conformance.rescue import Rescue  # noqa: E402
from taskhero.conformance.retrying import Retrying  # noqa: E402
from taskhero.conformance.schedule import Scheduling  # noqa: E402
from taskhero.conformance.settling import Settling  # noqa: E402
from taskhero.conformance.spoilt_places import SpoiltPlaces  # noqa: E402
from taskhero.conformance.suite import Suite  # noqa: E402
from taskhero.conformance.texts import Texts  # noqa: E402
from taskhero.conformance.waking import Waking  # noqa: E402

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
