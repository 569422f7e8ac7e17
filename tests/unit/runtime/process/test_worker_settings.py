"""What a worker process runs where its settings say nothing."""

from __future__ import annotations

import pytest

from taskhero import Settings
from taskhero.errors import InvalidSettings
from taskhero.runtime.process.service import worker_settings


@pytest.mark.parametrize(
    ("settings", "changes", "least", "most", "scheduler"),
    [
        (Settings(), {}, 1, 10, True),
        (Settings(queues=("mail",)), {}, 1, 10, True),
        (Settings(max_task_processors=20), {}, 1, 20, True),
        (Settings(max_task_processors=20, scheduler=False), {}, 1, 20, False),
        (Settings(scheduler=True), {}, 1, 10, True),
        (Settings(scheduler=True, max_task_processors=0), {}, 0, 0, True),
        # An app that only enqueues where it serves is worked by its workers all the same.
        (Settings(scheduler=False, max_task_processors=0), {}, 1, 10, True),
        (Settings(), {"max_task_processors": 3}, 1, 3, True),
        (Settings(), {"min_task_processors": 3}, 3, 10, True),
        (Settings(), {"min_task_processors": 30}, 30, 30, True),
        (Settings(min_task_processors=8, max_task_processors=9), {"max_task_processors": 4}, 4, 4, True),
        (Settings(max_task_processors=9), {"min_task_processors": 4}, 4, 9, True),
        (Settings(max_task_processors=9), {"scheduler": False}, 1, 9, False),
        (Settings(), {"max_task_processors": 0}, 0, 0, True),
        (Settings(), {"max_task_processors": 0, "scheduler": False}, 0, 0, False),
    ],
)
def test_what_is_said_holds_and_the_rest_is_filled_in(settings, changes, least, most, scheduler):
    made = worker_settings(settings, **changes)
    assert (made.min_task_processors, made.max_task_processors, made.scheduler) == (least, most, scheduler)
    assert made.queues == settings.queues


def test_a_burst_has_no_scheduler_unless_one_is_asked_for():
    assert worker_settings(Settings(), burst=True).scheduler is False
    assert worker_settings(Settings(), burst=True, scheduler=True).scheduler is True
    assert worker_settings(Settings(scheduler=True), burst=True).scheduler is True


def test_what_does_not_fit_is_refused():
    with pytest.raises(InvalidSettings, match="min_task_processors=5 is above"):
        worker_settings(Settings(), min_task_processors=5, max_task_processors=2)


def test_settings_know_what_was_given():
    settings = Settings(grace=25, queues="*")
    assert settings.given == {"grace", "queues"}
    assert settings == Settings()
    assert repr(settings) == repr(Settings())
