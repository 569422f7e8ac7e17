"""The signals of a worker process, as its event loop hears of them."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from taskhero.runtime.process import signals
from taskhero.runtime.process.signals import PARENT, Order, Orders, handled, orders_kept

pytestmark = pytest.mark.anyio
LIMIT = 10
NUMBERS = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT]


class Heard:
    """Orders as they come."""

    def __init__(self) -> None:
        self.all: list[tuple[Order, str]] = []
        self._news = asyncio.Event()

    def __call__(self, order: Order, by: str) -> None:
        self.all.append((order, by))
        self._news.set()

    async def until(self, number: int) -> None:
        async with asyncio.timeout(LIMIT):
            while len(self.all) < number:
                self._news.clear()
                await self._news.wait()


@pytest.fixture
def heard() -> Heard:
    return Heard()


async def test_each_signal_is_an_order_and_they_keep_their_order(heard: Heard) -> None:
    before = [signal.getsignal(number) for number in NUMBERS]
    with Orders() as orders:
        orders.follow(heard, asyncio.get_running_loop())
        for number in (signal.SIGUSR2, signal.SIGCONT, signal.SIGUSR1):
            signal.raise_signal(number)
        await heard.until(3)
    assert heard.all == [(Order.PAUSE, "SIGUSR2"), (Order.RESUME, "SIGCONT"), (Order.FAIL, "SIGUSR1")]
    assert [signal.getsignal(number) for number in NUMBERS] == before


async def test_orders_that_come_while_the_process_starts_are_kept(heard: Heard) -> None:
    with orders_kept():
        signal.raise_signal(signal.SIGUSR2)
        with Orders() as orders:
            signal.raise_signal(signal.SIGCONT)
            orders.give(Order.PAUSE, PARENT)
            orders.follow(heard, asyncio.get_running_loop())
            assert heard.all == [(Order.PAUSE, "SIGUSR2"), (Order.RESUME, "SIGCONT"), (Order.PAUSE, PARENT)]
        signal.raise_signal(signal.SIGUSR1)  # after the end, too, it does no harm
    assert not heard.all[3:]


async def test_orders_are_kept_in_the_main_thread_only() -> None:
    def keep() -> None:
        with orders_kept():
            assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL

    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    await asyncio.to_thread(keep)


@pytest.mark.parametrize("first", ["SIGUSR1", PARENT])
async def test_one_signal_to_all_processes_of_a_service_fails_jobs_once(heard: Heard, first: str) -> None:
    """It comes as a signal and through the parent."""
    now = [100.0]
    second = PARENT if first != PARENT else "SIGUSR1"
    with Orders(lambda: now[0]) as orders:
        for by in (first, second):
            orders.give(Order.FAIL, by)
        now[0] += 0.5
        orders.give(Order.FAIL, second)  # another one, quickly
        orders.give(Order.FAIL, second)  # the same way twice is twice
        now[0] += 10
        for by in (first, second):
            orders.give(Order.FAIL, by)
        orders.follow(heard, asyncio.get_running_loop())
    assert [by for _, by in heard.all] == [first, second, second, first]


def test_a_loop_that_is_closed_is_told_nothing() -> None:
    loop = asyncio.new_event_loop()
    orders = Orders()
    orders.follow(lambda *_: None, loop)
    loop.close()
    orders.give(Order.FAIL, "a test")


def test_a_process_that_is_forked_handles_signals_as_before() -> None:
    """Or `terminate()` of a pool of processes, which a task forks, would change nothing."""

    def ours(*_: object) -> None: ...

    before = signal.getsignal(signal.SIGTERM)
    with handled({signal.SIGTERM: ours}), handled({signal.SIGTERM: lambda *_: None, signal.SIGHUP: ours}):
        pid = os.fork()
        if not pid:
            os._exit(int(signal.getsignal(signal.SIGTERM) is before and signal.getsignal(signal.SIGHUP) is not ours))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
        assert signal.getsignal(signal.SIGHUP) is ours
    assert signal.getsignal(signal.SIGTERM) is before
    assert not signals._before
