"""Every program in examples/ runs, ends by itself and says what it should."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"

#: What each program prints, as a pattern for the whole of it.
EXPECTED = {
    "quickstart.py": r"waiting: 2\nsent to (ann|bob)@example.com\nsent to (ann|bob)@example.com\nwaiting: 0\n",
    "delayed.py": r"\S+ it is now\nin their queue now: 0\n\S+ the toast\n\S+ the kettle\n",
    "front_queue.py": r"the king, Ann, Bob\n",
    "own_scheduler.py": r"after more than two seconds: not yet\nreminded Ann\n",
    "own_multi_worker.py": r"processors: (1, )?2, 3, 4\n",
    "events.py": r"(?=(?s:.*)divide\(6, 3\) = 2.0\n)(?=(?s:.*)divide\(1, 0\) failed: division by zero\n)"
    r"(?s:.*)\nkept: ZeroDivisionError in .+\n",
    "threads_and_processes.py": r"(?=(?s:.*)on_the_loop: thread MainThread\n)"
    r"(?=(?s:.*)in_a_thread: another thread is True\n)(?=(?s:.*)in_a_process: another process is True\n)"
    r"(?=(?s:.*)never_ends: .*0.5.*\n)(?s:.*)",
    "http_server.py": r'(answered: \{"accepted": true\}\n){2}(sent to (ann|bob)@example.com\n){2}',
    "bring_your_own_backend.py": r'Hello Ann!\nnoted: \{"class":"greet","queue":"default","args":\["Ann"\]\}\n',
    "hello_goodbye/say.py": r"(?s)(?=.*jobs with due time \d+ are promoted\n)"
    r"(?=.*task 'say_hello' is due and was moved to queue 'default'\n)"
    r"(?=.*task 'say_hello' from queue 'default' started\n"
    r"\S+ \S+ - INFO: hello\n\S+ \S+ - DEBUG: re-enqueued recurrent job say_hello\n)"
    r"(?=.*INFO: goodbye\n\S+ \S+ - DEBUG: re-enqueued recurrent job say_goodbye\n).*",
    "tasks_folder/main.py": r"3\n42\nwelcomed ann@example.com\n",
}

#: What a program says on the standard error, as a pattern for the start of it; the others say nothing there.
EXPECTED_ERRORS = {
    "events.py": r"task 'divide' from queue 'default' failed after .*: ZeroDivisionError: division by zero\n",
    "threads_and_processes.py": r"task 'never_ends' from queue 'default' failed after .*: JobTimeout: .*\n$",
}


def run(program: str, *arguments: str) -> str:
    """What the example prints; warnings are errors, and nothing unexpected may go to the standard error."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / program), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.match(EXPECTED_ERRORS.get(program, r"\Z"), done.stderr), done.stderr
    return done.stdout


def test_no_example_is_left_out() -> None:
    """Every file that is a program stands in the table above."""
    paths = (path for path in EXAMPLES.rglob("*.py") if "tests" not in path.parts[len(EXAMPLES.parts) :])
    programs = {str(path.relative_to(EXAMPLES)) for path in paths if "asyncio.run(" in path.read_text()}
    assert programs == set(EXPECTED)


@pytest.mark.parametrize("program", sorted(EXPECTED))
def test_example(program: str) -> None:
    """It prints what it promises."""
    printed = run(program)
    assert re.fullmatch(EXPECTED[program], printed), printed


def test_hello_is_said_each_second_and_goodbye_every_two() -> None:
    """Of eight runs, five or six are hellos; from one line to the next of the same kind it is a second, or two."""
    lines = run("hello_goodbye/say.py").splitlines()
    for word, seconds in (("hello", 1), ("goodbye", 2)):
        said = [datetime.fromisoformat(line[:23].replace(",", ".")) for line in lines if line.endswith(f": {word}")]
        assert len(said) >= 5 / seconds
        # The first run is at once; the others fall on whole seconds.
        assert all(seconds - 0.5 <= (two - one).total_seconds() < seconds + 0.7 for one, two in pairwise(said[1:]))


def test_a_delayed_example_is_never_early() -> None:
    """The kettle is due two whole seconds after the program's start, the toast one."""
    now, _, toast, kettle = (line.split()[0] for line in run("delayed.py").splitlines())
    start, first, second = (
        sum(int(part) * 60**power for power, part in enumerate(reversed(time.split(":"))))
        for time in (now, toast, kettle)
    )
    assert 1 <= (first - start) % 86_400 <= (second - start) % 86_400
    assert (second - start) % 86_400 >= 2


def test_the_quickstart_runs_on_a_real_server(redis_url: str) -> None:
    """The same program, with its jobs in Redis."""
    printed = run("quickstart.py", redis_url)
    assert re.fullmatch(EXPECTED["quickstart.py"], printed), printed
