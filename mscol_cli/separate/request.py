"""Arguments of `mscol separate`; this module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mscol_cli.contracts.options import parameter
from mscol_cli.recipes.options import device_option, plugin_options, recipe_option


@dataclass(frozen=True)
class SeparateRequest:
    """Arguments of `mscol separate`; None takes the value of the recipe, then the default."""

    inputs: tuple[Path, ...] = parameter(
        ..., "Audio files, or folders searched recursively.", "INPUT", positional=True
    )
    output: Path | None = parameter(None, "The store. [default: DIR.store]", "STORE", short="-o")
    separator: str | None = parameter(
        None,
        "Separator: openunmix, stems, none or one of a plugin. [default: openunmix]",
        "NAME",
    )
    model: str | None = parameter(
        None,
        "Weights of the separator: umxl, umxhq, umxse or mini, a folder, or a file.",
        "NAME|PATH",
    )
    device: str = device_option()
    options: tuple[str, ...] = plugin_options()
    recipe: str | None = recipe_option()
    export: str | None = parameter(
        None, "Also write every source as an audio file: flac, wav or ogg.", "FORMAT"
    )
    export_dir: Path | None = parameter(
        None, "Folder of these files. [default: DIR-stems for DIR.store]", "DIR"
    )
    offline: bool = parameter(False, "Download nothing; missing weights are an error.")
    jobs: int | None = parameter(None, "Separate in N processes on this machine.")
    gpus: int | None = parameter(None, "Separate in N processes, each with one GPU.")
    retry_failed: bool = parameter(False, "Retry only inputs that failed in an earlier run.")
    precision: str = parameter(
        "fp32",
        "Precision of the networks: fp32, bf16, fp16 on a GPU, or auto, which is bf16 where it is"
        " faster and costs less than 0.05 dB.",
        "auto|fp32|bf16|fp16",
    )
