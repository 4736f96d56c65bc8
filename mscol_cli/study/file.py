"""A study: which stores, which runs, which probes, as a TOML file says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mscol_cli.contracts.options import Option
from mscol_cli.errors import UsageError
from mscol_cli.host.names import unknown_name
from mscol_cli.host.options import Wording, read_options
from mscol_cli.recipes.options import IN_RECIPES
from mscol_cli.recipes.recipe import (
    Values,
    check_names,
    find_named,
    named_files,
    read_table,
    read_toml,
    table,
)

FOLDER = Path(__file__).parent / "bundled"
TABLES = ("music", "online_probe", "stores", "runs")


TEXTS = tuple[str, ...]
RECIPE = Option("recipe", str)
STUDY = (
    *(Option("title", str), RECIPE, Option("seeds", int)),
    *(Option("tasks", TEXTS), Option("untrained", TEXTS)),
)
MUSIC = (Option("songs", int),)
ONLINE = (Option("every", int), Option("task", str))
STAGE = (RECIPE, Option("options", TEXTS))
STORE = (*IN_RECIPES["separate"], *STAGE, Option("inputs", str))
RUN = (*IN_RECIPES["pretrain"], *STAGE, Option("store", str))
DEFAULT_SONGS = 96


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
        settings: Options of `pretrain` by the names of their fields, and `recipe`.
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
    check_names(content, (*(item.key for item in STUDY), *TABLES), str(path))
    stated = {key: value for key, value in content.items() if key not in TABLES}
    stores = {key: _store(key, *found) for key, found in _tables(content, "stores", path).items()}
    runs = _tables(content, "runs", path)
    if not runs:
        raise UsageError(f"{path} has no run: add a table [runs.NAME].")
    return Study(
        name=_folder_name(name, str(path)),
        **read_options(STUDY, stated, Wording.in_file(str(path))),
        songs=_songs(content, path),
        online_probe=_online(content, path),
        stores=stores,
        runs={key: _run(key, *found, stores) for key, found in runs.items()},
        content=content,
    )


def _tables(content: Values, key: str, path: Path) -> dict[str, tuple[Any, str]]:
    """What stands below [key.NAME], and what messages call it, by name."""
    where = f"{path}, [{key}]"
    return {
        _folder_name(name, where): (values, f"{path}, [{key}.{name}]")
        for name, values in table(content.get(key, {}), where).items()
    }


def _folder_name(name: str, where: str) -> str:
    if not re.fullmatch(r"\w[\w+.-]*", name):
        raise UsageError(f"{where}: '{name}' names a folder: use letters, digits, + . _ and -.")
    return name


def _songs(content: Values, path: Path) -> int | None:
    if "music" not in content:
        return None
    found = read_table(MUSIC, content["music"], f"{path}, [music]")
    return int(found.get("songs", DEFAULT_SONGS))


def _online(content: Values, path: Path) -> tuple[int, str] | None:
    if "online_probe" not in content:
        return None
    where = f"{path}, [online_probe]"
    values = read_table(ONLINE, content["online_probe"], where)
    if len(values) < len(ONLINE):
        raise UsageError(f"{where} needs 'every' and 'task'.")
    return values["every"], values["task"]


def _store(name: str, values: Any, where: str) -> StudyStore:
    settings = read_table(STORE, values, where)
    inputs, options = settings.pop("inputs", name), settings.pop("options", ())
    return StudyStore(name, inputs, settings, options)


def _run(name: str, values: Any, where: str, stores: Mapping[str, StudyStore]) -> StudyRun:
    settings = read_table(RUN, values, where)
    store = settings.pop("store", next(iter(stores), ""))
    if store not in stores:
        raise unknown_name(f"store in {where}", store, stores)
    return StudyRun(name, store, settings, settings.pop("options", ()))


def study_text(name: str) -> str:
    """The file of a bundled study, or of one's own. Raises as `read_study`."""
    read_study(name)
    return find_named("study", name, FOLDER, "mscol reproduce").read_text(encoding="utf-8")
