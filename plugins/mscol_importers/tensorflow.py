"""The published checkpoints: written by TensorFlow, read without it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from mscol_cli.api import BadInputError, ImportedModel, ImportedPart, Importer
from mscol_importers.bundle import Bundle, open_bundle
from mscol_importers.locate import find_index, looks_like_checkpoint
from mscol_importers.matching import (
    ITERATIONS,
    MEAN,
    VARIANCE,
    count_left_out,
    find_problems,
)
from mscol_importers.options import TensorFlowOptions
from mscol_importers.places import NORMALISATION, Part, Place, published_places

ENCODER_OPTIONS = {"level": "norm", "drop_path": 0.2}
"""As published; a checkpoint records neither."""


class TensorFlowImporter(Importer):
    """Reads what `tf.train.Checkpoint` wrote of the MSA paper's network (arXiv 2302.07077)."""

    def __init__(self, options: TensorFlowOptions) -> None:
        self._options = options

    def claims(self, path: Path) -> bool:
        """Whether it is named as a checkpoint is, or is a folder that holds one."""
        return looks_like_checkpoint(path)

    def read(self, path: Path) -> ImportedModel:
        """Read encoder, head and similarity; see `Importer.read`."""
        bundle = open_bundle(find_index(path))
        places = published_places()
        _refuse_other_network(bundle, places)
        bundle.check_data()
        _refuse_fitted_normalisation(bundle)
        stems = {"stems": self._options.stems}
        return ImportedModel(
            encoder=_part("encoder", "efficientnet_b0", ENCODER_OPTIONS, bundle, places),
            objective=_part("objective", "msa", stems, bundle, places),
            step=_step(bundle),
            sources=(bundle.index, *bundle.data_files()),
            mapped=len(places),
            left_out=count_left_out(bundle.variables),
        )


def _refuse_other_network(bundle: Bundle, places: tuple[Place, ...]) -> None:
    problems = find_problems(bundle.variables, places)
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
            " mscol's encoder has no such layer and takes only the identity (mean 0, variance 1)."
        )


def _part(
    part: Part, name: str, options: Mapping[str, object], bundle: Bundle, places: tuple[Place, ...]
) -> ImportedPart:
    weights = {place.weight: _weight(bundle, place) for place in places if place.part == part}
    return ImportedPart(name, options, weights)


def _weight(bundle: Bundle, place: Place) -> torch.Tensor:
    values = torch.from_numpy(bundle.read(place.variable))
    return values if place.axes is None else values.permute(place.axes).contiguous()


def _step(bundle: Bundle) -> int:
    """Updates that the optimiser counted; 0 when it was not saved."""
    counted = [int(bundle.read(name).item()) for name in ITERATIONS if name in bundle.variables]
    return max(counted, default=0)
