"""The kit that proves a backend: every promise of `taskhero.backends.protocol.Backend` as a test.

The topics are in `jobs`, `processes` and `schedulers`. `suite` has the fixtures and the hooks that a suite overrides,
`capabilities` what a backend may lack, `promises` which sentence of the contract a test proves, and `steps` what many
tests do. `simple_worker` is a worker in a few lines, for tests of several processes.

A third party's whole test file::

    import pytest

    from taskhero.conformance import BackendConformance, Capabilities


    class TestSqliteBackend(BackendConformance):
        capabilities = Capabilities(foreign_scheduler=False, lost_lease=False, last_errors=False)

        @pytest.fixture
        async def backend(self, clock):
            backend = SqliteBackend(":memory:", clock=clock)
            await backend.connect()
            yield backend
            await backend.close()

The kit needs pytest and anyio (``pip install taskhero[conformance]``) and no configuration. If pytest-asyncio is
installed, it must not run in its ``auto`` mode. Each test gets a connected, empty backend. A suite declares in its
`Capabilities` what the backend cannot do. The hooks of `Suite` create the states that no verb of the contract creates.
"""

from pkgutil import iter_modules

import pytest

# This must precede the imports, so that failed assertions show their values in third parties' runs too.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in iter_modules(__path__)))

from taskhero.conformance.capabilities import Capabilities  # noqa: E402
from taskhero.conformance.jobs.blocked_destinations import BlockedDestinations  # noqa: E402
from taskhero.conformance.jobs.damaged_data import DamagedData  # noqa: E402
from taskhero.conformance.jobs.delayed_jobs import DelayedJobListing  # noqa: E402
from taskhero.conformance.jobs.extreme_numbers import ExtremeNumbers  # noqa: E402
from taskhero.conformance.jobs.failed_jobs import FailedJobListing  # noqa: E402
from taskhero.conformance.jobs.fair_shares import FairShares  # noqa: E402
from taskhero.conformance.jobs.foreign_leftovers import ForeignLeftovers  # noqa: E402
from taskhero.conformance.jobs.isolated_items import IsolatedItems  # noqa: E402
from taskhero.conformance.jobs.payload_bytes import PayloadBytes  # noqa: E402
from taskhero.conformance.jobs.producing import Producing  # noqa: E402
from taskhero.conformance.jobs.promoting import Promoting  # noqa: E402
from taskhero.conformance.jobs.queue_inspection import QueueInspection  # noqa: E402
from taskhero.conformance.jobs.scheduling import Scheduling  # noqa: E402
from taskhero.conformance.processes.claiming import Claiming  # noqa: E402
from taskhero.conformance.processes.concurrency import Concurrency  # noqa: E402
from taskhero.conformance.processes.foreign_workers import ForeignWorkers  # noqa: E402
from taskhero.conformance.processes.held_locks import HeldLocks  # noqa: E402
from taskhero.conformance.processes.lease_keeping import LeaseKeeping  # noqa: E402
from taskhero.conformance.processes.lifecycle import Lifecycle  # noqa: E402
from taskhero.conformance.processes.preparing import Preparing  # noqa: E402
from taskhero.conformance.processes.registration import Registration  # noqa: E402
from taskhero.conformance.processes.rescuing import Rescuing  # noqa: E402
from taskhero.conformance.processes.retrying import Retrying  # noqa: E402
from taskhero.conformance.processes.settling import Settling  # noqa: E402
from taskhero.conformance.processes.waiting import Waiting  # noqa: E402
from taskhero.conformance.processes.worker_administration import WorkerAdministration  # noqa: E402
from taskhero.conformance.promises import promises_of  # noqa: E402
from taskhero.conformance.schedulers.cron_tasks import CronTasks  # noqa: E402
from taskhero.conformance.schedulers.leadership import Leadership  # noqa: E402
from taskhero.conformance.schedulers.next_runs import NextRuns  # noqa: E402
from taskhero.conformance.schedulers.periodic_chains import PeriodicChains  # noqa: E402
from taskhero.conformance.suite import Suite  # noqa: E402

__all__ = [
    "BackendConformance",
    "BlockedDestinations",
    "Capabilities",
    "Claiming",
    "Concurrency",
    "CronTasks",
    "DamagedData",
    "DelayedJobListing",
    "ExtremeNumbers",
    "FailedJobListing",
    "FairShares",
    "ForeignLeftovers",
    "ForeignWorkers",
    "HeldLocks",
    "IsolatedItems",
    "Leadership",
    "LeaseKeeping",
    "Lifecycle",
    "NextRuns",
    "PayloadBytes",
    "PeriodicChains",
    "Preparing",
    "Producing",
    "Promoting",
    "QueueInspection",
    "Registration",
    "Rescuing",
    "Retrying",
    "Scheduling",
    "Settling",
    "Suite",
    "Waiting",
    "WorkerAdministration",
    "promises_of",
]


class BackendConformance(
    Lifecycle,
    PayloadBytes,
    Producing,
    Scheduling,
    Promoting,
    Registration,
    Claiming,
    FairShares,
    Preparing,
    Settling,
    Retrying,
    HeldLocks,
    LeaseKeeping,
    Rescuing,
    Waiting,
    Leadership,
    NextRuns,
    PeriodicChains,
    CronTasks,
    QueueInspection,
    DelayedJobListing,
    FailedJobListing,
    WorkerAdministration,
    ForeignWorkers,
    DamagedData,
    IsolatedItems,
    BlockedDestinations,
    ExtremeNumbers,
    ForeignLeftovers,
    Concurrency,
):
    """All topics. Derive a class named ``Test...`` from it and give that class a fixture ``backend``."""
