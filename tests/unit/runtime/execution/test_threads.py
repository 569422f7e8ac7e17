"""Threads for tasks that are not async."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from taskhero.runtime.execution.threads import ThreadPool

pytestmark = pytest.mark.anyio

WAIT = 10.0


async def test_a_call_returns_its_value() -> None:
    pool = ThreadPool(1)
    call = pool.start(divmod, (7, 2))
    await call.future
    assert (call.value, call.error, call.ended) == ((3, 1), None, True)
    pool.close()


@pytest.mark.parametrize("error", [ValueError(), SystemExit(3), KeyboardInterrupt(), StopIteration(1), GeneratorExit()])
async def test_whatever_a_call_raises_is_its_result_and_the_thread_goes_on(error: BaseException) -> None:
    def fail() -> None:
        raise error

    pool = ThreadPool(1)
    call = pool.start(fail)
    await call.future
    assert call.error is error
    after = pool.start(threading.get_ident)
    await after.future
    assert after.error is None
    assert pool.size == 1
    pool.close()


async def test_calls_see_the_context_of_their_caller() -> None:
    variable = contextvars.ContextVar("variable", default="none")
    pool = ThreadPool(1)
    variable.set("one")
    one = pool.start(variable.get)
    variable.set("two")
    two = pool.start(variable.get)
    await asyncio.gather(one.future, two.future)
    assert (one.value, two.value) == ("one", "two")
    pool.close()


async def test_it_grows_as_needed_up_to_its_limit_and_what_is_beyond_waits() -> None:
    pool, gate = ThreadPool(2), threading.Event()
    assert pool.size == 0
    first = pool.start(int)
    await first.future
    again = pool.start(int)
    await again.future
    assert pool.size == 1, "an idle thread is used again"
    calls = [pool.start(gate.wait, (WAIT,)) for _ in range(3)]
    assert pool.size == 2
    last = pool.start(int)
    gate.set()
    await asyncio.gather(*(call.future for call in calls), last.future)
    assert pool.size == 2
    pool.close()


async def test_a_higher_limit_lets_more_calls_run_at_once() -> None:
    pool = ThreadPool(1)
    pool.resize(2)
    barrier = threading.Barrier(2)
    calls = [pool.start(barrier.wait, (WAIT,)) for _ in range(2)]
    await asyncio.gather(*(call.future for call in calls))
    assert [call.error for call in calls] == [None, None]
    pool.close()


async def test_a_lower_limit_ends_threads_and_loses_no_call() -> None:
    pool = ThreadPool(4)
    barrier = threading.Barrier(4)
    threads: set[threading.Thread] = set()

    def meet() -> None:
        threads.add(threading.current_thread())
        barrier.wait(WAIT)

    await asyncio.gather(*(pool.start(meet).future for _ in range(4)))
    pool.resize(1)
    call = pool.start(threading.current_thread)
    await call.future
    assert pool.size == 1
    pool.close()
    for thread in threads:
        thread.join(WAIT)
    assert not any(thread.is_alive() for thread in threads)


async def test_a_call_that_goes_on_when_nobody_waits_is_visible_until_it_ends() -> None:
    pool, gate, began = ThreadPool(1), threading.Event(), threading.Event()

    def work() -> int:
        began.set()
        gate.wait(WAIT)
        return 42

    call = pool.start(work)
    assert began.wait(WAIT)
    call.future.cancel()
    await asyncio.sleep(0)
    rest = call.remainder()
    assert rest is not None
    assert not rest.done()
    assert not call.ended
    assert any("gate.wait" in line for line in call.stack())
    gate.set()
    await rest
    assert (call.ended, call.value) == (True, 42)
    assert call.remainder() is None
    pool.close()


async def test_an_interpreter_that_does_not_show_frames_shows_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, gate, began = ThreadPool(1), threading.Event(), threading.Event()
    call = pool.start(lambda: (began.set(), gate.wait(WAIT)))
    assert began.wait(WAIT)
    monkeypatch.delattr("sys._current_frames")
    assert call.stack() == []
    gate.set()
    await call.future
    pool.close()


async def test_a_pool_can_be_used_again_after_it_was_closed() -> None:
    pool = ThreadPool(1)
    await pool.start(int).future
    pool.close()
    call = pool.start(int, ("7",))
    await call.future
    assert call.value == 7
    pool.close()


def test_a_pool_serves_one_event_loop_after_another() -> None:
    pool, gate = ThreadPool(2), threading.Event()

    async def one() -> int:
        call = pool.start(int, ("7",))
        await call.future
        return call.value  # type: ignore[no-any-return]

    async def abandon() -> None:
        pool.start(gate.wait, (WAIT,))

    assert asyncio.run(one()) == 7
    asyncio.run(abandon())
    gate.set()  # it reports to a loop that is closed
    assert asyncio.run(one()) == 7
    pool.close()


def test_a_thread_that_runs_does_not_hold_up_the_exit() -> None:
    program = """
        import asyncio, time
        from taskhero.runtime.execution.threads import ThreadPool

        async def main():
            ThreadPool(1).start(time.sleep, (1000,))
            await asyncio.sleep(0)

        asyncio.run(main())
        print("over")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=30, check=True
    )
    assert (done.stdout, done.stderr) == ("over\n", "")


async def test_it_is_fast() -> None:
    """A tenth of what it does on two slow cores: something like a wake-up and a select each would not pass."""
    pool, total = ThreadPool(10), 5000

    async def caller() -> None:
        for _ in range(total // 50):
            await pool.start(int).future

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(50)))
    assert total / (time.perf_counter() - begun) > 5000
    pool.close()
