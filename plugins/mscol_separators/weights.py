"""Open-Unmix's published weights: where they are, and proof that a file is one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.error import URLError

import torch

from mscol_cli.api import MissingDataError


@dataclass(frozen=True)
class Weight:
    """One published file; as torch.hub has it, its name ends in the start of its SHA-256."""

    url: str

    @property
    def file_name(self) -> str:
        """Name of the file, in the address and on the disk."""
        return self.url.rpartition("/")[2]

    @property
    def hash_prefix(self) -> str:
        """First hexadecimal digits of the SHA-256."""
        return Path(self.file_name).stem.rpartition("-")[2]


@dataclass(frozen=True)
class Published:
    """A published model.

    Attributes:
        hidden_size: Of its networks.
        licence: Of its weights, as far as the openunmix package states it.
        weights: By target.
    """

    hidden_size: int
    licence: str
    weights: Mapping[str, Weight]


def _weights(record: str, names: str) -> dict[str, Weight]:
    base = f"https://zenodo.org/records/{record}/files"
    return {name.partition("-")[0]: Weight(f"{base}/{name}.pth") for name in names.split()}


PUBLISHED = {
    "umxl": Published(
        hidden_size=1024,
        licence="CC BY-NC-SA 4.0: non-commercial use only",
        weights=_weights("5069601", "vocals-bccbd9aa drums-69e0ebd4 bass-2ca1ce51 other-c8c5b3e6"),
    ),
    "umxhq": Published(
        hidden_size=512,
        licence="not stated apart from the openunmix package's MIT; trained on MUSDB18-HQ",
        weights=_weights("3370489", "vocals-b62c91ce drums-9619578f bass-8d85a5bd other-b52fbbf7"),
    ),
}


def cache_folder() -> Path:
    """Where torch.hub keeps what it downloads: weights fetched by openunmix are found here."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def fetch(weight: Weight, folder: Path) -> Path:
    """The file of a published weight, downloaded if it is not in the folder.

    Raises:
        MissingDataError: It cannot be downloaded, or what is there or came is another file.
    """
    path = folder / weight.file_name
    if not path.exists():
        _download(weight, path)
    elif not file_hash(path).startswith(weight.hash_prefix):
        raise MissingDataError(
            f"{path} is damaged (its SHA-256 does not begin with {weight.hash_prefix}): delete it"
            " and run again"
        )
    return path


def file_hash(path: Path) -> str:
    """SHA-256 of a file, hex."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _download(weight: Weight, path: Path) -> None:
    advice = f"download {weight.url} yourself and put it at {path}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(weight.url, str(path), weight.hash_prefix, progress=False)
    except RuntimeError:
        raise MissingDataError(
            f"{weight.url} gave another file than was published: try again later, or {advice}"
        ) from None
    except (OSError, URLError) as error:
        raise MissingDataError(f"cannot fetch weights ({error}): {advice}") from None
