"""Backends that fail to wake waiting processes."""

import asyncio

from broken.broken_backends import found_by
from taskhero.backends.memory import MemoryBackend
from taskhero.backends.memory.store import Store
from taskhero.backends.memory.wakeup_queue import WakeupQueue
from taskhero.backends.protocol import Wakeup
from taskhero.conformance import Claiming, Waiting


class WithWakeupQueue(MemoryBackend):
    """Base of backends with another wake-up queue."""

    wakeup_queue = WakeupQueue

    def make_store(self):
        return Store(wakeups=self.wakeup_queue())


@found_by(Waiting, "test_a_wake_up_between_two_waits_is_kept", "test_no_wake_up_is_lost", only=True)
class LosesWakeUps(WithWakeupQueue):
    """Lose a wake-up while no process waits."""

    class wakeup_queue(WakeupQueue):
        def signal(self, queue):
            super().signal(queue)
            self.pending_queues.clear()


@found_by(Waiting, "test_a_wake_up_for_the_schedule_is_kept", only=True)
class LosesWakeUpsForTheSchedule(WithWakeupQueue):
    """Lose an earlier due time while no process waits."""

    class wakeup_queue(WakeupQueue):
        def signal_schedule(self):
            super().signal_schedule()
            self.pending_schedule = False


@found_by(Waiting, "test_an_earlier_due_time_wakes_a_process_that_waits_for_the_schedule", only=True)
class SleepsPastAnEarlierDueTime(WithWakeupQueue):
    """Wake a scheduler only for the first due time."""

    class wakeup_queue(WakeupQueue):
        signalled = False

        def signal_schedule(self):
            if not self.signalled:
                super().signal_schedule()
            self.signalled = True


@found_by(Waiting, "test_about_one_process_is_woken_for_a_job")
class WakesAllProcesses(WithWakeupQueue):
    """Wake every waiting process for each job."""

    class wakeup_queue(WakeupQueue):
        def signal(self, queue):
            for _ in list(self.waiting):
                super().signal(queue)
            super().signal(queue)


@found_by(Waiting, "test_a_cancelled_wait_loses_no_wake_up", only=True)
class ForgetsCancelledWakeUps(WithWakeupQueue):
    """Do not forward the wake-up of a wait that is cancelled in the same instant."""

    class wakeup_queue(WakeupQueue):
        def forward(self, waiter):
            pass


@found_by(Waiting, "test_a_wait_ends_when_its_time_is_up[queue]", only=True)
class WaitsForever(MemoryBackend):
    """Ignore the timeout of a wait."""

    async def wait(self, process, subscription, _timeout):
        return await super().wait(process, subscription, 10**6)


@found_by(Waiting, "test_a_new_queue_wakes_a_process_that_waits_for_all_queues", only=True)
class KnowsNoNewQueues(MemoryBackend):
    """Wait only for the queues that the subscription names."""

    async def wait(self, process, subscription, timeout):
        from taskhero.backends.protocol import Subscription

        return await super().wait(process, Subscription(subscription.queues, schedule=subscription.schedule), timeout)


@found_by(Waiting, "test_a_wake_up_for_a_new_queue_says_so", only=True)
class ForgetsNewQueues(MemoryBackend):
    """Mark every wake-up as one for queues that the subscription names."""

    async def wait(self, process, subscription, timeout):
        wakeup = await super().wait(process, subscription, timeout)
        return Wakeup(wakeup.jobs, wakeup.schedule, only_named=wakeup.jobs)


@found_by(Waiting, "test_a_wake_up_between_two_waits_is_kept", only=True)
class ReturnsForNothing(MemoryBackend):
    """End every wait at once."""

    async def wait(self, process, subscription, timeout):
        await asyncio.sleep(0)
        return Wakeup()


@found_by(Waiting, "test_a_wait_is_cancelled", only=True)
class CannotBeCancelled(MemoryBackend):
    """Continue a wait that is cancelled."""

    async def wait(self, process, subscription, timeout):
        waiting = asyncio.ensure_future(super().wait(process, subscription, timeout))
        while True:
            try:
                return await asyncio.shield(waiting)
            except asyncio.CancelledError:
                if waiting.done():
                    raise


@found_by(Waiting, "test_a_wake_up_is_forwarded", only=True)
class ForwardsNothing(MemoryBackend):
    """Forward no wake-up."""

    async def notify(self, queues):
        pass


@found_by(Claiming, "test_another_process_is_woken_for_what_remains", only=True)
@found_by(Waiting, "test_many_jobs_at_once_wake_as_many_as_it_takes", only=True)
class ClaimsWithoutForwarding(MemoryBackend):
    """Wake no process for the jobs that a claim leaves."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        wakeup_queue = self.store.wakeups
        wakeup_queue.signal = lambda _queue: None
        try:
            return await super().settle_and_claim(process, settlements, free_slots, queues)
        finally:
            del wakeup_queue.signal
