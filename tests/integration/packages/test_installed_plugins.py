"""Distributions of others, good ones and broken ones: `taskhero plugins` tells, and nothing stops the program."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from distributions import Site

GOOD = """
import attrs
from taskhero import hookimpl

@attrs.frozen(eq=False)
class Polite:
    word: str = "please"

    @hookimpl
    def taskhero_before_enqueue(self, job): ...

@hookimpl
def taskhero_after_enqueue(job): ...

@hookimpl
def taskhero_register_plugins(registry):
    registry.add("polite", Polite)

@hookimpl
def taskhero_register_commands(registry):
    import click

    @click.command(short_help="Say it politely.")
    @click.argument("name")
    def polite(name):
        click.echo(f"please, {name}")

    registry.add(polite)
"""

HOOK = "from taskhero import hookimpl\n@hookimpl\ndef "
COMMAND = """
import click
from taskhero import hookimpl

@click.command("{verb}")
def command():
    click.echo("mine")

@hookimpl
def taskhero_before_enqueue(job): ...

@hookimpl
def taskhero_register_commands(registry):
    registry.add(command)
"""

#: Broken distributions: their module, and what is said of them.
BROKEN = {
    "missing-import": ("import taskhero_no_such_package\n", "ModuleNotFoundError: No module named"),
    "says-exit": ("raise SystemExit(3)\n", "SystemExit: it ends the program when it is imported (3)"),
    "bad-syntax": ("def (:\n", "SyntaxError: "),
    "a-class": ("class plugin:\n    pass\n", "plugin is a class: pass an instance, plugin(...)"),
    "misspelt": (f"{HOOK}taskhero_before_enque(job): ...\n", "did you mean 'taskhero_before_enqueue'?"),
    "no-such-argument": (f"{HOOK}taskhero_before_enqueue(jobs): ...\n", "which taskhero_before_enqueue does not pass"),
    "no-hooks": ("word = 1\n", "has no hooks"),
    "raises": ("raise RuntimeError('two\\nlines')\n", "RuntimeError: two lines"),
    # Behind "polite" in the alphabet, so that it comes second.
    "z-clashes": (
        (
            f"{HOOK}taskhero_register_plugins(registry):\n"
            "    registry.add('half', list)\n    registry.add('polite', dict)\n"
            "@hookimpl\ndef taskhero_before_enqueue(job): return False\n"
        ),
        "two plugins have the name 'polite', good_module.Polite and builtins.dict",
    ),
    "z-takes-retry": (
        f"{HOOK}taskhero_register_plugins(registry): registry.add('retry', dict)\n",
        "two plugins have the name 'retry', taskhero.plugins.",
    ),
    "z-takes-redis": (
        (
            f"{HOOK}taskhero_register_backends(registry):\n    from taskhero.backends.memory import MemoryBackend\n"
            "    registry.add('redis', MemoryBackend)\n"
        ),
        "redis:// is the scheme of taskhero.backends.redis:RedisBackend",
    ),
}

PROGRAM = """
import asyncio
from taskhero import Settings, TaskHero

app = TaskHero(settings=Settings(max_task_processors=1))
done = asyncio.Event()

@app.task(plugins=("polite",))
async def greet():
    done.set()

