"""Arguments of `mscol probe`; this module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mscol_cli.contracts.options import parameter
from mscol_cli.engine.references import DEFAULT_MODEL, REFERENCES
from mscol_cli.recipes.options import (
    device_option,
    plugin_options,
    recipe_option,
    untrained_encoder,
)


@dataclass(frozen=True, kw_only=True)
class ProbeOptions:
    """Options of one probe and of a table of probes."""

    encoder: str | None = untrained_encoder()
    recipe: str | None = recipe_option()
    seeds: int | None = parameter(
        None, "Number of classifiers, each with another seed. [default: 5]"
    )
    protocol: tuple[str, ...] = parameter(
        (),
        "Setting of the training of classifiers; repeat for more. --dry-run prints all keys.",
        "KEY=VALUE",
    )
    classifier: str | None = parameter(
        None,
        "Classifier: published, or linear or mlp, trained on all windows at once with weight decay"
        " chosen on validation. [default: published]",
        "KIND",
    )
    finetune: bool = parameter(
        False, "Also train the encoder; with one seed unless --seeds is given."
    )
    options: tuple[str, ...] = plugin_options()
    label_fractions: tuple[float, ...] = parameter(
        (),
        "Also train on these fractions of the training clips, for scores by number of labels.",
        "F,F,...",
        key="label-fraction",
    )
    attribute: bool = parameter(False, "Also score each source of the test clips on its own.")
    stems: Path | None = parameter(
        None,
        "Store with the sources for --attribute. [default: DIR.store for the data set in DIR]",
        "STORE",
    )
    noise: tuple[float, ...] = parameter(
        (), "Also test with white noise at these signal-to-noise ratios.", "DB,..."
    )
    gain: tuple[float, ...] = parameter(
        (), "Also test clips at these gains, rounded and clipped to 16 bits.", "DB,..."
    )
    pitch: tuple[float, ...] = parameter((), "Also test pitch-shifted clips.", "SEMITONES,...")
    mp3: tuple[float, ...] = parameter((), "Also test clips encoded as MP3.", "KBPS,...")
    save: bool = parameter(
        False,
        "Save the calibrated classifier for 'mscol tag'; with --finetune, also the encoder.",
    )
    device: str = device_option()

    @property
    def corruptions(self) -> list[tuple[str, float]]:
        """Kind and amount of each corruption of the test clips to score."""
        kinds = ("noise", "gain", "pitch", "mp3")
        return [(kind, amount) for kind in kinds for amount in getattr(self, kind)]

    @property
    def assignments(self) -> list[str]:
        """Options of the protocol, as `KEY=VALUE`."""
        classifier = [f"classifier={self.classifier}"] if self.classifier else []
        return [*self.protocol, *classifier, *(["finetune=true"] if self.finetune else [])]


@dataclass(frozen=True)
class ProbeRequest(ProbeOptions):
    """Request for a probe.

    Attributes:
        task: Name of the task.
        data: Folder of the data set; None for `data/TASK`.
        model: A model reference, as in `engine.models.resolve_model`; None for the default.
        output: Folder of the report; None for `RUN/probes/TASK`, or `probes/MODEL-TASK` for a model
            without a run.
    """

    task: str
    data: Path | None = None
    model: str | None = None
    output: Path | None = None


@dataclass(frozen=True)
class TableRequest(ProbeOptions):
    """Request for a table of probes: every model on every task."""

    tasks: tuple[str, ...] = parameter(
        ...,
        "One or more tasks: mtat, nsynth, fma, folder, stems or one of a plugin.",
        "TASK",
        positional=True,
    )
    data: tuple[str, ...] = parameter(
        (), "Folder of the data set. [default: data/TASK]", "DIR|TASK=DIR"
    )
    models: tuple[str, ...] = parameter(
        (),
        f"{REFERENCES[0].upper()}{REFERENCES[1:]}; repeat to compare models."
        f" [default: {DEFAULT_MODEL}]",
        "MODEL",
        key="model",
    )
    output: Path | None = parameter(
        None,
        "Folder for probe.json and probe.md; for several tasks or models, probes.json and"
        " probes.md. [default: RUN/probes/TASK; for several, probes]",
        "DIR",
        short="-o",
    )
    reuse: bool = parameter(
        False,
        "With several tasks or models: reuse existing results of the same model and settings.",
    )
