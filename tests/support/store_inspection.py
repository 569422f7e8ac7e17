"""Look at everything that is stored, and mend it, whatever it is."""

from __future__ import annotations

from taskhero import FailedJob, Job, Working
from taskhero.errors import CannotRetry, NotInFailures, UnknownWorker

__all__ = ["administer", "inspect_all"]


async def inspect_all(app):
    """Call everything that looks, and check what must hold of any answer."""
    queue = app.queue
    details = await queue.details()
    assert list(details.queues) == await queue.queues()
    for name, length in details.queues.items():
        jobs = await queue.queued(name)
        assert length is None or len(jobs) == length
        assert all(type(job) is Job for job in jobs)
    delayed = await queue.all_delayed()
    assert list(delayed) == sorted(delayed)
    assert sum(map(len, delayed.values())) == details.delayed
    for moment in await queue.timestamps():
        assert await queue.delayed_at(moment) == delayed[moment]
    await queue.scheduled_at("math", "add", [1, 2])
    for source in await queue.failed_lists():
        if source == "failed" or source.endswith("_failed"):
            assert all(type(failed) is FailedJob for failed in await queue.failed(source=source))
    workers = await queue.workers()
    working = await queue.all_working_on()
    assert working.keys() == workers.keys() == {state.name for state in details.workers}
    for name, queues in workers.items():
        one = await queue.working_on(name, queues)
        assert one is None or type(one) is Working
    assert all(type(value) is str for value in (await queue.locks()).values())
    assert all(type(value) is int for value in (await queue.stats()).values())
    assert (await queue.leader()) == details.leader


async def administer(app):
    """Call everything that mends; in the end nothing is left that was mended."""
    queue = app.queue
    for failed in await queue.failed():
        try:
            await queue.retry_and_remove_failed(failed)
        except (CannotRetry, NotInFailures):
            assert await queue.remove_failed(failed) == 1
    assert await queue.failed_count() == 0
    assert [each async for each in queue.remove_all_failed(source="math_failed") if not each.done] == []
    await queue.delete_delayed("math", "add", [1, 2])
    assert await queue.scheduled_at("math", "add", [1, 2]) == []
    await queue.delete("math", "add", [1, 2])
    await queue.delete_by_name("math", "add")
    assert [job for job in await queue.queued("math") if job.name == "add" and job.problem is None] == []
    for lock in await queue.locks():
        assert await queue.delete_lock(lock) == 1
    assert await queue.clean_old_workers(1e-9) is not None
    for state in (await queue.details()).workers:
        if state.name not in await queue.workers():
            continue  # it went with another one of its name
        try:
            await queue.force_clean_worker(f"{state.name}:{state.queues}" if state.queues else state.name)
        except UnknownWorker:
            await queue.force_clean_worker(state.name)
    assert await queue.workers() == {}
    for name in await queue.queues():
        await queue.delete_queue(name)
    assert await queue.queues() == []
