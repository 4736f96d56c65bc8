"""The stable interface for plugins: every name that a plugin may import from mscol.

Importing this module does not import torch or NumPy; the names that need them load on first use,
so a module that only declares cards stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from mscol_cli.contracts.cards import (
    EncoderCard,
    ImporterCard,
    ObjectiveCard,
    SeparatorCard,
    TaskCard,
)
from mscol_cli.contracts.hooks import hookimpl
from mscol_cli.contracts.importer import ImportedModel, ImportedPart, Importer
from mscol_cli.contracts.options import NoOptions, option
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.tags import TOP_TAGS
from mscol_cli.contracts.task import (
    ProbeProtocol,
    Split,
    StemRetrieval,
    Task,
    TaskData,
    TaskItem,
)
from mscol_cli.errors import BadInputError, MissingDataError, MscolError, UsageError
from mscol_cli.system.files import file_hash, inside

if TYPE_CHECKING:
    from mscol_cli.audio import AudioListing, find_audio
    from mscol_cli.audio.suffixes import AUDIO_SUFFIXES
    from mscol_cli.contracts.augmented import Augmented
    from mscol_cli.contracts.encoder import Encoder
    from mscol_cli.contracts.levels import Level
    from mscol_cli.contracts.objective import Augmentation, Objective, ObjectiveContext
    from mscol_cli.contracts.plans import MIXTURE, CropPlan, Crops, IntArray, StoreIndex
    from mscol_cli.contracts.separator import (
        Chunking,
        InputFile,
        Separator,
        SeparatorContext,
        TrackInput,
    )
    from mscol_cli.download.fetch import fetch_files
    from mscol_cli.download.table import Collection, RemoteFile, find_collection

__all__ = [
    "AUDIO_SUFFIXES",
    "MIXTURE",
    "TOP_TAGS",
    "AudioListing",
    "Augmentation",
    "Augmented",
    "BadInputError",
    "Chunking",
    "Collection",
    "CropPlan",
    "Crops",
    "Encoder",
    "EncoderCard",
    "ImportedModel",
    "ImportedPart",
    "Importer",
    "ImporterCard",
    "InputFile",
    "IntArray",
    "Level",
    "MissingDataError",
    "MscolError",
    "NoOptions",
    "Objective",
    "ObjectiveCard",
    "ObjectiveContext",
    "ProbeProtocol",
    "Progress",
    "RemoteFile",
    "Separator",
    "SeparatorCard",
    "SeparatorContext",
    "Split",
    "StemRetrieval",
    "StoreIndex",
    "Task",
    "TaskCard",
    "TaskData",
    "TaskItem",
    "TrackInput",
    "UsageError",
    "fetch_files",
    "file_hash",
    "find_audio",
    "find_collection",
    "hookimpl",
    "inside",
    "option",
]

_HEAVY = {
    "audio": ("AudioListing", "find_audio"),
    "audio.suffixes": ("AUDIO_SUFFIXES",),
    "contracts.augmented": ("Augmented",),
    "contracts.encoder": ("Encoder",),
    "contracts.levels": ("Level",),
    "contracts.objective": ("Augmentation", "Objective", "ObjectiveContext"),
    "contracts.plans": ("MIXTURE", "CropPlan", "Crops", "IntArray", "StoreIndex"),
    "contracts.separator": (
        "Chunking",
        "InputFile",
        "Separator",
        "SeparatorContext",
        "TrackInput",
    ),
    "download.fetch": ("fetch_files",),
    "download.table": ("Collection", "RemoteFile", "find_collection"),
}
_MODULE_OF = {name: module for module, names in _HEAVY.items() for name in names}


if not TYPE_CHECKING:  # a type checker would take any name for one of the module

    def __getattr__(name: str) -> object:
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"mscol_cli.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
