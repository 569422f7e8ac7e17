"""Which leases are expired, by what a process saw of them and by its own clock."""

from __future__ import annotations

import pytest

from taskhero.backends.protocol import Lease, Leases
from taskhero.runtime.worker.lease_watch import LeaseSnapshot, LeaseWatch

HEARTBEAT, RESCUE_AFTER = 3.0, 12.0
DEAD = Lease("host.dead:1", "7", 12.0)


class Watch:
    """A watch with the default settings, and its clock."""

    def __init__(self, heartbeat: float = HEARTBEAT, rescue_after: float = RESCUE_AFTER) -> None:
        self.heartbeat = heartbeat
        self.watch = LeaseWatch(heartbeat=heartbeat, rescue_after=rescue_after)
        self.now = 1000.0

    def look(self, *leases: Lease, since: float | None = None) -> None:
        self.watch.update(LeaseSnapshot(self.now, Leases("", leases), since))

    def watch_for(self, seconds: float, *leases: Lease) -> None:
        """Let time pass with looks at each heartbeat, the first one now and the last one at the end."""
        end = self.now + seconds
        self.look(*leases)
        while self.now < end:
            self.now = min(self.now + self.heartbeat, end)
            self.look(*leases)

    @property
    def expired(self) -> list[Lease]:
        return self.watch.expired(self.now)


def test_a_lease_that_is_not_renewed_expires_when_it_was_watched_for_long_enough() -> None:
    watch = Watch()
    watch.watch_for(11.9, DEAD)
    assert watch.expired == []
    assert watch.watch.next_expiry(watch.now) == pytest.approx(1012.0)
    watch.now += 0.1
    assert watch.expired == [DEAD], "at that instant, and not at the next look"
    assert watch.watch.next_expiry(watch.now) is None


def test_a_process_that_just_started_knows_of_nothing() -> None:
    watch = Watch()
    assert (watch.expired, watch.watch.next_expiry(watch.now)) == ([], None)
    watch.look(DEAD)
    assert watch.expired == []


def test_each_renewal_begins_the_watch_anew() -> None:
    watch = Watch()
    for number in range(20):
        watch.watch_for(9, Lease("host.busy:1", str(number), 12.0))
        assert watch.expired == []


def test_a_lease_that_is_shown_no_more_is_watched_no_more() -> None:
    watch = Watch()
    watch.watch_for(12, DEAD)
    assert watch.expired == [DEAD]
    watch.look()
    assert (watch.expired, watch.watch.next_expiry(watch.now)) == ([], None)
    watch.look(DEAD)
    assert watch.expired == []


def test_a_lease_that_the_answer_before_would_have_shown_has_been_watched_since_then() -> None:
    """It was renewed before that answer: else it would be left out of this one."""
    watch = Watch()
    watch.look()
    watch.now += HEARTBEAT
    watch.look(DEAD, since=1000.0)
    watch.watch_for(9, DEAD)
    assert watch.expired == [DEAD]


def test_what_an_answer_before_a_gap_would_have_shown_does_not_count() -> None:
    watch = Watch()
    watch.look()
    watch.now += 100
    watch.look(DEAD, since=1000.0)
    watch.watch_for(11.9, DEAD)
    assert watch.expired == []
    watch.now += 0.1
    assert watch.expired == [DEAD]


def test_a_longer_lease_is_watched_for_longer_and_a_shorter_one_is_not_for_less() -> None:
    watch = Watch()
    long, short = Lease("host.long:1", "1", 60.0), Lease("host.short:1", "2", 1.0)
    watch.watch_for(11.9, long, short)
    assert watch.expired == []
    watch.watch_for(47.9, long, short)
    assert watch.expired == [short]
    watch.watch_for(0.3, long, short)
    assert watch.expired == [long, short]


@pytest.mark.parametrize("watched", [0.0, 3.0, 6.0, 9.0, 11.9, 60.0])
def test_after_a_gap_the_watch_goes_back_to_two_heartbeats(watched: float) -> None:
    watch = Watch()
    watch.watch_for(watched, DEAD)
    watch.now += 15
    assert watch.expired == [], "nothing expires while the store cannot be reached"
    back = watch.now
    watch.look(DEAD)
    left = RESCUE_AFTER - min(watched, 2 * HEARTBEAT)
    assert watch.watch.next_expiry(watch.now) == pytest.approx(back + left)
    watch.watch_for(left - 0.1, DEAD)
    assert watch.expired == []
    watch.now += 0.1
    assert watch.expired == [DEAD]


def test_a_living_process_has_two_heartbeats_after_a_gap_whatever_the_settings() -> None:
    """With the shortest `rescue_after`, the whole of it is left."""
    watch = Watch(heartbeat=3.0, rescue_after=6.0)
    watch.watch_for(5.9, DEAD)
    watch.now += 100
    watch.watch_for(5.9, DEAD)
    assert watch.expired == []


@pytest.mark.parametrize(("late", "gap"), [(0.0, False), (0.7, False), (0.8, True), (3.0, True)])
def test_a_look_that_is_hardly_late_is_no_gap(late: float, gap: bool) -> None:
    watch = Watch()
    watch.watch_for(9, DEAD)
    watch.now += HEARTBEAT + late
    assert watch.expired == ([] if gap else [DEAD])
    watch.look(DEAD)
    assert watch.expired == ([] if gap else [DEAD])


def test_a_process_that_was_suspended_itself_takes_nobody_for_dead() -> None:
    """What it saw before is old, however long its lease was watched."""
    watch = Watch()
    watch.watch_for(6, DEAD)
    watch.now += 3600
    assert watch.expired == []
    watch.look(DEAD)
    assert watch.expired == []


def test_a_look_whose_answer_comes_late_does_no_harm() -> None:
    """Two connections look; answers need not come in the order of the looks."""
    watch = Watch()
    watch.watch_for(9, DEAD)
    watch.watch.update(LeaseSnapshot(watch.now - 1, Leases("", (DEAD,))))
    watch.now += HEARTBEAT
    assert watch.expired == [DEAD]
