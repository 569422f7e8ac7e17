"""Noop: a failure is logged and taken for a success."""

from __future__ import annotations

import logging

import pytest

from taskhero import Failure, Job, PerformContext, Refused, Retrying, Success
from taskhero.errors import PluginError
from taskhero.plugins import Noop

JOB = Job("add", [1, 2], "math")
ERROR = ValueError("busted")


def ctx(logger):
    return PerformContext(worker="w", queue="math", logger=logger)


def test_a_failure_becomes_a_success_and_its_error_is_logged_where_the_task_logs(caplog):
    logger = logging.getLogger("taskhero.tests.noop")
    assert Noop().taskhero_after_perform(JOB, ctx(logger), Failure(ERROR, 1.5)) == Success(None, 1.5)
    (record,) = caplog.records
    assert (record.name, record.levelname, record.exc_info[1]) == (logger.name, "ERROR", ERROR)
    assert record.getMessage() == "Task 'add' failed, which counts as a success"


def test_another_logger_may_be_given(caplog):
    logger = logging.LoggerAdapter(logging.getLogger("theirs"), {})
    assert Noop(logger).taskhero_after_perform(JOB, ctx(None), Failure(ERROR)) == Success()
    assert [record.name for record in caplog.records] == ["theirs"]


def test_a_function_is_called_with_the_error_instead():
    seen = []
    assert Noop(seen.append).taskhero_after_perform(JOB, ctx(None), Failure(ERROR)) == Success()
    assert seen == [ERROR]


@pytest.mark.parametrize("outcome", [Success(3), Refused(), Retrying(ERROR, 1.0, "c", 2, (1,))])
def test_what_is_no_failure_stays(outcome):
    assert Noop().taskhero_after_perform(JOB, ctx(None), outcome) is None


@pytest.mark.parametrize("logger", ["taskhero", 7, logging.Logger])
def test_what_cannot_log_is_refused(logger):
    with pytest.raises(PluginError, match=r"logger=.*: pass a logging.Logger, or a function that takes the exception"):
        Noop(logger)
