"""What is kept of a job's last error, as node-resque keeps it."""

from __future__ import annotations

import json

import pytest

from taskhero.wire.dates import parse_date
from taskhero.wire.failures import Description, encode_last_error
from taskhero.wire.jobs import mark_rescued

# As node-resque 9.7 wrote it, but for the lines of JavaScript.
THEIRS = (
    '{"failed_at":"2026/11/23 10:36:48","payload":["x y z",{"k":[1,2]},1],"exception":"TypeError: try again é",'
    '"error":"TypeError: try again é","backtrace":["TypeError: try again é","    at line 1"],"worker":"RetryJob",'
    '"queue":"default"}'
)
RAW = '{"class":"RetryJob","queue":"default","args":["x y z",{"k":[1,2]},1]}'


def written(raw=RAW, **but):
    given = {"exception": "TypeError", "error": "try again é", "backtrace": ["    at line 1"], **but}
    queue = given.pop("queue", "default")
    return encode_last_error(Description(**given), raw=raw, queue=queue, failed_at=1795430208)


@pytest.mark.parametrize("raw", [RAW, mark_rescued(RAW, running=True), mark_rescued(RAW, running=True, late=True)])
def test_the_text_is_node_resques_but_that_its_date_names_the_zone(raw):
    assert written(raw) == THEIRS.replace("10:36:48", "10:36:48 UTC")
    assert parse_date(json.loads(written())["failed_at"]) == parse_date(json.loads(THEIRS)["failed_at"])


def test_an_error_without_text_is_its_class():
    assert json.loads(written(error=""))["error"] == "TypeError"


def test_the_arguments_are_spelled_as_in_the_job():
    args = '[7.0, -0.0,{"b":1,"2":1.0e+22},"\\u00e9"]'
    text = written(raw=f'{{"args":{args},"class":"RetryJob"}}')
    assert f'"payload":{args},' in text
    assert json.loads(text)["worker"] == "RetryJob"
    assert json.loads(written(raw='{"class":"RetryJob","args":{"a":1}}'))["payload"] == [{"a": 1}]


def test_what_is_no_text_stands_in_it_as_visible_escapes():
    text = written(raw=r'{"class":"RetryJob","args":["\ud800"]}')
    assert json.loads(text)["payload"] == [r"\ud800"]
    text.encode()