async def main():
    async with app.running():
        assert await greet.enqueue()
        await asyncio.wait_for(done.wait(), 20)
    print("done", *[found.state for found in app.plugins.found])

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A good distribution, one of each broken kind, and backends likewise."""
    site = Site(tmp_path_factory.mktemp("site"))
    site.install("good", module="good_module", code=GOOD, taskhero={"polite": "good_module"})
    for name, (code, _) in BROKEN.items():
        module = name.replace("-", "_")
        target = f"{module}:plugin" if name == "a-class" else module
        site.install(name, module=module, code=code, taskhero={name: target})
    site.install("shadow", module="shadow", code=COMMAND.format(verb="work"), taskhero={"shadow": "shadow"})
    site.install("twin", module="twin", code=COMMAND.format(verb="polite"), taskhero={"twin": "twin"})
    points = {"mine": "stores:Mine", "gone": "stores:Gone", "bare": "stores:Bare", "exits": "stores_exit:Mine"}
    stores = "from taskhero.backends.memory import MemoryBackend\nclass Mine(MemoryBackend): ...\nclass Bare: ...\n"
    site.install("stores", module="stores", code=stores, taskhero_backends=points, version="2.5")
    site.install("exits", module="stores_exit", code="raise SystemExit(0)", taskhero_backends={"redis": "stores:Mine"})
    (site.folder / "shop.py").write_text(PROGRAM)
    return site


@pytest.fixture(scope="module")
def told(site):
    """What `taskhero plugins --app shop:app --json` prints."""
    done = site.taskhero("plugins", "--app", "shop:app", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def by(told, group, key):
    return {one[key]: one for one in told[group]}


def test_a_good_plugin_is_listed_with_its_distribution_hooks_and_commands(told):
    """Where it comes from, and what it does."""
    assert by(told, "plugins", "name")["polite"] == {
        "name": "polite",
        "distribution": "good",
        "version": "1.0",
        "state": "loaded",
        "error": None,
        "hooks": ["taskhero_after_enqueue", "taskhero_register_commands", "taskhero_register_plugins"],
        "commands": ["polite"],
    }


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_distribution_is_listed_with_what_is_wrong(told, name):
    """It failed, from where it comes, and why, in one line."""
    found = by(told, "plugins", "name")[name]
    assert (found["distribution"], found["state"], found["hooks"]) == (name, "failed", [])
    assert BROKEN[name][1] in found["error"]
    assert "\n" not in found["error"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("shadow", "the command 'work' is taskhero's own: rename the command of shadow"),
        ("twin", "two plugins have a command 'polite', good_module and twin"),
    ],
)
def test_a_command_that_clashes_is_left_out_and_the_rest_stays(told, name, sentence):
    """Both sides are named; the plugin's other hooks work."""
    found = by(told, "plugins", "name")[name]
    assert (found["state"], found["commands"]) == ("loaded", [])
    assert "taskhero_before_enqueue" in found["hooks"]
    assert sentence in found["error"]


def test_backends_are_listed_with_what_is_wrong(told):
    """Each that is installed, taskhero's own among them."""
    backends = {(one["scheme"], one["distribution"]): one for one in told["backends"]}
    assert backends["mine", "stores"] == {
        "scheme": "mine",
        "distribution": "stores",
        "version": "2.5",
        "state": "loaded",
        "error": None,
    }
    states = {key: (one["state"], one["error"]) for key, one in backends.items()}
    assert states["memory", "taskhero"] == ("loaded", None)
    assert states["bare", "stores"] == ("failed", "stores:Bare has no method from_url(url, *, namespace)")
    assert states["gone", "stores"][0] == "failed"
    assert "Gone" in states["gone", "stores"][1]
    assert states["exits", "stores"] == ("failed", "SystemExit: it ends the program when it is imported (0)")
    reason = "redis:// is the scheme of taskhero.backends.redis:RedisBackend: use another scheme"
    assert states["redis", "exits"] == ("failed", reason)


def test_an_apps_own_plugins_are_listed_in_their_order(told):
    """App-wide ones, and those of each task with their options and the name to block them by."""
    assert [one["name"] for one in told["app"]["plugins"]] == ["polite", "shadow", "twin"]
    assert [one["plugin"] for one in told["app"]["plugins"]] == ["good_module", "shadow", "twin"]
    assert told["app"]["tasks"] == [
        {
            "name": "greet",
            "plugins": [
                {"name": "greet:Polite", "plugin": "Polite(word='please')", "hooks": ["taskhero_before_enqueue"]}
            ],
        }
    ]


def test_tables_for_people_say_the_same(site):
    """Nothing is cut where no terminal is."""
    done = site.taskhero("plugins")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert f"{len(BROKEN) + 3} installed plugins" in lines
    assert "polite good 1.0 loaded after_enqueue, register_commands, register_plugins, command polite" in lines
    assert "says-exit says-exit 1.0 failed SystemExit: it ends the program when it is imported (3)" in lines
    assert "mine:// stores 2.5 loaded" in lines


def test_a_program_runs_beside_all_of_them(site):
    """Each broken one is logged; the good one does its work."""
    done = site.python("shop.py")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == ["done", *(["failed"] * len(BROKEN)), *(["loaded"] * 3)]
    for name in BROKEN:
        assert f"The plugin {name!r} of {name} 1.0 cannot be used" in done.stderr


