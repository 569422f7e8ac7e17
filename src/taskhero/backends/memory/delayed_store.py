"""Hold delayed jobs until their due time."""

from __future__ import annotations

import heapq
from collections import deque
from itertools import islice

from taskhero.backends.protocol import DueJob

__all__ = ["DelayedMeanings", "DelayedStore"]


class DelayedStore:
    """The delayed payloads by due time in whole unix seconds. Those of one second keep the order of storing."""

    def __init__(self) -> None:
        #: The payloads of each due time. No due time has an empty list.
        self.payloads: dict[int, deque[str]] = {}
        # A heap of due times. Those that are not in `payloads` are removed when they reach the top.
        self._heap: list[int] = []
        self._heaped: set[int] = set()
        # For each payload, the number of copies at each due time.
        self._due_times: dict[str, dict[int, int]] = {}

    def add(self, at: int, raw: str) -> bool:
        """Store a payload. Return whether its due time is earlier than all others."""
        earliest = self.next_at()
        payloads = self.payloads.get(at)
        if payloads is None:
            payloads = self.payloads[at] = deque()
            if at not in self._heaped:
                heapq.heappush(self._heap, at)
                self._heaped.add(at)
        payloads.append(raw)
        due_times = self._due_times.setdefault(raw, {})
        due_times[at] = due_times.get(at, 0) + 1
        return earliest is None or at < earliest

    def remove(self, at: int, raw: str) -> bool:
        """Remove the first copy of a payload from a due time. Return False if there is none."""
        if not self.holds(at, raw):
            return False
        payloads = self.payloads[at]
        if payloads[0] == raw:
            payloads.popleft()
        else:
            payloads.remove(raw)
        if not payloads:
            del self.payloads[at]
        due_times = self._due_times[raw]
        due_times[at] -= 1
        if not due_times[at]:
            del due_times[at]
            if not due_times:
                del self._due_times[raw]
        return True

    def remove_all(self, at: int, raw: str) -> int:
        """Remove all copies of a payload from a due time, and return their number."""
        count = self._due_times.get(raw, {}).get(at, 0)
        for _ in range(count):
            self.remove(at, raw)
        return count

    def holds(self, at: int, raw: str) -> bool:
        """Return whether a payload is delayed until *at*."""
        return at in self._due_times.get(raw, ())

    def due_times(self, raw: str) -> list[int]:
        """Return the due times of a payload, the earliest first."""
        return sorted(self._due_times.get(raw, ()))

    def next_at(self) -> int | None:
        """Return the earliest due time, or None."""
        heap = self._heap
        while heap:
            if heap[0] in self.payloads:
                return heap[0]
            self._heaped.discard(heapq.heappop(heap))
        return None

    def due(self, now: float, limit: int) -> list[DueJob]:
        """Return the first *limit* due jobs, by due time and then in the order of storing."""
        jobs: list[DueJob] = []
        seen: list[int] = []
        while len(jobs) < limit:
            at = self.next_at()
            if at is None or at > now:
                break
            seen.append(heapq.heappop(self._heap))
            jobs += [DueJob(at, raw) for raw in islice(self.payloads[at], limit - len(jobs))]
        for at in seen:
            heapq.heappush(self._heap, at)
        return jobs


class DelayedMeanings:
    """The jobs that settlements delayed, by their meaning. A read removes those that are not delayed any more.

    Args:
        schedule: The store of the delayed jobs.
    """

    def __init__(self, schedule: DelayedStore) -> None:
        self.schedule = schedule
        #: The jobs of each meaning, including those that are not delayed any more and were not read since.
        self.jobs: dict[str, set[DueJob]] = {}

    def add(self, meaning: str, job: DueJob) -> None:
        """Note the meaning of a delayed job."""
        self.jobs[meaning] = {*self.delayed(meaning), job}

    def delayed(self, meaning: str | None) -> set[DueJob]:
        """Return the jobs of a meaning that are still delayed."""
        if meaning is None or meaning not in self.jobs:
            return set()
        found = {job for job in self.jobs[meaning] if self.schedule.holds(job.at, job.raw)}
        if found:
            self.jobs[meaning] = found
        else:
            del self.jobs[meaning]
        return found
