"""Python and Lua agree about the layout of each script call."""

from __future__ import annotations

import re
from importlib import resources

import pytest
from redis_view import connections_of

from taskhero.backends.redis.fake import FakeRedisBackend
from taskhero.backends.redis.scripts import CallPart, PreparedScript, ScriptCall, encode_command, script
from taskhero.errors import BackendRefused

LUA = resources.files("taskhero.backends.redis").joinpath("lua")
SOURCES = {file.name.removesuffix(".lua"): file.read_text("utf-8") for file in LUA.iterdir()}
SCRIPTS = sorted(name for name in SOURCES if not name.startswith("_"))
READERS = {
    "key": "read_key",
    "key_list": "read_keys",
    "text": "read_text",
    "texts": "read_texts",
    "number": "read_number",
    "flag": "read_flag",
    "optional": "read_optional",
}


def code_of(name: str) -> str:
    return re.sub(r"--.*", "", SOURCES[name])


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_script_checks_that_it_has_read_the_whole_call(name: str) -> None:
    assert "--!include arguments\n" in SOURCES[name]
    assert len(re.findall(r"\bexpect_end\(\)", code_of(name))) == 1


@pytest.mark.parametrize("name", sorted(set(SOURCES) - {"_arguments"}))
def test_no_script_reads_keys_and_arguments_by_position(name: str) -> None:
    assert not re.search(r"\b(KEYS|ARGV)\b", code_of(name))


def test_each_kind_of_value_has_a_writer_and_a_reader() -> None:
    written = {name for name in vars(CallPart) if not name.startswith("_")} - {"keys", "arguments", "extend"}
    assert written == set(READERS)
    assert set(re.findall(r"local function (read_\w+)", SOURCES["_arguments"])) == set(READERS.values())


@pytest.mark.anyio
@pytest.mark.parametrize("surplus", ["key", "argument", "nothing"])
async def test_a_call_with_a_value_that_the_script_does_not_read_is_an_error(surplus: str) -> None:
    backend = FakeRedisBackend("fakeredis://")
    await backend.connect()
    call = ScriptCall("delete_queue", "resque:queues", "resque:queue:q", "resque:wake:q")
    call.text("q")
    call.flag(False)
    if surplus == "nothing":
        assert await connections_of(backend).run_script(call) == 0
    else:
        call.key("resque:other") if surplus == "key" else call.text("other")
        counts = "4 keys, 2 of 2 arguments" if surplus == "key" else "3 keys, 2 of 3 arguments"
        with pytest.raises(BackendRefused, match=f"the script read 3 of {counts}; report this as a bug"):
            await connections_of(backend).run_script(call)
    await backend.close()


def test_a_part_adds_each_kind_of_value_and_keeps_all_bytes() -> None:
    part = CallPart()
    part.key("a\udcff")
    part.key_list(["b", "c"])
    part.text("d\udcff")
    part.texts(["e", "f"])
    part.number(7, 8)
    part.flag(True, False)
    part.optional(None, 1.5, "g")
    assert part.keys == [b"a\xff", b"b", b"c"]
    assert part.arguments == [2, b"d\xff", 2, b"e", b"f", 7, 8, "1", "0", b"", b"1.5", b"g"]


def test_a_prepared_script_sends_the_same_bytes_as_the_call() -> None:
    call = ScriptCall("claim", "k\u00e9y")
    call.text("process")
    call.number(1)
    prepared = PreparedScript(call, changing=2).with_last("token", "\u00e9")
    whole = ("EVALSHA", script("claim").sha, 1, "k\u00e9y".encode(), b"process", 1, "token", "\u00e9")
    assert prepared.encoded == encode_command(whole) == encode_command(prepared.command())
