"""A reader of foreign checkpoints: another program's file to an encoder and an objective."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ImportedPart:
    """An encoder or an objective that was read.

    Attributes:
        name: Of the encoder or objective, as `mscol plugins` lists it.
        options: Its options by name; those left out take their defaults.
        weights: By the names of its `state_dict`, on the CPU; all of them, and no other.
    """

    name: str
    options: Mapping[str, Any]
    weights: Mapping[str, Tensor]


@dataclass(frozen=True)
class ImportedModel:
    """What was read of a foreign checkpoint.

    Attributes:
        encoder: The network.
        objective: The pretext task, with its projection head and similarity.
        step: Updates made, as far as the checkpoint says; else 0.
        sources: The files that were read.
        mapped: Variables that became weights.
        left_out: Variables that did not, by kind (`optimizer slots`).
    """

    encoder: ImportedPart
    objective: ImportedPart
    step: int
    sources: Sequence[Path]
    mapped: int
    left_out: Mapping[str, int] = field(default_factory=dict)


class Importer(ABC):
    """Base class of every importer."""

    @abstractmethod
    def claims(self, path: Path) -> bool:
        """Whether a file or folder is of this importer's format.

        Cheap, and by signs that a damaged file still has: `read` then says what is wrong with it.
        The path need not exist: it may be the common start of several files' names.
        """

    @abstractmethod
    def read(self, path: Path) -> ImportedModel:
        """Read a checkpoint, verify whatever checksums it has, and put every variable in its place.

        Raises:
            MissingDataError: A file that is needed is not there.
            BadInputError: A file is damaged or of another format, or variables are missing, of
                another shape, or have no place; the message names all of them.
            UsageError: The path can mean several checkpoints.
        """
