"""Options shared by several commands, and the exit code for skipped inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import typer

from mscol_cli.engine.references import DEFAULT_MODEL, REFERENCES
from mscol_cli.errors import PartialFailure, UsageError

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Device = Annotated[
    str, typer.Option(help="auto (a GPU if there is one), cpu, cuda or cuda:N.", metavar="NAME")
]
Opt = Annotated[
    list[str] | None,
    typer.Option(
        "--opt",
        help="Option of the plugin; repeat for more. See 'mscol plugins show NAME'.",
        metavar="KEY=VALUE",
    ),
]
RecipeOption = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        help="Name (see 'mscol recipes') or file of a recipe; other options override it.",
        metavar="NAME|FILE",
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
UntrainedEncoder = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        help="Encoder for '--model untrained'. [default: that of the default model]",
        metavar="NAME",
    ),
]


def numbers(option: str, text: str | None) -> tuple[float, ...]:
    """Parse numbers separated by commas. Raises UsageError."""
    try:
        values = tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        values = (math.nan,)
    if not all(map(math.isfinite, values)):
        raise UsageError(f"{option} takes numbers separated by commas, not '{text}'.")
    return values


def finish(failures: Sequence[object]) -> None:
    """Raise PartialFailure (exit code 3) if inputs were skipped."""
    if failures:
        skipped = "one input" if len(failures) == 1 else f"{len(failures)} inputs"
        raise PartialFailure(f"finished, but skipped {skipped}, named above.")
