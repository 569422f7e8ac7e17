"""The kit and the contract agree: each sentence has a test, and each test names a sentence of the contract."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from taskhero.backends import protocol
from taskhero.backends.inspection_protocol import Inspectable
from taskhero.backends.periodic_protocol import PeriodicTaskVerbs
from taskhero.backends.protocol import Backend
from taskhero.backends.records import inspection
from taskhero.conformance import BackendConformance, promises_of

#: Classes whose docstrings contain promises. Those of the other classes are in the docstrings of the verbs.
PROMISING = (
    "QueueLockGuard",
    "NotDelayed",
    "Succeeded",
    "RefusedByPlugin",
    "Failed",
    "Released",
    "PostponedByPlugin",
    "Retried",
    "NextRun",
)
#: Classes whose values are answers of a backend.
ANSWERS = (
    protocol.ScheduleResult,
    protocol.PromoteResult,
    protocol.EnsureResult,
    protocol.FireResult,
    protocol.StopReason,
    inspection.RetryResult,
    inspection.RemoveWorkerResult,
)
#: Promises that no test of the kit can check, with the reason.
BEYOND_THE_KIT = {
    "A backend never repeats a step": "needs a broken connection, so the tests of each driver with one cover it",
    "`BackendUnavailable` means": "likewise",
    "`ReplyLost` means": "likewise",
}


def sentences(text):
    """Yield the sentences of a docstring's prose."""
    prose = re.split(r"\n(?:Attributes|Raises|Returns|Args):\n", inspect.cleandoc(text))[0]
    for paragraph in re.split(r"\n\n", prose):
        yield from filter(None, re.split(r"(?<=\.)\s+", " ".join(paragraph.split())))


def rules():
    """Yield the sentences of the rules for all verbs."""
    for rule in re.split(r"^\* ", protocol.__doc__, flags=re.MULTILINE)[1:]:
        yield from sentences(rule)


def contract():
    """Yield each promise: its subject and its sentence."""
    for name, verb in (*vars(Backend).items(), *vars(PeriodicTaskVerbs).items(), *vars(Inspectable).items()):
        if not name.startswith("_"):
            documented = verb.fget if isinstance(verb, property) else verb
            yield from ((name, sentence) for sentence in sentences(documented.__doc__))
    for name in PROMISING:
        yield from ((name, sentence) for sentence in sentences(getattr(protocol, name).__doc__))
    for answers in ANSWERS:
        yield from ((answers.__name__, answer) for answer in answers.__members__)
    yield from (("all", sentence) for sentence in rules())


CONTRACT = list(contract())
TESTED = list(promises_of(BackendConformance))


@pytest.mark.parametrize(
    ("subject", "sentence"), CONTRACT, ids=[f"{subject}-{sentence[:50]}" for subject, sentence in CONTRACT]
)
def test_each_sentence_of_the_contract_has_a_test(subject, sentence):
    """A change of the contract requires a change of the kit."""
    if any(sentence.startswith(beginning) for beginning in BEYOND_THE_KIT):
        return
    assert any(of == subject and sentence.startswith(beginning) for of, beginning, _ in TESTED)


def test_each_promise_of_a_test_is_in_the_contract():
    """No test requires what the contract does not promise."""
    known = set(CONTRACT)
    unknown = {
        f"{test}: {subject}: {beginning}"
        for subject, beginning, test in TESTED
        if not any(of == subject and sentence.startswith(beginning) for of, sentence in known)
    }
    assert unknown == set()


def test_each_test_says_what_it_proves():
    """By a promise, or by a docstring for what the contract does not say. Each has a docstring for its reader."""
    tests = {name: getattr(BackendConformance, name) for name in dir(BackendConformance) if name.startswith("test")}
    assert [name for name, test in tests.items() if not test.__doc__] == []
    promising = {name for _, _, name in TESTED}
    assert sorted(tests.keys() - promising) == [
        "test_a_heartbeat_registers_a_process_that_is_unknown",
        "test_it_is_a_backend",
    ]


def test_the_kit_names_no_backend():
    """It asks for capabilities instead."""
    import taskhero.conformance as kit

    modules = list(Path(kit.__file__).parent.rglob("*.py"))
    assert len(modules) > 30
    for module in modules:
        assert not re.search(r"redis|MemoryBackend", module.read_text("utf-8"), re.IGNORECASE), module.name
