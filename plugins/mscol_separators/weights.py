"""Open-Unmix's published weights, and proof of which file was used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from mscol_cli.api import Collection, SeparatorContext, fetch_files, find_collection

# Units of the hidden layers, by the name under which `mscol download` knows the weights.
HIDDEN_SIZE = {"umxl": 1024, "umxhq": 512}


@dataclass(frozen=True)
class Published:
    """A published model.

    Attributes:
        hidden_size: Of its networks.
        collection: Its files and their licence.
    """

    hidden_size: int
    collection: Collection

    @property
    def files(self) -> Mapping[str, str]:
        """Names of its files by target; each begins with it."""
        return {file.name.partition("-")[0]: file.name for file in self.collection.files}

    def fetch(self, targets: Sequence[str], context: SeparatorContext) -> dict[str, Path]:
        """The weights of targets, downloaded if they are not in torch.hub's folder.

        Raises:
            MissingDataError: They cannot be downloaded, or what is there or came is another file.
        """
        names = [self.files[target] for target in targets]
        paths = fetch_files(
            self.collection, names, progress=context.progress, offline=context.offline
        )
        return dict(zip(targets, paths, strict=True))


def published(name: str) -> Published:
    """A model by name, one of `HIDDEN_SIZE`."""
    return Published(HIDDEN_SIZE[name], find_collection(name))


def file_hash(path: Path) -> str:
    """SHA-256 of a file, hex."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
