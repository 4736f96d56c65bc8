"""Studies: stores, runs and probes, defined in a TOML file."""

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
        name: Name of the store, `NAME.store` in the folder of data sets.
        inputs: Folder of music, in the folder of data sets.
        settings: `separator`, `model` and `recipe`.
        options: Options of the separator, as `KEY=VALUE`.
    """

    name: str
    inputs: str
    settings: Values
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyRun:
    """A run of a study.

    Attributes:
        name: Name of the run folder.
        store: Name of the store.
        settings: Options of `pretrain` by field name, and `recipe`.
        options: Options of the objective, as `KEY=VALUE`.
    """

    name: str
    store: str
    settings: Values
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Study:
    """A study.

    Attributes:
        name: Name of the study, the stem of its file.
        title: One-line title.
        recipe: Default recipe of all stages; None for no recipe.
        tasks: Probe tasks of all models.
        untrained: Encoders that are also probed untrained, and `logmel`, the baseline.
        seeds: Classifiers per probe; None for the recipe's number, or the default.
        songs: Number of synthesised songs; None for downloaded data sets.
        online_probe: Training steps between online scores, and their task; None for no online
            probe.
        stores: Stores by name.
        runs: Runs by name.
        content: Content of the file, for the detection of changes.
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
    """Read the bundled studies, sorted by name."""
    return [_parse(path.stem, path) for path in named_files(FOLDER)]


def read_study(name: str) -> Study:
    """Read a study by name or path.

    Raises:
        MissingDataError: The file does not exist.
        UsageError: The name is unknown, or the file is not a study.
    """
    path = find_named("study", name, FOLDER, "mscol reproduce")
    return _parse(path.stem, path)


def _parse(name: str, path: Path) -> Study:
    content = read_toml(path, "mscol reproduce --show demo")[1]
    check_names(content, (*(item.key for item in STUDY), *TABLES), str(path))
    stated = {key: value for key, value in content.items() if key not in TABLES}
    stores = {key: _store(key, *entry) for key, entry in _tables(content, "stores", path).items()}
    runs = _tables(content, "runs", path)
    if not runs:
        raise UsageError(f"{path} has no run: add a table [runs.NAME].")
    return Study(
        name=_folder_name(name, str(path)),
        **read_options(STUDY, stated, Wording.in_file(str(path))),
        songs=_songs(content, path),
        online_probe=_online(content, path),
        stores=stores,
        runs={key: _run(key, *entry, stores) for key, entry in runs.items()},
        content=content,
    )


def _tables(content: Values, key: str, path: Path) -> dict[str, tuple[Any, str]]:
    """Content of each table [key.NAME], and its name in messages, by NAME."""
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
    return int(read_table(MUSIC, content["music"], f"{path}, [music]").get("songs", DEFAULT_SONGS))


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
    """Return the text of a study's file. Raises the errors of `read_study`."""
    read_study(name)
    return find_named("study", name, FOLDER, "mscol reproduce").read_text(encoding="utf-8")
