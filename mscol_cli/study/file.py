"""A study: which stores, which runs, which probes, as a TOML file says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mscol_cli.errors import UsageError
from mscol_cli.host.names import unknown_name
from mscol_cli.recipes.recipe import (
    SETTINGS,
    Values,
    check_names,
    find_named,
    named_files,
    named_options,
    read_toml,
    table,
    typed,
)

FOLDER = Path(__file__).parent / "bundled"
KEYS = (
    *("title", "recipe", "tasks", "untrained", "seeds"),
    *("music", "online_probe", "stores", "runs"),
)
MUSIC = {"songs": int}
ONLINE = {"every": int, "task": str}
STORE = {**SETTINGS["separate"], "inputs": str, "recipe": str}
RUN = {**SETTINGS["pretrain"], "store": str, "recipe": str}


@dataclass(frozen=True)
class StudyStore:
    """A store of a study.

    Attributes:
        name: The store is `NAME.store` in the folder of data sets.
        inputs: Folder of music, there, too.
        settings: `separator`, `model`, `recipe`.
        options: `KEY=VALUE` for the separator.
    """

    name: str
    inputs: str
    settings: Values
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyRun:
    """A run of a study.

    Attributes:
        name: Of its folder.
        store: Name of its store.
        settings: Options of `pretrain` by their names in recipes, and `recipe`.
        options: `KEY=VALUE` for the objective.
    """

    name: str
    store: str
    settings: Values
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Study:
    """What a study is made of.

    Attributes:
        name: Its name, or the stem of its file.
        title: One line on what it shows.
        recipe: Of all stages that name none; None for none.
        tasks: What each model is probed on.
        untrained: Encoders that are probed untrained, too.
        seeds: Classifiers per probe; None for the recipe's, or the default.
        songs: Of the music that is synthesised for it; None where data sets are downloaded.
        online_probe: Updates between two scores of a run while it is trained, and the task; None
            for no such scores.
        stores: By name.
        runs: By name.
        content: The file, to tell a changed study by.
    """

    name: str
    title: str = ""
    recipe: str | None = None
    tasks: tuple[str, ...] = ()
    untrained: tuple[str, ...] = ()
    seeds: int | None = None
    songs: int | None = None
    online_probe: tuple[int, str] | None = None
    stores: Mapping[str, StudyStore] = field(default_factory=dict)
    runs: Mapping[str, StudyRun] = field(default_factory=dict)
    content: Mapping[str, Any] = field(default_factory=dict)


def bundled_studies() -> list[Study]:
    """The studies that come with mscol, by name."""
    return [_parse(path.stem, path) for path in named_files(FOLDER)]


def read_study(name: str) -> Study:
    """A study by its name, or by the path of its file.

    Raises:
        MissingDataError: There is no such file.
        UsageError: No study has that name, or the file holds something else than a study.
    """
    path = find_named("study", name, FOLDER, "mscol reproduce")
    return _parse(path.stem, path)


def _parse(name: str, path: Path) -> Study:
    content = read_toml(path, "mscol reproduce --show demo")[1]
    check_names(content, KEYS, str(path))
    stores = _tables(content, "stores", path)
    runs = _tables(content, "runs", path)
    if not runs:
        raise UsageError(f"{path} has no run: add a table [runs.NAME].")
    parsed = {key: _store(key, values, f"{path}, [stores.{key}]") for key, values in stores.items()}
    return Study(
        name=_folder_name(name, str(path)),
        title=typed(content.get("title", ""), str, f"{path}: title"),
        recipe=_optional(content, "recipe", str, path),
        tasks=_texts(content.get("tasks", []), f"{path}: tasks"),
        untrained=_texts(content.get("untrained", []), f"{path}: untrained"),
        seeds=_optional(content, "seeds", int, path),
        songs=_songs(content, path),
        online_probe=_online(content, path),
        stores=parsed,
        runs={
            key: _run(key, values, parsed, f"{path}, [runs.{key}]") for key, values in runs.items()
        },
        content=content,
    )


def _tables(content: Values, key: str, path: Path) -> Mapping[str, Values]:
    where = f"{path}, [{key}]"
    named = table(content.get(key, {}), where)
    return {
        _folder_name(name, where): named_options(values, f"{where}: {name}")
        for name, values in named.items()
    }


def _folder_name(name: str, where: str) -> str:
    if not re.fullmatch(r"\w[\w+.-]*", name):
        raise UsageError(f"{where}: '{name}' names a folder: use letters, digits, + . _ and -.")
    return name


def _optional(content: Values, key: str, kind: type, path: Path) -> Any:
    return typed(content[key], kind, f"{path}: {key}") if key in content else None


def _songs(content: Values, path: Path) -> int | None:
    if "music" not in content:
        return None
    music = table(content["music"], f"{path}, [music]")
    check_names(music, MUSIC, f"{path}, [music]")
    songs: int = typed(music.get("songs", 96), int, f"{path}, [music]: songs")
    return songs


def _online(content: Values, path: Path) -> tuple[int, str] | None:
    if "online_probe" not in content:
        return None
    where = f"{path}, [online_probe]"
    values = _typed_all(table(content["online_probe"], where), ONLINE, where)
    if values.keys() != ONLINE.keys():
        raise UsageError(f"{where} needs 'every' and 'task'.")
    return values["every"], values["task"]


def _texts(values: Any, where: str) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise UsageError(f"{where} takes a list, not {values!r}.")
    return tuple(typed(value, str, where) for value in values)


def _typed_all(values: Values, kinds: Mapping[str, type], where: str) -> dict[str, Any]:
    check_names(values, (*kinds, "options"), where)
    return {
        name: typed(value, kinds[name], f"{where}: {name}")
        for name, value in values.items()
        if name != "options"
    }


def _store(name: str, values: Values, where: str) -> StudyStore:
    settings = _typed_all(values, STORE, where)
    inputs = settings.pop("inputs", name)
    return StudyStore(name, inputs, settings, _texts(values.get("options", []), where))


def _run(name: str, values: Values, stores: Mapping[str, StudyStore], where: str) -> StudyRun:
    settings = _typed_all(values, RUN, where)
    store = settings.pop("store", next(iter(stores), ""))
    if store not in stores:
        raise unknown_name(f"store in {where}", store, stores)
    return StudyRun(name, store, settings, _texts(values.get("options", []), where))


def study_text(name: str) -> str:
    """The file of a bundled study, or of one's own. Raises as `read_study`."""
    read_study(name)
    return find_named("study", name, FOLDER, "mscol reproduce").read_text(encoding="utf-8")
