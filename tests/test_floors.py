"""The house: a room imports only from lower floors, and rooms of one floor are strangers."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = [
    {"errors", "units", "__init__"},
    {"adam", "ahead", "contracts", "distributed", "files", "launched", "outliving", "space"},
    {"host", "audio", "store", "checkpoints", "downloads"},
    {"api", "engine", "probing", "recipes", "reports", "separation", "synthetic"},
    {"workflows"},
    {"app", "__main__", "commands"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
PACKAGE = sorted((ROOT / "mscol_cli").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").glob("mscol[_-]*/**/*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(path: Path) -> str:
    return path.relative_to(ROOT / "mscol_cli").with_suffix("").parts[0]


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_from_lower_floors(path: Path) -> None:
    here = room(path)
    for name in imported(path):
        top, _, rest = name.partition(".")
        assert not top.startswith("mscol_") or top == "mscol_cli", f"{here} names a plugin: {name}"
        there = rest.partition(".")[0]
        if top == "mscol_cli" and there != here and there in FLOOR:
            allowed = FLOOR[there] < FLOOR[here] or FLOOR[here] == len(FLOORS) - 1
            assert allowed, f"{here} imports {name}"


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_plugin_imports_only_the_api(path: Path) -> None:
    own = path.relative_to(ROOT / "plugins").parts[0].replace("-", "_")
    for name in imported(path):
        if name.startswith("mscol_") and not name.startswith(f"{own}."):
            assert name.startswith("mscol_cli.api."), f"{path} imports {name}"


def test_only_the_commands_know_typer_and_rich() -> None:
    for path in PACKAGE + PLUGINS:
        names = {name.partition(".")[0] for name in imported(path)}
        if names & {"typer", "rich"}:
            assert room(path) in FLOORS[-1], path


def test_every_room_has_a_floor() -> None:
    assert {room(path) for path in PACKAGE} <= set(FLOOR)
