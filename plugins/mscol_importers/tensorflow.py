"""Importer of the published TensorFlow checkpoints, without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from mscol_cli.api import BadInputError, ImportedModel, ImportedPart, Importer
from mscol_importers.bundle import Bundle, open_bundle
from mscol_importers.locate import find_index, looks_like_checkpoint
from mscol_importers.mapping import NORMALISATION, Mapped, Part, published_mapping
from mscol_importers.matching import (
    ITERATIONS,
    MEAN,
    VARIANCE,
    count_left_out,
    find_problems,
)
from mscol_importers.options import TensorFlowOptions

ENCODER_OPTIONS = {"level": "norm", "drop_path": 0.2}
"""Published options, which checkpoints do not contain."""


class TensorFlowImporter(Importer):
    """Reads `tf.train.Checkpoint` files of the MSA paper's network (arXiv 2302.07077)."""

    def __init__(self, options: TensorFlowOptions) -> None:
        self._options = options

    def claims(self, path: Path) -> bool:
        """Whether the path is named like a checkpoint, or is a folder that contains one."""
        return looks_like_checkpoint(path)

    def read(self, path: Path) -> ImportedModel:
        """Read encoder, head and similarity; see `Importer.read`."""
        bundle = open_bundle(find_index(path))
        mapping = published_mapping()
        _refuse_other_network(bundle, mapping)
        bundle.check_data()
        _refuse_fitted_normalisation(bundle)
        stems = {"stems": self._options.stems}
        return ImportedModel(
            encoder=_part("encoder", "efficientnet_b0", ENCODER_OPTIONS, bundle, mapping),
            objective=_part("objective", "msa", stems, bundle, mapping),
            step=_step(bundle),
            sources=(bundle.index, *bundle.data_files()),
            mapped=len(mapping),
            left_out=count_left_out(bundle.variables),
        )


def _refuse_other_network(bundle: Bundle, mapping: tuple[Mapped, ...]) -> None:
    problems = find_problems(bundle.variables, mapping)
    if problems:
        raise BadInputError(
            f"{bundle.index} is not the published network, {len(problems)} of its variables do not"
            f" fit: {'; '.join(problems)}."
        )


def _refuse_fitted_normalisation(bundle: Bundle) -> None:
    mean, variance = bundle.read(MEAN).item(), bundle.read(VARIANCE).item()
    if (mean, variance) != (0.0, 1.0):
        raise BadInputError(
            f"{bundle.index}: {NORMALISATION} was fitted (mean {mean:g}, variance {variance:g})."
            " mscol's encoder has no such layer and needs the identity (mean 0, variance 1)."
        )


def _part(
    part: Part,
    name: str,
    options: Mapping[str, object],
    bundle: Bundle,
    mapping: tuple[Mapped, ...],
) -> ImportedPart:
    weights = {item.weight: _weight(bundle, item) for item in mapping if item.part == part}
    return ImportedPart(name, options, weights)


def _weight(bundle: Bundle, mapped: Mapped) -> torch.Tensor:
    values = torch.from_numpy(bundle.read(mapped.variable))
    return values if mapped.axes is None else values.permute(mapped.axes).contiguous()


def _step(bundle: Bundle) -> int:
    """Number of updates in the optimiser's state; 0 if it was not saved."""
    counted = [int(bundle.read(name).item()) for name in ITERATIONS if name in bundle.variables]
    return max(counted, default=0)
