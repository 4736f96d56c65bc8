"""The layout: a room imports only from lower floors, a module only from modules before it.

A room is a folder, or a file, of `mscol_cli`; rooms of one floor do not know each other. Every
import counts, those inside functions and for type checkers too: where two modules need each other,
a part of one belongs in a third.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOP = {"__init__", "__main__", "api", "app", "errors"}  # the only files outside rooms
FLOORS: Sequence[set[str]] = [
    {"__init__", "errors"},
    {"contracts", "system"},
    {"host", "synthetic", "pages"},
    {"audio", "download", "recipes"},
    {"api", "hub", "store", "vectors"},
    {"cache", "runs"},
    {"engine"},
    {"embed", "export", "probe", "separate", "similar"},
    {"map", "pretrain", "push", "report", "tag"},
    {"importing", "study"},
    {"commands"},
    {"app"},
    {"__main__"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

BIG = 1500  # lines: a larger room has an order of its own
ORDER: Mapping[str, Sequence[str]] = {
    "audio": [
        "frames limits resample source suffixes write",
        "files headers matroska mpeg ogg",
        "lengths packets sndfile",
        "libav",
        "opening",
        "decode",
        "corruption mono",
        "__init__",
    ],
    "commands": [
        "columns json_output log",
        "options terminal",
        "progress",
        "shared",
        "pages",
        "*",
    ],
    "download": [
        "checksum joined part tar web",
        "table unpack",
        "folder record",
        "fetch plan request",
        "workflow",
    ],
    "engine": ["devices references waveforms", "encoding folding", "*", "models", "vector_header"],
    "host": [
        "guard names",
        "options checks",
        "checks.values",
        "checks.cards checks.encoder checks.importer checks.objective checks.separator",
        "checks.state checks.task",
        "registry",
        "parts",
        "building",
        "__init__",
    ],
    "pretrain": [
        "device_store geometry held_clips metrics_log modes processes request timm_weights",
        "batches finished initial_weights online_probe restoring step",
        "monitor step_check",
        "settling",
        "adapting",
        "settings train_split training",
        "prepare",
        "workflow",
    ],
    "probe": [
        "groups mapped published request",
        "windows",
        "cache rank_metrics similarity",
        "attributed reliability",
        "saved_head",
        "result",
        "attribution notes ranking",
        "metrics",
        "baselines bootstrap calibration classifier page plots tasks",
        "fullbatch minibatch paired scores settings",
        "clips",
        "finetune head training",
        "leakage retrieval scoring",
        "corrupted label_budget retrieved saving sources",
        "output table",
        "workflow",
        "compare",
        "many",
    ],
    "report": [
        "material",
        "*",
        "summary",
        "workflow",
    ],
    "runs": [
        "metrics schema state tracks",
        "layout",
        "*",
        "listing published verify",
        "plot",
    ],
    "separate": [
        "chunks copies request",
        "estimate separator",
        "batching jobs pending",
        "plan",
        "check_chunking inputs worker",
        "workflow",
    ],
    "store": [
        "spool",
        "arrays segments",
        "header records",
        "journal plan shards table verify",
        "joining reader writer",
        "__init__",
        "contents export",
    ],
    "synthetic": [
        "randomness styles",
        "catalogue harmony patterns signals",
        "drums effects files score timbre voice",
        "parts plucked sustained tags",
        "instruments",
        "notes song",
        "fma mtat musdb nsynth",
        "collection",
        "__init__",
    ],
    "system": [
        "distributed environment launcher prefetch signals temporary units values",
        "files outcomes",
        "json_files locks tensors text",
    ],
}
"""In each big room, from the lowest: `*` is every module that no other step names."""

Imports = Iterator[tuple[str, str]]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    package = next(
        number for number, part in enumerate(parts) if part == "mscol" or part.startswith("mscol_")
    )
    return ".".join(parts[package:]).removesuffix(".__init__")


MODULES = {
    module_name(path): path
    for folder in ("mscol", "mscol_cli", "plugins")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.relative_to(ROOT).parts[0] in ("mscol", "mscol_cli")
    or path.parent.name.startswith("mscol_")
    or path.parent.parent.name.startswith("mscol_")
}
CORE = [name for name in MODULES if name.startswith("mscol_cli.")]
PYTHON = [name for name in MODULES if name.partition(".")[0] == "mscol"]
PLUGINS = [name for name in MODULES if not name.startswith("mscol_cli") and name not in PYTHON]
ROOMS = sorted({name.split(".")[1] for name in CORE})


@cache
def imported(module: str) -> frozenset[str]:
    """Modules of ours that a module names, and modules of others by their dotted name."""
    names = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in MODULES else node.module or "" for name in parts}
    return frozenset(names - {module})


def room(module: str) -> str:
    """The room of a module of ours; `__init__` for the package itself."""
    return (*module.split("."), "__init__")[1]


def steps(name: str) -> dict[str, int]:
    """The step of each module of a room, by the order of that room."""
    modules = [module for module in CORE if room(module) == name]
    short = {module: module.partition(f"{name}.")[2] or "__init__" for module in modules}
    known = {word: number for number, words in enumerate(ORDER[name]) for word in words.split()}
    if "__init__" not in known:
        known["__init__"] = -1
    return {module: known.get(word, known.get("*", -2)) for module, word in short.items()}


def test_every_room_has_a_floor() -> None:
    assert set(ROOMS) | {"__init__"} == set(FLOOR)


def test_the_top_folder_holds_only_the_doors() -> None:
    assert {path.stem for path in (ROOT / "mscol_cli").glob("*.py")} == TOP


@pytest.mark.parametrize("here", ROOMS)
def test_a_room_imports_only_from_lower_floors(here: str) -> None:
    for module in (name for name in CORE if room(name) == here):
        for name in imported(module):
            top = name.partition(".")[0]
            assert not top.startswith("mscol_") or top == "mscol_cli", f"{module} names a plugin"
            if top == "mscol_cli" and room(name) != here:
                assert FLOOR[room(name)] < FLOOR[here], f"{module} imports {name}"


def test_the_python_interface_stands_where_the_commands_do() -> None:
    for module in MODULES:
        for name in imported(module):
            if module not in PYTHON:
                assert name.partition(".")[0] != "mscol", f"{module} imports {name}"
            elif name.startswith("mscol_"):
                assert name.startswith("mscol_cli"), f"{module} names a plugin"
                assert FLOOR[room(name)] < FLOOR["commands"], f"{module} imports {name}"


def lines(name: str) -> int:
    modules = (module for module in CORE if room(module) == name)
    return sum(MODULES[module].read_text(encoding="utf-8").count("\n") for module in modules)


def test_a_big_room_has_an_order_of_its_own() -> None:
    assert {name for name in ROOMS if lines(name) > BIG} <= set(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_a_module_of_a_big_room_imports_only_those_before_it(name: str) -> None:
    step = steps(name)
    unknown = [module for module, number in step.items() if number == -2]
    assert not unknown, f"give {unknown} a step in ORDER[{name!r}]"
    for module, number in step.items():
        for other in imported(module) & step.keys():
            assert step[other] < number, f"{module} imports {other}"


def test_an_order_names_only_modules_that_there_are() -> None:
    for name, words in ORDER.items():
        listed = {word for step in words for word in step.split()} - {"*", "__init__"}
        assert listed <= {
            module.partition(f"{name}.")[2] for module in CORE if room(module) == name
        }


def packages() -> list[str]:
    return sorted({name.partition(".")[0] for name in MODULES})


@pytest.mark.parametrize("package", packages())
def test_no_two_modules_import_each_other(package: str) -> None:
    graph = {
        name: {other for other in imported(name) if other in MODULES}
        for name in MODULES
        if name.partition(".")[0] == package
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("module", PLUGINS)
def test_a_plugin_imports_only_the_api(module: str) -> None:
    own = module.partition(".")[0]
    for name in imported(module):
        if name.startswith("mscol_") and name.partition(".")[0] != own:
            assert name == "mscol_cli.api", f"{module} imports {name}"


@pytest.mark.parametrize("library", ["typer", "rich"])
def test_only_the_commands_know_the_terminal(library: str) -> None:
    for module in MODULES:
        if library in {name.partition(".")[0] for name in imported(module)}:
            assert module in CORE, module
            assert room(module) in {"app", "commands"}, module
