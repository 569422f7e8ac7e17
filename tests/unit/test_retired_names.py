"""Names that were replaced by the field's terms do not come back into src; docs/glossary.md has the terms."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "taskhero"
#: Sentry.io is a product. Names of keys in Redis stay: the patterns allow ``taskhero:sentry``.
NOT_MEANT = ("contrib/sentry",)

#: Pattern, what to write instead, and a text that the pattern finds.
RETIRED = [
    # processes and slots
    (r"(?i)(\b|_)roster", "slots", "self._roster.free"),
    (r"(?i)(\b|_)heart\b", "heartbeat", "class Heart:"),
    (r"(?i)\bsigns? of life\b", "heartbeat", "a sign of life"),
    (r"\.beat\(|\bdef beat\b|\b_?beating\b", "heartbeat", "backend.beat(process)"),
    (r"(?i)\bseat(s|_\w+)?\b|_seat\b", "slot, or tracking lease", "the seat is free"),
    (r"\bSilences?\b|\bsilences\b", "heartbeat age", "silences.lua"),
    (r"\btaken? from view\b|\bin view\b", "deregister; registered", "workers that are in view"),
    # settling and claiming
    (
        r"_exchange\b|\bexchange[(`]|(\b|_)exchang(er|ing)\b|\bExchang(e|er|ing)\b",
        "settle and claim; dispatcher",
        "await backend.exchange()",
    ),
    (r"\bAccounts\b|(\b|_)accounts\b", "settlement buffer", "self._accounts.ended"),
    (r"\bPerform(er|ing|ed)\b", "JobExecutor, JobRunner, JobResult", "class Performing:"),
    (r"\bPreparer\b|(\b|_)preparer\b", "preparation", "preparer: Preparer"),
    (r"\bclass (Called|Caller)\b|: Caller\b", "Invoker, InvocationResult", "class Caller:"),
    (r"\bEnding\b", "Disposition", "Ending: TypeAlias"),
    (r"(?i)\bgiv(e|es|ing)[ _]back\b|(?<!Worker)GivenBack\b", "release", "def give_back(self)"),
    (r"(?i)(\b|_)retire_again\b|(\b|_)try_again\b", "deregister_again, resend", "def _try_again(self)"),
    # quarantine
    (r"(?i)(\b|_)suspects?(\b|_)", "quarantined job", "jobs.suspect"),
    (r"(?i)\bprobation\b", "quarantine", "from probation import"),
    (r"(?i)(\b|_)forgive\b", "end the quarantine", "await self._forgive()"),
    (r"\bblame[ds]?\b", "attribute a crash to", "the job to blame"),
    (r"\balone[:=]|\bmarked_alone\b|\brun_alone\b", "exclusive", "begin(claim, alone=True)"),
    # wake-ups
    (r"(?i)(?<![:-])(\b|_)sentry(\b|_)|\bSentries\b", "tracking listener", "class Sentry:"),
    (r"(?i)(\b|_)dialogues?\b", "connection", "from .dialogue import direct"),
    (r"\bWaiter\b|_waiter\b", "listener", "waiter: Waiter"),
    (r"(\b|_)hush\b", "clear, or stop", "line.hush()"),
    (r"\bWaking\b|\bclass Wake\b|\bWake\(", "Notifier, Wakeup", "class Waking(Part):"),
    (r"\bInterest\b|\binterest[:=.]", "subscription", "interest: Interest"),
    # scheduler
    (r"\bKeeper\b|(\b|_)keeper\b", "periodic enqueuer", "class Keeper:"),
    (r"(class |`|\b)(Kept|Fired|Moved|Mended|Cleaned)(`|\.[A-Z]|:)", "a name that ends in Result", "Moved.MISSED"),
    (r"(\b|_)next_moment\b|(\.|_|def )moments\b", "due time", "backend.moments()"),
    (r"\bthoroughly=", "full_scan", "ensure(tasks, thoroughly=True)"),
    # scripts and helpers
    (r"\b(go_on_when_full|let_go|see_to|begin_anew)\b", "allow_oom, release_resources", "go_on_when_full(KEYS[1])"),
    (r"\b_told\b|\b_tell\b|\bdef tell\b", "report, emit, or message", "def _tell(self)"),
    (r"(\.|\bdef )_?complain\b", "report_once", "self.complain(queue)"),
    (r"(?i)\bmending\b|(\b|_)mended\b", "administration", "mending.py"),
    (r"\bjsjson\b", "wire.json", "from taskhero.wire.jsjson import"),
    (r"(?i)(\b|_)overseeing\b", "worker administration", "class Overseeing:"),
    (
        r"\bOrders\b|\bOrder\.|\borders_kept\b|\bobey_parent\b",
        "ControlCommand, ControlSignals",
        "with Orders() as orders:",
    ),
    (r"\bwant_yes\b|\bMisuse\b|\bHinting\b", "require_confirmation, UsageError", "raise Misuse"),
]


def files() -> list[Path]:
    """Return the files of the package that people write."""
    found = sorted(path for path in SOURCE.rglob("*") if path.suffix in {".py", ".lua"})
    return [path for path in found if not path.relative_to(SOURCE).as_posix().startswith(NOT_MEANT)]


TEXTS = {path.relative_to(SOURCE).as_posix(): path.read_text("utf-8") for path in files()}


@pytest.mark.parametrize(("pattern", "instead", "example"), RETIRED, ids=[pattern for pattern, _, _ in RETIRED])
def test_a_retired_name_is_not_in_src(pattern: str, instead: str, example: str) -> None:
    """Neither the name of a file nor a line of it has the old name."""
    wanted = re.compile(pattern)
    assert wanted.search(example), "the pattern finds what it is meant for"
    found = [name for name in TEXTS if wanted.search(Path(name).stem)]
    for name, text in TEXTS.items():
        found += [
            f"{name}:{number}: {line.strip()}"
            for number, line in enumerate(text.splitlines(), 1)
            if wanted.search(line)
        ]
    assert found == [], f"write {instead} instead"
