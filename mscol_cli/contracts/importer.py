"""Importers: readers of other programs' checkpoints."""

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
    """An encoder or an objective read from a checkpoint.

    Attributes:
        name: Name of the encoder or objective, as `mscol plugins` lists it.
        options: Options by name; omitted options take their defaults.
        weights: The complete `state_dict`, on the CPU.
    """

    name: str
    options: Mapping[str, Any]
    weights: Mapping[str, Tensor]


@dataclass(frozen=True)
class ImportedModel:
    """The content of a foreign checkpoint.

    Attributes:
        encoder: The network.
        objective: The pretext task, with its projection head and similarity.
        step: Number of updates, if the checkpoint records it, else 0.
        sources: The files that were read.
        mapped: Number of variables that became weights.
        left_out: Numbers of the other variables, by kind (`optimizer slots`).
    """

    encoder: ImportedPart
    objective: ImportedPart
    step: int
    sources: Sequence[Path]
    mapped: int
    left_out: Mapping[str, int] = field(default_factory=dict)


class Importer(ABC):
    """Base class of importers."""

    def __init__(self, options: object = None) -> None:
        """Take what `build` is called with. A part that uses its options overrides this."""
        super().__init__()

    @abstractmethod
    def claims(self, path: Path) -> bool:
        """Whether a file or folder is of this importer's format.

        This is a cheap check. Rely on features that survive damage: `read` then reports the damage.
        The path need not exist: it may be the common prefix of several file names.
        """

    @abstractmethod
    def read(self, path: Path) -> ImportedModel:
        """Read a checkpoint, verify its checksums, and map every variable to a weight.

        Raises:
            MissingDataError: A required file is missing.
            BadInputError: A file is damaged or of another format, or variables are missing, have
                the wrong shape or are unknown; the message names all of them.
            UsageError: The path matches several checkpoints.
        """
