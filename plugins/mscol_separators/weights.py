"""Open-Unmix's published models and their weights."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.api import Collection, SeparatorContext, fetch_files, find_collection
from mscol_separators.options import STEMS


@dataclass(frozen=True)
class Published:
    """A published model, whose weights `mscol download` knows by its name.

    Attributes:
        name: Name of the model.
        targets: Targets of its networks.
        sample_rate: Hz.
        n_fft: Samples per frame.
        n_hop: Samples between frames.
        channels: Number of input channels.
        hidden_size: Units of hidden layers.
    """

    name: str
    targets: tuple[str, ...]
    sample_rate: int
    n_fft: int
    n_hop: int
    channels: int
    hidden_size: int

    @property
    def collection(self) -> Collection:
        """Its files and their licence."""
        return find_collection(self.name)

    def fetch(self, targets: Sequence[str], context: SeparatorContext) -> dict[str, Path]:
        """Find the weights of targets, and download those that are not in torch.hub's folder.

        Raises:
            MissingDataError: They cannot be downloaded, or a file has another hash.
        """
        collection = self.collection
        names = [_file_of(target, collection) for target in targets]
        paths = fetch_files(collection, names, progress=context.progress, offline=context.offline)
        return dict(zip(targets, paths, strict=True))


_MODELS = (
    Published("umxl", STEMS, 44100, 4096, 1024, channels=2, hidden_size=1024),
    Published("umxhq", STEMS, 44100, 4096, 1024, channels=2, hidden_size=512),
    Published("umxse", ("speech", "noise"), 16000, 1024, 512, channels=1, hidden_size=256),
)
PUBLISHED: Mapping[str, Published] = {model.name: model for model in _MODELS}


def _file_of(target: str, collection: Collection) -> str:
    # Names of files begin with the target.
    return next(file.name for file in collection.files if re.split("[-_]", file.name)[0] == target)
