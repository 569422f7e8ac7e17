"""Dumps of Redis: what programs left there, restored into a real server so that taskhero can be held against it.

A dump is a JSON file. Each key has its full name, with the namespace `resque`, its type, its seconds to live (-1: for
ever) and its value: a text; an array of texts for a list or a set; pairs of member and score, both texts, for a sorted
set; an object for a hash. Bytes that are no UTF-8 stand in texts as lone surrogates, \\udc80 to \\udcff.

    {"scenario": "what this is", "description": "...", "versions": {"resque": "3.0.0"}, "tz": "UTC",
     "keys": [{"key": "resque:queues", "type": "set", "ttl": -1, "value": ["mail"]}]}

To take one of your own Redis, which is only read:

    python conformance/interop/support/redis_dumps.py redis://localhost:6379/0 > /tmp/dumps/mine.json
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import redis

__all__ = ["FOLDERS", "Key", "Snapshot", "UnknownForm", "found", "load", "restore", "take", "written"]

#: Further folders with dumps, separated as in PATH.
VARIABLE: Final = "TASKHERO_DUMPS"
OWN: Final = Path(__file__).parents[1] / "dumps"
FOLDERS: Final = [OWN, *(Path(folder) for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder)]
PREFIX: Final = "resque:"
#: Versions, in what zone its writers were, and what it shows; a dump may tell more, of which nothing is read.
ABOUT: Final = {"scenario": str, "description": str, "versions": dict, "tz": str, "keys": list}


class UnknownForm(Exception):
    """A file that is no dump as described here; says which and where."""


class Key(NamedTuple):
    """A key and what stands there."""

    name: str
    type: str
    ttl: int
    value: Any


class Snapshot(NamedTuple):
    """A dump that was read."""

    scenario: str
    tz: str
    keys: tuple[Key, ...]


def found() -> list[Path]:
    """The dumps in all folders, in order."""
    for folder in FOLDERS:
        if not folder.is_dir():
            raise UnknownForm(f"{VARIABLE} names {str(folder)!r}, which is no folder")
    return [path for folder in FOLDERS for path in sorted(folder.glob("*.json"))]


# --- reading -----------------------------------------------------------------------------------------------------


def load(path: Path) -> Snapshot:
    """Read a dump.

    Raises:
        UnknownForm: It is none, or has something that cannot be restored exactly.
    """
    try:
        told = json.loads(path.read_text("utf-8"))
        for part, kind in ABOUT.items():
            _must(isinstance(told.get(part), kind), f"{part!r} is no {kind.__name__}")
        keys = tuple(map(_key, told["keys"]))
        _must(len({key.name for key in keys}) == len(keys), "a key stands there twice")
    except (UnknownForm, ValueError, AttributeError, TypeError) as error:
        raise UnknownForm(f"{path}: {error}") from error
    return Snapshot(told["scenario"], told["tz"], keys)


def _must(condition: bool, otherwise: str) -> None:
    if not condition:
        raise UnknownForm(otherwise)


def _key(told: dict[str, Any]) -> Key:
    _must(told.keys() == {"key", "type", "ttl", "value"}, f"a key has other parts than key, type, ttl, value: {told}")
    name, kind, ttl, value = told["key"], told["type"], told["ttl"], told["value"]
    _must(_is_text(name) and name.startswith(PREFIX), f"the key {name!r} does not begin with {PREFIX!r}")
    _must(kind in _SHAPES, f"{name!r} is of the type {kind!r}: known are {', '.join(_SHAPES)}")
    _must(type(ttl) is int and ttl >= -1, f"{name!r} has the ttl {ttl!r}: seconds, or -1")
    _must(_SHAPES[kind](value), f"the value of {name!r} is no {kind}: {value!r}")
    return Key(name, kind, ttl, value)


def _is_text(value: Any) -> bool:
    try:
        return isinstance(value, str) and value.encode("utf-8", "surrogateescape") is not None
    except UnicodeEncodeError:
        return False  # half of a surrogate pair, which stands for no byte


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(map(_is_text, value))


def _is_scored(pair: Any) -> bool:
    try:
        return isinstance(pair, list) and len(pair) == 2 and all(map(_is_text, pair)) and float(pair[1]) is not None
    except ValueError:
        return False


_SHAPES: Final = {
    "string": _is_text,
    "list": _are_texts,
    "set": lambda value: _are_texts(value) and len(set(value)) == len(value),
    "zset": lambda value: isinstance(value, list) and value != [] and all(map(_is_scored, value)),
    "hash": lambda value: isinstance(value, dict) and _are_texts([*value, *value.values()]),
}


# --- restoring, and taking ---------------------------------------------------------------------------------------


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def restore(url: str, snapshot: Snapshot) -> None:
    """Write all keys of a dump into a server, in one step; those that had less than a second left are left out."""
    with contextlib.closing(redis.Redis.from_url(url)) as client, client.pipeline(transaction=True) as step:
        for key in snapshot.keys:
            if key.ttl:
                step.execute_command(*_command(_bytes(key.name), key))
            if key.ttl > 0:
                step.expire(_bytes(key.name), key.ttl)
        step.execute()


def _command(name: bytes, key: Key) -> list[Any]:
    if key.type == "string":
        return ["SET", name, _bytes(key.value)]
    if key.type == "zset":
        return ["ZADD", name, *(part for member, score in key.value for part in (score, _bytes(member)))]
    if key.type == "hash":
        return ["HSET", name, *(_bytes(part) for item in key.value.items() for part in item)]
    return ["RPUSH" if key.type == "list" else "SADD", name, *map(_bytes, key.value)]


def take(url: str, scenario: str, description: str = "", tz: str = "UTC") -> dict[str, Any]:
    """Read all keys of the namespace; what changes meanwhile may not fit together."""
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        keys = [_read(client, name) for name in sorted(client.scan_iter(match=f"{PREFIX}*"))]
        versions = {"redis-server": client.info("server")["redis_version"]}
    told = {"scenario": scenario, "description": description, "versions": versions, "tz": tz}
    return {**told, "keys": [key for key in keys if key is not None]}


def _read(client: Any, name: bytes) -> dict[str, Any] | None:
    kind, ttl = client.type(name).decode(), client.ttl(name)
    reading = {
        "string": lambda: _text(client.get(name)),
        "list": lambda: [*map(_text, client.lrange(name, 0, -1))],
        "set": lambda: sorted(map(_text, client.smembers(name))),
        "zset": lambda: [
            [_text(member), f"{score:.17g}"] for member, score in client.zrange(name, 0, -1, withscores=True)
        ],
        "hash": lambda: {_text(field): _text(value) for field, value in client.hgetall(name).items()},
    }
    if kind == "none" or ttl == -2:
        return None
    return {"key": _text(name), "type": kind, "ttl": ttl, "value": reading[kind]()}


def written(told: dict[str, Any]) -> bytes:
    """A dump as it stands in its file, a key a line; bytes that are no text as escapes."""
    lines = [f" {_json(part)}: {_json(value)}" for part, value in told.items() if part != "keys"]
    keys = ",\n".join(f"  {_json(key)}" for key in told["keys"])
    text = "{\n" + ",\n".join([*lines, f' "keys": [\n{keys}\n ]']) + "\n}\n"
    return text.encode("utf-8", "backslashreplace")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    taken = take(sys.argv[1], "mine")
    if not taken["keys"]:
        sys.exit(f"no key there begins with {PREFIX!r}: other namespaces, and Redis Cluster, are not known here")
    sys.stdout.buffer.write(written(taken))
