"""The thread that keeps a process alive."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest
from dispatcher_harness import Signals

from taskhero.backends.protocol import HeartbeatReply, Lease, Leases, Process
from taskhero.errors import BackendUnavailable
from taskhero.runtime.worker.heartbeat import RETRY_INTERVAL, Heartbeat
from taskhero.runtime.worker.lease_watch import LeaseSnapshot

pytestmark = pytest.mark.anyio

PROCESS = Process("host.abc:1", ("*",))


class Beats:
    """A backend that can only be beaten to, from a heart with a long interval."""

    def __init__(self, interval: float = 60.0) -> None:
        self.signals = Signals()
        self.until = self.signals.until
        self.calls: list[tuple[str, tuple[int, ...], float, bool]] = []
        self.seen: list[str] = []
        self.threads: set[str] = set()
        self.answers: list[HeartbeatReply | Exception] = []
        self.gate = threading.Event()
        self.gate.set()
        self.beats: list[tuple[HeartbeatReply, tuple[int, ...]]] = []
        self.looks: list[LeaseSnapshot] = []
        self.errors: list[Exception] = []
        self.slots: tuple[int, ...] = (1, 2)
        self.heart = Heartbeat(
            backend=self,
            process=PROCESS,
            interval=interval,
            lease=12.0,
            slots=lambda: self.slots,
            on_reply=lambda beat, slots: self._note(self.beats, (beat, slots)),
            on_leases=lambda look: self._note(self.looks, look),
            on_error=lambda error: self._note(self.errors, error),
        )

    def heartbeat(
        self, process: Process, slots: tuple[int, ...], lease: float, *, full: bool, locks: object = (), seen: str = ""
    ) -> HeartbeatReply:
        self.calls.append((process.name, slots, lease, full))
        self.seen.append(seen)
        self.threads.add(threading.current_thread().name)
        self.signals.happen()
        self.gate.wait(10)
        answer = self.answers.pop(0) if self.answers else HeartbeatReply(True)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _note(self, where: list, what: object) -> None:
        assert threading.current_thread() is threading.main_thread()
        where.append(what)
        self.signals.happen()


@pytest.fixture
async def beats() -> AsyncIterator[Beats]:
    beats = Beats()
    yield beats
    beats.gate.set()
    assert await beats.heart.stop(5)


async def test_the_first_beat_comes_at_once_in_full_and_from_a_thread(beats: Beats) -> None:
    beats.heart.start()
    await beats.until(lambda: beats.beats)
    assert beats.calls == [("host.abc:1", (1, 2), 12.0, True)]
    assert beats.threads == {"taskhero host.abc:1 heartbeat"}
    assert beats.beats == [(HeartbeatReply(True), (1, 2))]


async def test_it_beats_on_while_a_task_hogs_the_loop() -> None:
    beats = Beats(interval=0.001)
    beats.heart.start()
    await beats.until(lambda: len(beats.calls) > 1)
    before = len(beats.calls)
    deadline = time.monotonic() + 5
    while len(beats.calls) < before + 3 and time.monotonic() < deadline:
        pass
    assert len(beats.calls) >= before + 3
    assert await beats.heart.stop(5)


async def test_only_some_beats_are_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskhero.runtime.worker.heartbeat.FULL_INTERVAL", 0.05)
    beats = Beats(interval=0.01)
    beats.heart.start()
    await beats.until(lambda: sum(call[3] for call in beats.calls) >= 3)
    assert sum(not call[3] for call in beats.calls) >= 2
    assert await beats.heart.stop(5)


async def test_a_later_full_beat_that_failed_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskhero.runtime.worker.heartbeat.FULL_INTERVAL", 0.1)
    beats = Beats(interval=0.2)
    beats.heart.start()
    await beats.until(lambda: beats.beats)
    beats.answers = [BackendUnavailable("no route")]
    await beats.until(lambda: len(beats.calls) >= 3)
    assert [call[3] for call in beats.calls[:3]] == [True, True, True]
    assert await beats.heart.stop(5)


async def test_an_error_is_told_and_the_next_beat_comes_sooner_and_is_still_full() -> None:
    beats = Beats(interval=0.03)
    beats.answers = [BackendUnavailable("no route"), RuntimeError("a bug"), HeartbeatReply(False, ("host.abc:1+1",))]
    beats.heart.start()
    await beats.until(lambda: beats.beats)
    assert [type(error) for error in beats.errors] == [BackendUnavailable, RuntimeError]
    assert [call[3] for call in beats.calls[:3]] == [True, True, True]
    assert beats.beats[0][0] == HeartbeatReply(False, ("host.abc:1+1",))
    assert await beats.heart.stop(5)


async def test_it_stops_at_once(beats: Beats) -> None:
    beats.heart.start()
    await beats.until(lambda: beats.beats)
    begun = time.monotonic()
    assert await beats.heart.stop(30)
    assert time.monotonic() - begun < 1
    assert "taskhero host.abc:1 heartbeat" not in [thread.name for thread in threading.enumerate()]
    assert len(beats.calls) == 1


async def test_a_stop_waits_for_the_beat_under_way_but_not_for_ever(beats: Beats) -> None:
    beats.gate.clear()
    beats.heart.start()
    await beats.until(lambda: beats.calls)
    assert not await beats.heart.stop(0.05)
    stopping = asyncio.create_task(beats.heart.stop(10))
    beats.gate.set()
    assert await asyncio.wait_for(stopping, 5)


async def test_a_heart_that_was_never_started_can_be_stopped(beats: Beats) -> None:
    assert await beats.heart.stop(1)


def test_a_closed_event_loop_ends_it() -> None:
    async def start() -> threading.Thread:
        beats = Beats(interval=0.001)
        before = set(threading.enumerate())
        beats.heart.start()
        await beats.until(lambda: beats.beats)
        (thread,) = set(threading.enumerate()) - before
        return thread

    thread = asyncio.run(start())
    thread.join(5)
    assert not thread.is_alive()


async def test_each_beat_leaves_out_the_leases_that_were_renewed_since_the_last_answer() -> None:
    """An answer that did not come counts as none; the time of each look is when its answer came."""
    beats = Beats(interval=0.03)
    lease = Lease("host.dead:1", "3", 12.0)
    beats.answers = [
        HeartbeatReply(True, leases=Leases("7")),
        BackendUnavailable("no route"),
        HeartbeatReply(True, leases=Leases("9", (lease,))),
    ]
    begun = time.monotonic()
    beats.heart.start()
    await beats.until(lambda: len(beats.looks) >= 2)
    assert beats.seen[:3] == ["", "7", "7"]
    first, second = beats.looks[:2]
    assert (first.leases, first.since) == (Leases("7"), None)
    assert (second.leases, second.since) == (Leases("9", (lease,)), first.at)
    assert begun <= first.at < second.at <= time.monotonic()
    assert await beats.heart.stop(5)


async def test_beats_that_fail_are_tried_again_every_second_however_long_the_interval_is() -> None:
    beats = Beats(interval=3600.0)
    beats.answers = [BackendUnavailable("no route")]
    beats.heart.start()
    await beats.until(lambda: beats.beats)
    assert len(beats.calls) == 2
    assert RETRY_INTERVAL <= 1
    assert await beats.heart.stop(5)
