"""Write the generated parts of the command pages, `docs/commands/*.md`.

    python docs/generate.py              # option tables, from the Typer app; a test compares them
    python docs/generate.py --examples   # and the output of the examples, which takes minutes

An option table stands between `<!-- options: NAME -->` and `<!-- end -->`. An example is a line
that begins with `$ ` in a block marked `console`; the lines below it are replaced by its output.
Examples run in one temporary folder that holds synthesised music, page by page in the order of
`docs/commands/README.md`, so an example may use the output of an earlier one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from mscol_cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "commands"
OPTIONS = re.compile(r"(<!-- options: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
EXAMPLES = re.compile(r"```console\n(.*?)```", re.DOTALL)
DEFAULT = re.compile(r"\s*\[default: (.*)\]$")
# Longer outputs show this many lines at the beginning and at the end, and lines are cut.
FIRST, LAST, WIDTH = 14, 8, 150


def commands() -> dict[str, Any]:
    """Every visible command by its full name, such as `store ls`."""
    by_name: dict[str, Any] = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        if not command.hidden:
            by_name[name] = command
            members = getattr(command, "commands", {})
            by_name |= {f"{name} {member}": part for member, part in members.items()}
    return by_name


def pages() -> list[Path]:
    """The pages of the commands in the order of their index."""
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    return [PAGES / name for name in re.findall(r"\]\(([a-z]+\.md)\)", index)]


def option_tables(command: Any) -> str:
    """Arguments and options of a command as Markdown, a table for each panel of its `--help`."""
    panels: dict[str, list[str]] = {}
    for parameter in command.params:
        if parameter.name != "help" and not getattr(parameter, "hidden", False):
            panel = getattr(parameter, "rich_help_panel", None) or "Options"
            panels.setdefault(panel, []).append(_row(parameter))
    return "\n".join(
        f"| {title} | | default |\n|---|---|---|\n" + "\n".join(rows) + "\n"
        for title, rows in panels.items()
    )


def with_options(page: str) -> str:
    """A page with its option tables written from the app."""
    known = commands()
    return OPTIONS.sub(lambda block: block[1] + option_tables(known[block[2]]) + block[3], page)


def with_examples(page: str, folder: Path) -> str:
    """A page with its examples run in `folder`."""
    return EXAMPLES.sub(lambda block: f"```console\n{_run(block[1], folder)}```", page)


def _row(parameter: Any) -> str:
    text = " ".join((getattr(parameter, "help", None) or "").split())
    stated = DEFAULT.search(text)
    default = stated[1] if stated else parameter.default
    shown = "" if default in (None, False) else str(default)
    return f"| {_signature(parameter)} | {_escaped(DEFAULT.sub('', text))} | {_escaped(shown)} |"


def _signature(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = parameter.metavar or parameter.name.upper()
        many = "..." if parameter.nargs == -1 and not name.endswith("...") else ""
        return f"`{_escaped(name)}{many}`"
    value = "" if parameter.is_flag else " " + (parameter.metavar or "N")
    return f"`{', '.join(parameter.opts)}{_escaped(value)}`"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _run(block: str, folder: Path) -> str:
    lines = [line for line in block.splitlines() if line.startswith("$ ")]
    return "".join(f"{line}\n{_shortened(_output(line[2:], folder))}" for line in lines)


def _output(command: str, folder: Path) -> str:
    environment = {
        **os.environ,
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "MSCOL_TIMESTAMPS": "0",
        "MSCOL_CACHE": f"{folder}/.cache",
    }
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    output = done.stdout.decode(errors="replace")
    return output.replace(str(folder), "~").replace(str(Path.home()), "~")


def _shortened(output: str) -> str:
    # Indented, so that a command that an example prints is not run as one.
    lines = [_cut(re.sub(r"^\$ ", "  $ ", line).rstrip()) for line in output.splitlines()]
    if len(lines) > FIRST + LAST + 1:
        lines = [*lines[:FIRST], "...", *lines[-LAST:]]
    return "".join(f"{line}\n" for line in lines)


def _cut(line: str) -> str:
    # Half a word would be a mistake to a spelling checker.
    return line if len(line) <= WIDTH else f"{line[:WIDTH].rpartition(' ')[0].rstrip()} ..."


def _prepare(folder: Path) -> None:
    """Music for all examples, and a checkpoint with random weights for those of `import`."""
    import torch

    from mscol_cli.engine.models import build_encoder, build_objective
    from mscol_cli.host import find_objective, find_part, load_registry
    from mscol_cli.synthetic import write_collection
    from tests.helpers.tensorflow import published_variables, write_checkpoint

    write_collection(folder / "data", songs=40, seconds=5, notes=60)
    torch.manual_seed(0)
    registry = load_registry()
    encoder = build_encoder(find_part(registry, "encoder", "efficientnet_b0"), seed=0)
    objective = build_objective(find_objective(registry, "msa"), encoder, seed=0)
    variables = published_variables(encoder, objective, 640_000)
    write_checkpoint(folder / "published" / "checkpoint-10", variables)


def main(arguments: Sequence[str]) -> None:
    """Rewrite all pages, the tables of messages and variables, and the schema of results."""
    sys.path.insert(0, str(ROOT))
    from docs import messages, schema, variables

    with tempfile.TemporaryDirectory(prefix="mscol-docs-") as name:
        folder = Path(name)
        if "--examples" in arguments:
            _prepare(folder)
        for path in pages():
            page = with_options(path.read_text(encoding="utf-8"))
            if "--examples" in arguments:
                page = with_examples(page, folder)
            path.write_text(page, encoding="utf-8")
    for part in (schema, messages, variables):
        part.FILE.write_text(part.text(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
