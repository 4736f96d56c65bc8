"""Options shared by several commands, and the exit code for skipped inputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

from mscol_cli.commands.json_output import remember_command
from mscol_cli.commands.options import describe
from mscol_cli.commands.terminal import print_json, print_lines
from mscol_cli.contracts.options import Option
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.references import DEFAULT_MODEL, REFERENCES
from mscol_cli.errors import PartialFailure
from mscol_cli.recipes.options import device_option, untrained_encoder
from mscol_cli.system.units import counted


def _described(name: str, declared: Any) -> Any:
    return describe(Option(name, None, metadata=declared.metadata))


Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print the result, or the error, as JSON on stdout.",
        callback=remember_command,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Print the configuration as TOML, and stop."),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help=f"{REFERENCES[0].upper()}{REFERENCES[1:]}. [default: {DEFAULT_MODEL}]",
        metavar="MODEL",
    ),
]
Device = Annotated[str, _described("device", device_option())]
UntrainedEncoder = Annotated[str | None, _described("encoder", untrained_encoder())]
Source = Annotated[
    str, typer.Option(help="Source to take from the stores, such as drums.", metavar="NAME")
]


def format_done_before(inputs: int) -> str:
    """Words for inputs that an earlier run processed: `1 input was done before`."""
    return f"{counted(inputs, 'input')} {'was' if inputs == 1 else 'were'} done before"


def print_configurations(texts: Sequence[str], json: bool) -> None:
    """Print the TOML of `--dry-run` on stdout, or as JSON."""
    from mscol_cli.recipes.recipe import parse_toml

    if json:
        print_json({"configurations": [parse_toml(text) for text in texts]})
    else:
        print_lines(*(text.rstrip() for text in texts))


def warn_of_damage(progress: Progress, missing: Iterable[str], damaged: Iterable[str]) -> None:
    """Print a line for each missing file and for each damaged one."""
    for name in missing:
        progress.warn(f"{name}: is missing")
    for line in damaged:
        progress.warn(line)


def finish(failures: Sequence[object]) -> None:
    """Raise PartialFailure (exit code 3) if inputs were skipped."""
    if failures:
        skipped = "one input" if len(failures) == 1 else f"{len(failures)} inputs"
        raise PartialFailure(f"finished, but skipped {skipped}, named above.")
