"""Recipes: TOML files read with every key checked, and written.

[separate], [pretrain] and [probe] hold options of those commands by their long names.
[objectives.NAME], [encoders.NAME], [separators.NAME] and [tasks.NAME] hold options of plugins,
[protocols.TASK] what `probe --protocol` takes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from mscol_cli import __version__
from mscol_cli.contracts.options import Option
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.host.names import unknown_name
from mscol_cli.host.options import Wording, read_options
from mscol_cli.recipes.options import IN_RECIPES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


Values = Mapping[str, Any]
SUFFIX = ".toml"
FOLDER = Path(__file__).parent

PARTS = ("objectives", "encoders", "separators", "tasks", "protocols")
ABOUT = ("title",)


@dataclass(frozen=True)
class Recipe:
    """What a recipe sets.

    Attributes:
        name: Its name, or the file it was read from.
        title: One line on what it is for.
        commands: By command, options by the names of their fields.
        parts: By section (`objectives`, `encoders`, ...), by plugin, options by name.
        text: The file as it was written.
    """

    name: str = ""
    title: str = ""
    commands: Mapping[str, Values] = field(default_factory=dict)
    parts: Mapping[str, Mapping[str, Values]] = field(default_factory=dict)
    text: str = ""

    def settings(self, command: str, given: Values) -> dict[str, Any]:
        """Options of a command: what was given, and where that is None, what the recipe says."""
        chosen = {name: value for name, value in given.items() if value is not None}
        return {**self.commands.get(command, {}), **chosen}

    def preset(self, section: str) -> Mapping[str, Values]:
        """Options of the plugins of a section, by plugin."""
        return self.parts.get(section, {})


NO_RECIPE = Recipe()


def bundled_recipes() -> list[Recipe]:
    """The recipes that come with mscol, by name."""
    return [_parse(path.stem, path) for path in named_files(FOLDER)]


def read_recipe(name: str | None) -> Recipe:
    """A recipe by its name, or by the path of its file; the empty one for None.

    Raises:
        MissingDataError: There is no such file.
        UsageError: No recipe has that name, or the file holds something else than a recipe.
    """
    if name is None:
        return NO_RECIPE
    path = find_named("recipe", name, FOLDER, "mscol recipes")
    return _parse(name, path)


def named_files(folder: Path) -> list[Path]:
    """The TOML files that come with mscol in a folder, by name."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def find_named(kind: str, name: str, folder: Path, lists: str) -> Path:
    """A TOML file that comes with mscol, by its name, or one of the user's, by its path.

    Args:
        kind: What it holds, for messages.
        name: Name or path.
        folder: Of those that come with mscol.
        lists: The command that lists them.

    Raises:
        MissingDataError: There is no such file.
        UsageError: None has that name.
    """
    bundled = {path.stem: path for path in named_files(folder)}
    path = bundled.get(name, Path(name))
    if path.is_file():
        return path
    if path.suffix == SUFFIX or len(path.parts) > 1:
        raise MissingDataError(f"{path} is no file: name a {kind}'s file, or see '{lists}'.")
    raise unknown_name(kind, name, bundled)


def _parse(name: str, path: Path) -> Recipe:
    text, content = read_toml(path, "mscol recipes show smc23")
    check_names(content, (*ABOUT, *IN_RECIPES, *PARTS), str(path))
    return Recipe(
        name,
        str(content.get("title", "")),
        {
            command: read_table(known, content.get(command, {}), f"{path}, [{command}]")
            for command, known in IN_RECIPES.items()
        },
        {section: _plugins(content.get(section, {}), f"{path}, [{section}]") for section in PARTS},
        text,
    )


def read_toml(path: Path, example: str) -> tuple[str, dict[str, Any]]:
    """The text of a TOML file, and what it says. Raises UsageError, naming a command that prints
    an example."""
    try:
        # Some editors begin UTF-8 with a byte order mark, which TOML does not know.
        text = path.read_text(encoding="utf-8-sig")
        return text, tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no TOML ({error}): see '{example}'.") from None


def read_table(known: Iterable[Option], values: Any, where: str) -> dict[str, Any]:
    """The options that a table of a file sets, by the names of their fields. Raises UsageError."""
    return read_options(known, named_options(values, where), Wording.in_file(where))


def _plugins(values: Any, where: str) -> Mapping[str, Values]:
    tables = table(values, where)
    return {name: named_options(options, f"{where}: {name}") for name, options in tables.items()}


def named_options(values: Any, where: str) -> Values:
    """A table whose keys are options by their long names. Raises UsageError."""
    return {name.replace("-", "_"): value for name, value in table(values, where).items()}


def table(values: Any, where: str) -> Values:
    """A table. Raises UsageError, saying where, when it is something else."""
    if not isinstance(values, dict):
        raise UsageError(f"{where} is no table of options, but {values!r}.")
    return values


def check_names(found: Values, known: Iterable[str], where: str) -> None:
    """Refuse a name that is not known. Raises UsageError."""
    for name in found:
        if name not in known:
            raise unknown_name(f"setting in {where}", name, known)


def to_toml(content: Mapping[str, Any], command: str) -> str:
    """Sections with every value stated, under a comment that says what it is.

    Args:
        content: Tables of a recipe; empty ones, and values that are None, are left out.
        command: The command whose configuration this is.
    """
    text = tomli_w.dumps(_stated(content))
    return f"# mscol {__version__}: every option of '{command}', usable with --recipe.\n\n{text}"


def _stated(value: Any) -> Any:
    if isinstance(value, Mapping):
        stated = {name: _stated(item) for name, item in value.items() if item is not None}
        return {name: item for name, item in stated.items() if item != {}}
    return list(value) if isinstance(value, tuple) else value
