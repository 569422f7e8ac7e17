"""A dump is restored byte for byte, or refused with what is wrong."""

from __future__ import annotations

import contextlib
import json

import pytest
import redis
from redis_dumps import UnknownForm, load, restore, take, written
from restored_dumps import all_dumps
from state_watcher import look

KEY = {"key": "resque:queue:q", "type": "list", "ttl": -1, "value": ["é", "\udcff"]}
FINE = {"scenario": "s", "description": "", "versions": {}, "tz": "UTC", "more": 1, "keys": [KEY]}


def write(folder, told):
    path = folder / "dump.json"
    path.write_text(json.dumps(told))
    return path


@all_dumps
def test_what_is_restored_is_what_stood_there(place, path, tmp_path):
    snapshot = load(path)
    restore(place.url, snapshot)
    again = tmp_path / "again.json"
    again.write_bytes(written(take(place.url, snapshot.scenario, tz=snapshot.tz)))

    def keys(of):
        return {
            key.name: (key.type, key.ttl < 0, sorted(key.value) if key.type in {"set", "zset"} else key.value)
            for key in of.keys
            if key.ttl
        }

    assert keys(load(again)) == keys(snapshot)


def test_each_type_is_restored_with_its_bytes_and_its_time_to_live(place, tmp_path):
    keys = [
        KEY,
        {"key": "resque:a", "type": "string", "ttl": 100, "value": "\udcfe\r\n"},
        {"key": "resque:b", "type": "set", "ttl": -1, "value": ["x", ""]},
        {"key": "resque:c", "type": "zset", "ttl": -1, "value": [["\udc80", "1795430208"], ["y", "2.5"]]},
        {"key": "resque:\udcff", "type": "hash", "ttl": -1, "value": {"é": "", "": "\udcff"}},
        {"key": "resque:gone", "type": "string", "ttl": 0, "value": "no second left"},
    ]
    restore(place.url, load(write(tmp_path, {**FINE, "keys": keys})))
    with contextlib.closing(redis.Redis.from_url(place.url)) as client:
        assert client.lrange("resque:queue:q", 0, -1) == ["é".encode(), b"\xff"]
        assert client.get("resque:a") == b"\xfe\r\n"
        assert 90 < client.ttl("resque:a") <= 100
        assert client.smembers("resque:b") == {b"x", b""}
        assert client.zrange("resque:c", 0, -1, withscores=True) == [(b"y", 2.5), (b"\x80", 1795430208.0)]
        assert client.hgetall(b"resque:\xff") == {"é".encode(): b"", b"": b"\xff"}
        assert client.ttl("resque:b") == -1
    assert len(look(place.url)) == 5


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ([], "dump.json"),
        ({**FINE, "tz": None}, "'tz' is no str"),
        ({key: value for key, value in FINE.items() if key != "keys"}, "'keys' is no list"),
        ({**FINE, "keys": [KEY, KEY]}, "stands there twice"),
        ({**FINE, "keys": ["resque:queues"]}, "dump.json"),
        ({**FINE, "keys": [{**KEY, "encoding": "raw"}]}, "other parts"),
        ({**FINE, "keys": [{**KEY, "key": "queue:q"}]}, "does not begin with 'resque:'"),
        ({**FINE, "keys": [{**KEY, "type": "stream"}]}, "is of the type 'stream'"),
        ({**FINE, "keys": [{**KEY, "ttl": -2}]}, "has the ttl -2"),
        ({**FINE, "keys": [{**KEY, "ttl": 1.5}]}, "has the ttl 1.5"),
        ({**FINE, "keys": [{**KEY, "value": []}]}, "is no list"),
        ({**FINE, "keys": [{**KEY, "value": [1]}]}, "is no list"),
        ({**FINE, "keys": [{**KEY, "value": ["\ud83d"]}]}, "is no list"),
        ({**FINE, "keys": [{**KEY, "type": "set", "value": ["a", "a"]}]}, "is no set"),
        ({**FINE, "keys": [{**KEY, "type": "zset", "value": [["a", "x"]]}]}, "is no zset"),
        ({**FINE, "keys": [{**KEY, "type": "zset", "value": ["a", "1"]}]}, "is no zset"),
        ({**FINE, "keys": [{**KEY, "type": "hash", "value": ["a", "b"]}]}, "is no hash"),
        ({**FINE, "keys": [{**KEY, "type": "string", "value": None}]}, "is no string"),
    ],
)
def test_what_is_no_dump_is_refused(tmp_path, told, message):
    with pytest.raises(UnknownForm, match=message) as raised:
        load(write(tmp_path, told))
    assert "dump.json" in str(raised.value)


def test_a_file_that_is_no_json_is_refused(tmp_path):
    path = tmp_path / "dump.json"
    path.write_text("{")
    with pytest.raises(UnknownForm, match=r"dump\.json"):
        load(path)
