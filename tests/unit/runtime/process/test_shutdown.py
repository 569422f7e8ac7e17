"""How a process learns that it is to stop, and what becomes of one that cannot."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from queue import SimpleQueue

import pytest

from taskhero.runtime.process import shutdown
from taskhero.runtime.process.control_signals import ControlCommand, ControlSignals
from taskhero.runtime.process.parent_pipe import PARENT_PIPE, STOP_BYTE, parent_pipe, read_parent_commands
from taskhero.runtime.process.shutdown import ShutdownSignal

pytestmark = pytest.mark.anyio
LIMIT = 10


@pytest.fixture
def exits(monkeypatch):
    """Exit codes and reasons, in place of exits."""
    told: SimpleQueue[tuple[int, str]] = SimpleQueue()
    monkeypatch.setattr(shutdown, "exit_now", lambda code, why: told.put((code, why)))
    return told


async def test_a_stop_that_was_asked_for_earlier_is_not_waited_for():
    with ShutdownSignal(lambda: 60.0) as stop:
        stop.request("a test")
        stop.request("another")
        await asyncio.wait_for(stop.wait(), LIMIT)
        assert stop.reason == "a test"


async def test_a_signal_asks_for_a_stop_and_a_second_one_exits(exits):
    prepared: list[bool] = []
    with ShutdownSignal(lambda: 60.0, lambda: prepared.append(True)) as stop:
        signal.raise_signal(signal.SIGINT)
        await asyncio.wait_for(stop.wait(), LIMIT)
        assert stop.reason == "SIGINT"
        assert exits.empty()
        signal.raise_signal(signal.SIGTERM)
        code, why = exits.get(timeout=LIMIT)
        assert (code, prepared) == (143, [True])
        assert "rescue" in why


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGHUP])
async def test_sigquit_and_sighup_ask_for_a_stop_and_never_do_more(exits, number):
    before = signal.getsignal(number)
    with ShutdownSignal(lambda: 60.0) as stop:
        for _ in range(3):
            signal.raise_signal(number)
        await asyncio.wait_for(stop.wait(), LIMIT)
        assert stop.reason == number.name
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(number)
        # A hangup often comes together with SIGTERM, so that is the first one then.
        assert exits.empty() == (number == signal.SIGHUP)
        if number == signal.SIGHUP:
            signal.raise_signal(signal.SIGTERM)
        assert exits.get(timeout=LIMIT)[0] == 128 + signal.SIGTERM
        assert exits.empty()
    assert signal.getsignal(number) is before


async def test_a_hangup_that_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ShutdownSignal(lambda: 60.0) as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.requested
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_a_loop_that_is_held_up_beyond_all_patience_ends_the_process(exits, monkeypatch):
    monkeypatch.setattr(shutdown, "LOOP_RESPONSE_LIMIT", 0.05)
    with ShutdownSignal(lambda: 0.0) as stop:
        waiting = asyncio.create_task(stop.wait())
        await asyncio.sleep(0)
        stop.request("a test")
        # This holds up the loop.
        code, why = exits.get(timeout=LIMIT)
        assert code == 1
        assert "blocks the event loop" in why
        await waiting


async def test_a_loop_that_answers_may_take_its_time(exits, monkeypatch):
    monkeypatch.setattr(shutdown, "LOOP_RESPONSE_LIMIT", 0.2)
    asked = asyncio.Event()
    with ShutdownSignal(lambda: 0.0) as stop:
        loop = asyncio.get_running_loop()
        await asyncio.wait_for(asyncio.gather(stop.wait(), asyncio.to_thread(stop.request, "a test")), LIMIT)
        # The guard asks the loop, gets its answer and waits once more.
        loop.call_later(0.1, asked.set)
        await asked.wait()
    assert exits.empty()


async def test_the_end_of_the_parents_pipe_asks_for_a_stop(monkeypatch):
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    monkeypatch.setenv(PARENT_PIPE, str(reading))
    pipe = parent_pipe()
    assert pipe == reading
    assert not os.get_inheritable(reading)
    assert PARENT_PIPE not in os.environ, "a program that a task starts has another parent"
    with ShutdownSignal(lambda: 60.0) as stop:
        read_parent_commands(pipe, stop, ControlSignals())
        assert not stop.requested
        os.close(writing)
        await asyncio.wait_for(stop.wait(), LIMIT)
        assert stop.reason == "the parent process"
    for thread in threading.enumerate():
        if thread.name == "taskhero-parent":
            thread.join(LIMIT)
    os.close(reading)


async def test_what_the_parent_has_written_is_known_at_once_and_what_it_writes_later_too():
    reading, writing = os.pipe()
    heard: list[tuple[ControlCommand, str]] = []
    with ShutdownSignal(lambda: 60.0) as stop, ControlSignals() as control_signals:
        os.write(writing, ControlCommand.PAUSE.value + b"?" + ControlCommand.FAIL.value)
        read_parent_commands(reading, stop, control_signals)
        control_signals.deliver_to(lambda command, sender: heard.append((command, sender)), asyncio.get_running_loop())
        assert heard == [(ControlCommand.PAUSE, "the parent process"), (ControlCommand.FAIL, "the parent process")]
        os.write(writing, ControlCommand.RESUME.value + STOP_BYTE)
        await asyncio.wait_for(stop.wait(), LIMIT)
        assert [command for command, _ in heard[2:]] == [ControlCommand.RESUME]
        os.write(writing, ControlCommand.FAIL.value)  # a command can come during the stop
        os.close(writing)
        for thread in threading.enumerate():
            if thread.name == "taskhero-parent":
                await asyncio.to_thread(thread.join, LIMIT)
        await asyncio.sleep(0)
        assert [command for command, _ in heard[3:]] == [ControlCommand.FAIL]
    os.close(reading)


@pytest.mark.parametrize("value", [None, "", "pipe", "99999"])
def test_without_a_parent_there_is_no_pipe(monkeypatch, value):
    if value is None:
        monkeypatch.delenv(PARENT_PIPE, raising=False)
    else:
        monkeypatch.setenv(PARENT_PIPE, value)
    assert parent_pipe() is None