@pytest.mark.parametrize(
    ("switch", "loaded"), [("none", []), ("polite", ["polite"]), ("twin, polite", ["polite", "twin"])]
)
def test_the_switch_decides_what_is_loaded(site, switch, loaded):
    """The others are off, and none of their code runs."""
    told = json.loads(site.taskhero("plugins", "--json", TASKHERO_PLUGINS=switch).stdout)
    assert told["switch"] == switch
    assert told["app"] is None
    states = {name: one["state"] for name, one in by(told, "plugins", "name").items()}
    assert [name for name, state in states.items() if state == "loaded"] == loaded
    assert set(states.values()) == ({"loaded", "off"} if loaded else {"off"})


def test_the_page_shows_the_json_as_it_is(told):
    """docs/cli.md and the verb agree, so that programs can rely on the page."""
    page = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    block = re.search(r"^`plugins`.*?```json\n(.*?)```", page, re.MULTILINE | re.DOTALL)
    assert block is not None
    assert shape(json.loads(block[1])) == shape(told)


def shape(value):
    """The keys of all objects; of a list, those of its first entry."""
    if isinstance(value, dict):
        return {key: shape(part) for key, part in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else None


# --- commands


def test_a_plugins_command_is_a_verb(site):
    """With its arguments, and its line in the help."""
    done = site.taskhero("polite", "Ann")
    assert (done.returncode, done.stdout) == (0, "please, Ann\n")
    told = site.taskhero("--help")
    assert told.returncode == 0
    assert re.search(r"^  polite +Say it politely\.$", told.stdout, re.MULTILINE)
    assert "The commands of shadow are skipped: PluginError: the command 'work' is taskhero's own" in told.stderr
    off = site.taskhero("polite", "Ann", TASKHERO_PLUGINS="none")
    assert off.returncode == 2
    assert off.stderr.startswith("Error: No such command 'polite'.")


def test_wrong_use_of_a_plugins_command_is_told_as_for_ours(site):
    """Two lines, exit code 2."""
    done = site.taskhero("polite", TASKHERO_PLUGINS="polite")
    assert (done.returncode, done.stderr) == (2, "Error: Missing argument 'NAME'.\nSee taskhero polite --help\n")


def test_our_own_verbs_look_for_no_plugins(site):
    """`taskhero enqueue` stays quick, and no plugin can stand in its way."""
    code = (
        "import sys\nfrom taskhero.cli.main import taskhero\n"
        "try:\n    taskhero(['tasks', '--app', 'shop:app'])\nexcept SystemExit as end:\n    print('exit', end.code)\n"
        "print([name for name in ('twin', 'shadow') if name in sys.modules])\n"
    )
    program = PROGRAM.replace('plugins=("polite",)', "")
    (site.folder / "shop_without.py").write_text(program)
    done = site.python("-c", code.replace("shop:app", "shop_without:app"))
    assert done.stdout.splitlines()[-2:] == ["exit 0", "[]"], done.stderr


def test_a_broken_backend_is_an_error_of_who_asks_for_it(site):
    """In one line, with the distribution that brings it."""
    done = site.taskhero("queues", "--backend", "exits://")
    assert done.returncode == 1
    assert "the driver for exits://, stores_exit:Mine, cannot be imported: SystemExit" in done.stderr
    assert "(stores (stores_exit:Mine))" in done.stderr
    assert site.taskhero("queues", "--backend", "mine://").returncode == 0


def test_a_distribution_without_a_name_or_version_is_listed(tmp_path):
    """Its metadata may be damaged, or missing."""
    site = Site(tmp_path)
    for name, metadata in (("nameless", ""), ("garbage", "\x00\xff not: metadata"), ("gone", None)):
        site.install(name, module=name, code=f"{HOOK}taskhero_before_enqueue(job): ...\n", taskhero={name: name})
        about = tmp_path / f"{name}-1.0.dist-info" / "METADATA"
        about.unlink() if metadata is None else about.write_text(metadata)
    told = json.loads(site.taskhero("plugins", "--json").stdout)
    assert [(one["name"], one["distribution"], one["state"]) for one in told["plugins"]] == [
        ("garbage", None, "loaded"),
        ("gone", None, "loaded"),
        ("nameless", None, "loaded"),
    ]
    assert " an unnamed distribution " in site.taskhero("plugins").stdout
