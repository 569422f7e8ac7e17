"""What must become of what lies in Redis, computed from it by `raw_state.py`; nothing here uses taskhero."""

from __future__ import annotations

import math
from collections import Counter

import raw_state
from raw_state import elements, exact

__all__ = ["Expected", "freed", "kept", "same", "without_workers"]


def kept(dump):
    """What a dump says of all but taskhero: types, whether it lapses, and elements; sorted unless it is a list."""
    return {
        key: (kind, ttl >= 0, sorted(values) if kind in {"set", "hash", "zset"} else list(values))
        for key, (kind, ttl, values) in dump.items()
        if not key.startswith("taskhero:")
    }


def freed(dump):
    """Without what keeps taskhero from working: Ruby's switch, and the lock of its scheduler."""
    return {key: value for key, value in dump.items() if key not in {raw_state.PAUSE, raw_state.master_lock(dump)}}


class Expected:
    """What must become of a dump when it is worked at a moment.

    Attributes:
        worked: Queue to the jobs that are performed, in order.
        failed: The jobs that nobody can perform, or put into a queue.
        left: What lies there afterwards, failures and counters as they were.
    """

    def __init__(self, before, now):
        self.worked, self.failed, self.left = {}, Counter(), _with_whole_seconds(before, now)
        for queue, jobs in raw_state.jobs_queued(before).items():
            self.left.pop(f"queue:{queue}", None)
            for job in jobs:
                self._expect(job, possible=job.readable)
        for at, jobs in raw_state.jobs_delayed(self.left).items():
            if at <= now:
                self._promoted(at, jobs)

    def _promoted(self, at, jobs):
        self.left.pop(f"delayed:{at}", None)
        self._without("delayed_queue_schedule", str(at), str(at))
        for job in jobs:
            possible = job.readable and job.queue != ""
            self._expect(job, possible=possible)
            self._without(f"timestamps:{job.raw}", f"delayed:{at}")
            if possible:
                _, ttl, queues = self.left.get("queues", ("set", -1, ()))
                self.left["queues"] = ("set", ttl, (*{*queues, job.queue},))

    def _expect(self, job, *, possible):
        if possible:
            self.worked.setdefault(job.queue, []).append((job.name, exact(job.args)))
        else:
            shown = (
                [text.encode("utf-8", "backslashreplace").decode() for text in job.args] if not job.name else job.args
            )
            self.failed[job.name, exact(shown)] += 1

    def _without(self, key, *gone):
        kind, ttl, values = self.left.pop(key, ("set", -1, ()))
        if rest := tuple(value for value in values if value not in gone):
            self.left[key] = (kind, ttl, rest)

    def is_done(self, now):
        """Whether as much was done as is meant."""
        return all(raw_state.stats(now).get(name, 0) >= count for name, count in self._counters().items())

    def _counters(self):
        done = {"processed": sum(map(len, self.worked.values())), "failed": self.failed.total()}
        return {name: raw_state.stats(self.left).get(name, 0) + count for name, count in done.items()}

    def check(self, worked, after):
        """That exactly this was done."""
        assert worked == self.worked
        before, new = elements(self.left, "failed"), elements(after, "failed")
        assert new[: len(before)] == before
        told = raw_state.failures({"failed": ("list", -1, new[len(before) :])})
        assert Counter((one.job.name, exact(_payload(one))) for one in told) == self.failed
        assert {name: raw_state.stats(after).get(name, 0) for name in ("processed", "failed")} == self._counters()
        others = {"failed", "stat:processed", "stat:failed"}
        assert {k: v for k, v in kept(after).items() if k not in others} == {
            k: v for k, v in kept(self.left).items() if k not in others
        }


def _payload(failed):
    return raw_state.decoded(failed.job.raw)["payload"]["args"]


def _with_whole_seconds(before, now):
    """A due moment such as 12.5, at which other schedulers spin for ever, is taken for the second after it."""
    left, schedule = dict(before), elements(before, "delayed_queue_schedule")
    moments = list(zip(schedule[::2], schedule[1::2], strict=True))
    for member, score in [pair for pair in moments if not pair[0].isdecimal() and float(pair[1]) <= now]:
        moments.remove((member, score))
        at = str(math.ceil(float(score)))
        if moved := elements(left, f"delayed:{member}"):
            left[f"delayed:{at}"] = ("list", -1, (*elements(left, f"delayed:{at}"), *moved))
            moments = [*{*moments, (at, at)}]
            del left[f"delayed:{member}"]
        for text in moved:
            times = {*elements(left, f"timestamps:{text}"), f"delayed:{at}"} - {f"delayed:{member}"}
            left[f"timestamps:{text}"] = ("set", -1, tuple(times))
    if schedule:
        left["delayed_queue_schedule"] = ("zset", -1, tuple(part for pair in moments for part in pair))
    return left


def without_workers(before):
    """What lies there when all workers in view were cleaned, but for their jobs."""
    left = dict(before)
    for one in raw_state.workers(before):
        counters = [f"stat:{what}:{which}" for what in ("processed", "failed") for which in (one.name, one.id)]
        for key in (f"worker:{one.id}", f"worker:{one.id}:started", f"worker:ping:{one.name}", *counters):
            left.pop(key, None)
    for key in ("workers", "workers:heartbeat"):
        left.pop(key, None)
    beats = elements(before, "workers:heartbeat")
    others = [pair for pair in zip(beats[::2], beats[1::2], strict=True) if pair[0] not in elements(before, "workers")]
    if others:
        left["workers:heartbeat"] = ("hash", -1, tuple(part for pair in others for part in pair))
    return left


def same(left, right):
    """Whether values are equal; 1.0 may be written as 1, and of a float in digits only those count that it has."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, float) or isinstance(right, float):
        return isinstance(left, int | float) and isinstance(right, int | float) and float(left) == float(right)
    return left == right
