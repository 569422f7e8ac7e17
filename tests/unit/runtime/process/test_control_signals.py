"""The control commands of a worker process, from signals and from its parent."""

from __future__ import annotations

import asyncio
import signal

import pytest

from taskhero.runtime.process.control_signals import PARENT, ControlCommand, ControlSignals, control_signals_kept

pytestmark = pytest.mark.anyio
LIMIT = 10
NUMBERS = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT]


class Heard:
    """Commands as they come."""

    def __init__(self) -> None:
        self.all: list[tuple[ControlCommand, str]] = []
        self._news = asyncio.Event()

    def __call__(self, command: ControlCommand, sender: str) -> None:
        self.all.append((command, sender))
        self._news.set()

    async def until(self, number: int) -> None:
        async with asyncio.timeout(LIMIT):
            while len(self.all) < number:
                self._news.clear()
                await self._news.wait()


@pytest.fixture
def heard() -> Heard:
    return Heard()


async def test_each_signal_is_a_command_and_they_keep_their_order(heard: Heard) -> None:
    before = [signal.getsignal(number) for number in NUMBERS]
    with ControlSignals() as control:
        control.deliver_to(heard, asyncio.get_running_loop())
        for number in (signal.SIGUSR2, signal.SIGCONT, signal.SIGUSR1):
            signal.raise_signal(number)
        await heard.until(3)
    assert heard.all == [
        (ControlCommand.PAUSE, "SIGUSR2"),
        (ControlCommand.RESUME, "SIGCONT"),
        (ControlCommand.FAIL, "SIGUSR1"),
    ]
    assert [signal.getsignal(number) for number in NUMBERS] == before


async def test_commands_that_come_while_the_process_starts_are_kept(heard: Heard) -> None:
    with control_signals_kept():
        signal.raise_signal(signal.SIGUSR2)
        with ControlSignals() as control:
            signal.raise_signal(signal.SIGCONT)
            control.send(ControlCommand.PAUSE, PARENT)
            control.deliver_to(heard, asyncio.get_running_loop())
            assert heard.all == [
                (ControlCommand.PAUSE, "SIGUSR2"),
                (ControlCommand.RESUME, "SIGCONT"),
                (ControlCommand.PAUSE, PARENT),
            ]
        signal.raise_signal(signal.SIGUSR1)  # after the end, too, it does no harm
    assert not heard.all[3:]


async def test_commands_are_kept_in_the_main_thread_only() -> None:
    def keep() -> None:
        with control_signals_kept():
            assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL

    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    await asyncio.to_thread(keep)


@pytest.mark.parametrize("first", ["SIGUSR1", PARENT])
async def test_one_signal_to_all_processes_of_a_service_fails_jobs_once(heard: Heard, first: str) -> None:
    """It comes as a signal and through the parent."""
    now = [100.0]
    second = PARENT if first != PARENT else "SIGUSR1"
    with ControlSignals(lambda: now[0]) as control:
        for by in (first, second):
            control.send(ControlCommand.FAIL, by)
        now[0] += 0.5
        control.send(ControlCommand.FAIL, second)  # another one, quickly
        control.send(ControlCommand.FAIL, second)  # the same way twice is twice
        now[0] += 10
        for by in (first, second):
            control.send(ControlCommand.FAIL, by)
        control.deliver_to(heard, asyncio.get_running_loop())
    assert [by for _, by in heard.all] == [first, second, second, first]


def test_a_loop_that_is_closed_is_told_nothing() -> None:
    loop = asyncio.new_event_loop()
    control = ControlSignals()
    control.deliver_to(lambda *_: None, loop)
    loop.close()
    control.send(ControlCommand.FAIL, "a test")
