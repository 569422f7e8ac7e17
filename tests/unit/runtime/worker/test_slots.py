"""The states of a slot: which transitions exist, and that all others are refused."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from dispatcher_harness import DispatcherHarness

import taskhero.runtime.worker as package
from taskhero.backends.protocol import Claim, Failed, Process, Succeeded
from taskhero.runtime.worker.jobs.quarantine import QuarantinePhase
from taskhero.runtime.worker.slots import SlotState, WorkerSlot, WorkerSlots

PROCESS = Process("host.abc:1", ("default",))
CLAIM, OTHER = Claim(1, "t1", "default", "{}"), Claim(1, "t2", "default", "{}")

Step = Callable[[WorkerSlots, WorkerSlot], object]

#: All transitions, by what a slot must be: a method that is not allowed raises.
STEPS: dict[str, Step] = {
    "hold": lambda slots, slot: slots.hold(slot, CLAIM),
    "drop": lambda slots, slot: slots.drop(slot),
    "start": lambda slots, slot: slots.start(slot, CLAIM),
    "end": lambda slots, slot: slots.end(slot, Succeeded()),
    "end draining": lambda slots, slot: slots.end(slot, Succeeded(), drains=True),
    "drained": lambda slots, slot: slots.drained(slot),
    "unsettle": lambda slots, slot: slots.unsettle(slot.slot),
    "settle": lambda slots, slot: slots.settle(slot.slot),
    "retire": lambda slots, _slot: slots.retire(1),
    "keep": lambda slots, _slot: slots.keep_retiring(1),
    "remove": lambda slots, _slot: slots.remove_retired(()),
}


def replay(steps: tuple[str, ...]) -> tuple[WorkerSlots, WorkerSlot]:
    slots = WorkerSlots(PROCESS)
    (slot,) = slots.add([1])
    for name in steps:
        STEPS[name](slots, slot)
    return slots, slot


def situation(slots: WorkerSlots, slot: WorkerSlot) -> tuple[object, ...]:
    return slot.state, slot.retiring, slot.unsettled, slot.claim, len(slots.all())


def explore() -> tuple[dict[tuple[object, ...], tuple[str, ...]], set[tuple[str, str]], set[tuple[SlotState, str]]]:
    """Return the steps to each situation of a slot, all changes of its state, and all refused steps."""
    slots, slot = replay(())
    paths = {situation(slots, slot): ()}
    edges, refused = set(), set()
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        path = waiting.pop()
        for name, step in STEPS.items():
            slots, slot = replay(path)
            before = situation(slots, slot)
            try:
                step(slots, slot)
            except RuntimeError:
                assert situation(slots, slot) == before, "a refused transition changed something"
                refused.add((slot.state, name))
                continue
            after = situation(slots, slot)
            state = slot.state.name if slots.all() else "removed"
            if state != before[0].name:  # type: ignore[attr-defined]
                edges.add((before[0].name, state))  # type: ignore[attr-defined]
            if slots.all() and after not in paths:
                paths[after] = (*path, name)
                waiting.append(paths[after])
    return paths, edges, refused


PATHS, EDGES, REFUSED = explore()


def diagram() -> str:
    return (package.__doc__ or "").partition("States of a slot")[2].partition("A claim, from")[0]


def test_the_diagram_in_the_docstring_shows_exactly_the_changes_of_state_that_exist() -> None:
    drawn = {
        (source, target)
        for sources, target in re.findall(r"^ +([A-Z, ]+?) +-> (\w+)", diagram(), re.MULTILINE)
        for source in sources.split(", ")
    }
    assert drawn == EDGES
    assert {name for edge in drawn for name in edge} == {*SlotState.__members__, "removed"}


def test_the_diagram_of_a_claim_names_the_phases_of_the_quarantine() -> None:
    claim = (package.__doc__ or "").partition("A claim, from")[2].partition("::")[2]
    assert set(re.findall(r"[A-Z]{3,}", claim)) == set(QuarantinePhase.__members__) - {"EMPTY"}


def test_each_state_refuses_what_it_does_not_allow() -> None:
    allowed = {
        "hold": {SlotState.IDLE, SlotState.RETIRED},
        "start": {SlotState.IDLE, SlotState.RETIRED, SlotState.CLAIMED},
        "drop": {SlotState.CLAIMED},
        "end": {SlotState.RUNNING},
        "end draining": {SlotState.RUNNING},
        "drained": {SlotState.DRAINING},
    }
    assert {(state, name) for name, states in allowed.items() for state in set(SlotState) - states} == REFUSED


@pytest.mark.parametrize("path", PATHS.values(), ids="-".join)
def test_the_numbers_agree_with_the_state(path: tuple[str, ...]) -> None:
    slots, slot = replay(path)
    takes = {SlotState.IDLE, SlotState.RETIRED}
    assert slots.idle(9) == ((1,) if slot.state is SlotState.IDLE else ())
    assert slots.lowest_idle(9) == list(slots.idle(9))
    assert slots.vacant(1) is (slot if slot.state in takes else None)
    assert slots.running == (slot.state is SlotState.RUNNING)
    assert slots.occupied == (slot.state in {SlotState.RUNNING, SlotState.DRAINING})
    assert slots.claims() == ([CLAIM] if slot.state in {SlotState.CLAIMED, SlotState.RUNNING} else [])
    assert (slots.retiring, slots.active) == ((1, 0) if slot.retiring else (0, 1))


def test_a_held_claim_starts_only_as_itself() -> None:
    slots, slot = replay(("hold",))
    with pytest.raises(RuntimeError, match=r"host\.abc:1\+1 cannot start a job: it is claimed"):
        slots.start(slot, OTHER)
    slots.start(slot, CLAIM)
    assert slot.claim is CLAIM


def test_the_slot_that_became_idle_first_claims_first() -> None:
    slots = WorkerSlots(PROCESS)
    first, _, third = slots.add([1, 2, 3])
    for slot in (third, first):
        slots.start(slot, Claim(slot.slot, "t", "default", "{}"))
    for slot in (third, first):
        slots.end(slot, Failed("{}"))
    assert slots.idle(9) == (2, 3, 1)
    assert slots.idle(2) == (2, 3)
    assert slots.lowest_idle(2) == [1, 2]
    assert [(slot.succeeded, slot.failed) for slot in slots.all()] == [(0, 1), (0, 0), (0, 1)]


def test_the_peak_counts_what_was_occupied_since_the_last_call() -> None:
    slots = WorkerSlots(PROCESS)
    first, second = slots.add([1, 2])
    for slot in (first, second):
        slots.start(slot, Claim(slot.slot, "t", "default", "{}"))
    slots.end(first, Succeeded())
    slots.end(second, Succeeded(), drains=True)
    assert (slots.take_peak(), slots.take_peak()) == (2, 1)
    slots.drained(second)
    assert (slots.take_peak(), slots.take_peak()) == (1, 0)


def test_a_removed_slot_can_be_neither_unsettled_nor_settled() -> None:
    slots = WorkerSlots(PROCESS)
    slots.unsettle(7)
    slots.settle(7)
    assert slots.all() == []


def test_retired_slots_with_unsent_settlements_stay() -> None:
    slots = WorkerSlots(PROCESS)
    slots.add([1, 2, 3])
    assert slots.retire(2) == 2
    assert [slot.slot for slot in slots.remove_retired({3})] == [2]
    assert (slots.numbers, slots.unused_numbers(2), slots.unused_numbers(2, {2})) == ((1, 3), (2, 4), (4, 5))
    assert (slots.retiring, slots.active) == (1, 1)


def test_no_other_class_writes_a_slot_or_reads_the_collections() -> None:
    fields = {field.name for field in attrs.fields(WorkerSlot)} - {"slot", "name", "queues"}
    private = {name for name in WorkerSlots.__slots__ if name.startswith("_")} - {"_slots"}
    for path in Path(package.__file__).parent.rglob("*.py"):
        if path.name == "slots.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "self"):
                where = f"{path.name}:{node.lineno} {node.attr}"
                assert not (isinstance(node.ctx, ast.Store) and node.attr in fields), where
                assert node.attr not in private, where


@pytest.mark.anyio
async def test_the_dispatcher_keeps_the_state_of_no_other_part() -> None:
    async with DispatcherHarness("default") as harness:
        assert len(vars(harness.dispatcher)) <= 12
