"""Embeddings to tag: of files, folders and stores, or read from folders of vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from mscol_cli.audio import check_unique
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.progress import Progress
from mscol_cli.embed.inputs import Inputs, find_inputs
from mscol_cli.engine.embedding import ClipEmbedding, embed_clips, read_ahead
from mscol_cli.errors import BadInputError, UsageError
from mscol_cli.probe.head import Head
from mscol_cli.system.outcomes import warn_short
from mscol_cli.tag.model import describe
from mscol_cli.vectors import VectorEntry, VectorFolder, is_vector_folder

Embedded = Iterator[tuple[str, ClipEmbedding | BadInputError]]
"""Ids with embeddings, or with the reason why there are none."""


@dataclass(frozen=True)
class TagInputs:
    """The inputs of `mscol tag`.

    Attributes:
        audio: Clips of files, folders and stores.
        folders: Folders of vectors.
    """

    audio: Inputs
    folders: Sequence[VectorFolder]

    def __len__(self) -> int:
        return len(self.audio.clips) + sum(len(folder.entries) for folder in self.folders)

    def embed(self, encoder: Encoder, device: torch.device, progress: Progress) -> Embedded:
        """Embed the clips of files, folders and stores with an encoder on a device."""
        clips = self.audio.clips
        readers = (
            (clip.name, partial(clip.read, on_short=partial(warn_short, progress.warn, clip.name)))
            for clip in clips
        )
        waveforms = read_ahead(readers, encoder.sample_rate)
        results = embed_clips(encoder, waveforms, device=device)
        return zip((clip.id for clip in clips), results, strict=True)

    def read(self) -> Embedded:
        """Read the folders of vectors.

        Raises:
            MscolError: Vectors are missing or damaged.
        """
        for folder in self.folders:
            for entry in folder.entries:
                yield entry.id, _read(folder, entry)


def find_tag_inputs(paths: Sequence[Path], source: str, head: Head, path: Path) -> TagInputs:
    """List the clips to tag.

    Args:
        paths: Audio files, folders to search, sealed stores, folders of vectors.
        source: Source of the stores; another than the mixture excludes files.
        head: The head.
        path: Folder of the head.

    Raises:
        UsageError: Two clips have the same id, a store lacks the source, or a folder has other
            vectors than those that the head was trained on.
        MissingDataError: An input does not exist, or no input holds audio.
    """
    folders = [VectorFolder.open(path) for path in paths if is_vector_folder(path)]
    for folder in folders:
        _check(folder, source, head, path)
    others = [path for path in paths if not is_vector_folder(path)]
    audio = find_inputs(others, source) if others else Inputs([], [], [])
    ids = [(clip.id, clip.path) for clip in audio.clips]
    check_unique(
        [*ids, *((entry.id, folder.path) for folder in folders for entry in folder.entries)]
    )
    return TagInputs(audio, folders)


def _check(folder: VectorFolder, source: str, head: Head, path: Path) -> None:
    header, recorded = folder.header, head.record.model
    if header.model_hash != recorded.hash:
        raise UsageError(
            f"{folder.path} has vectors by {describe(header.model, header.model_hash)}, and the"
            f" head in {path} was trained on {describe(recorded.name, recorded.hash)}: embed with"
            " that model."
        )
    if header.pool != "none":
        raise UsageError(
            f"{folder.path} has one vector per file, and a head needs those of all windows: embed"
            " with --pool none."
        )
    changed = [name for name, value in recorded.framing.items() if getattr(header, name) != value]
    if changed:
        raise UsageError(
            f"{folder.path} has vectors with another {', '.join(changed)} than the head in"
            f" {path}: embed without --hop."
        )
    if source not in (MIXTURE, header.source):
        raise UsageError(f"{folder.path} has vectors of {header.source}, not of {source}.")


def _read(folder: VectorFolder, entry: VectorEntry) -> ClipEmbedding | BadInputError:
    if entry.failure is not None:
        return BadInputError(entry.failure)
    return ClipEmbedding(folder.read(entry), folder.start_s(entry))
