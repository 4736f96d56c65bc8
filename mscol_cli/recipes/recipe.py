"""Read and write recipes, TOML files whose keys are all checked.

[separate], [pretrain] and [probe] hold options of those commands by their long names.
[objectives.NAME], [encoders.NAME], [separators.NAME] and [tasks.NAME] hold options of plugins, and
[protocols.TASK] holds those of `probe --protocol`.
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
    """The settings of a recipe.

    Attributes:
        name: Name of the recipe, or path of its file.
        title: Purpose of the recipe, in one line.
        commands: Options by field name, by command.
        parts: Options by name, by section (`objectives`, `encoders`, ...) and plugin.
        text: Text of the file.
    """

    name: str = ""
    title: str = ""
    commands: Mapping[str, Values] = field(default_factory=dict)
    parts: Mapping[str, Mapping[str, Values]] = field(default_factory=dict)
    text: str = ""

    def settings(self, command: str, options: Values) -> dict[str, Any]:
        """Options of a command: the recipe's, overridden by those given that are not None."""
        chosen = {name: value for name, value in options.items() if value is not None}
        return {**self.commands.get(command, {}), **chosen}

    def preset(self, section: str) -> Mapping[str, Values]:
        """Options of the plugins of a section, by plugin."""
        return self.parts.get(section, {})


def parse_toml(text: str) -> dict[str, Any]:
    """The values of a configuration. Raises ValueError."""
    content: dict[str, Any] = tomllib.loads(text)
    return content


def bundled_recipes() -> list[Recipe]:
    """The bundled recipes, sorted by name."""
    return [_parse(path.stem, path) for path in named_files(FOLDER)]


def read_recipe(name: str | None) -> Recipe:
    """Read a recipe by its name or path; None returns the empty recipe.

    Raises:
        MissingDataError: The file does not exist.
        UsageError: The name is unknown, or the file is not a valid recipe.
    """
    if name is None:
        return Recipe()
    return _parse(name, find_named("recipe", name, FOLDER, "mscol recipes"))


def named_files(folder: Path) -> list[Path]:
    """The TOML files in a folder, sorted by name."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def find_named(kind: str, name: str, folder: Path, lists: str) -> Path:
    """Find a bundled TOML file by its name, or a file of the user by its path.

    Args:
        kind: Kind of file, for messages.
        name: Name or path.
        folder: Folder of the bundled files.
        lists: Command that lists the bundled files, for messages.

    Raises:
        MissingDataError: The file does not exist.
        UsageError: The name is unknown.
    """
    bundled = {path.stem: path for path in named_files(folder)}
    path = bundled.get(name, Path(name))
    if path.is_file():
        return path
    if path.suffix == SUFFIX or len(path.parts) > 1:
        raise MissingDataError(
            f"{path} is not a file: give the path of a {kind}, or see '{lists}'."
        )
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
    """Read the text and content of a TOML file. Raises UsageError, with `example`, a command that
    prints a valid file."""
    try:
        # Some editors add a byte order mark to UTF-8, which TOML does not allow.
        text = path.read_text(encoding="utf-8-sig")
        return text, tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not valid TOML ({error}): see '{example}'.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): check its disk.") from error


def read_table(known: Iterable[Option], values: Any, where: str) -> dict[str, Any]:
    """Read the options of a table in a file, by field name. Raises UsageError."""
    return read_options(known, named_options(values, where), Wording.in_file(where))


def _plugins(values: Any, where: str) -> Mapping[str, Values]:
    tables = table(values, where)
    return {name: named_options(options, f"{where}: {name}") for name, options in tables.items()}


def named_options(values: Any, where: str) -> Values:
    """Read a table whose keys are long names of options. Raises UsageError."""
    return {name.replace("-", "_"): value for name, value in table(values, where).items()}


def table(values: Any, where: str) -> Values:
    """Check that a value is a table. Raises UsageError."""
    if not isinstance(values, dict):
        raise UsageError(f"{where} is {values!r}, not a table of options.")
    return values


def check_names(values: Values, known: Iterable[str], where: str) -> None:
    """Check that all names are known. Raises UsageError."""
    for name in values:
        if name not in known:
            raise unknown_name(f"setting in {where}", name, known)


def to_toml(content: Mapping[str, Any], command: str) -> str:
    """Write a recipe as TOML, with a comment on its origin.

    Args:
        content: Tables of a recipe; empty tables and None are left out.
        command: Command whose configuration this is.
    """
    text = tomli_w.dumps(_without_none(content))
    return f"# mscol {__version__}: every option of '{command}', usable with --recipe.\n\n{text}"


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        items = {name: _without_none(item) for name, item in value.items() if item is not None}
        return {name: item for name, item in items.items() if item != {}}
    return list(value) if isinstance(value, tuple) else value
