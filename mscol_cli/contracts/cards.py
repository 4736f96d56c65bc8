"""Cards: what a plugin offers, said without importing anything heavy.

A module that declares cards must not import torch: `mscol --help` and `mscol plugins` read every
card. `build` is called only when the part is used, and imports what it needs then.

Every card has these attributes:

* `name`: What users type; unique among the cards of its kind.
* `summary`: One line for `mscol plugins`.
* `build`: Makes the part of checked options, an instance of `options`.
* `options`: A dataclass whose fields are made by `option`.
* `reference`: Paper or page, shown by `mscol plugins show NAME`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mscol_cli.contracts.options import NoOptions

if TYPE_CHECKING:
    from mscol_cli.contracts.encoder import Encoder
    from mscol_cli.contracts.importer import Importer
    from mscol_cli.contracts.objective import Augmentation, Objective, ObjectiveContext
    from mscol_cli.contracts.separator import Separator, SeparatorContext
    from mscol_cli.contracts.task import Task


@dataclass(frozen=True)
class ObjectiveCard:
    """A pretext task. `build(options, context)` returns an `Objective`.

    Besides what every card has:

    Attributes:
        augmentation: What the task does to crops, if it can be done under another objective too:
            `augmentation(options, context)` returns an `Augmentation`, and `--objective msa+NAME`
            uses it.
        augmentation_options: Its options, without those that only the task as a whole has.
    """

    name: str
    summary: str
    build: Callable[[Any, ObjectiveContext], Objective]
    options: type = NoOptions
    reference: str = ""
    augmentation: Callable[[Any, ObjectiveContext], Augmentation] | None = None
    augmentation_options: type = NoOptions


@dataclass(frozen=True)
class EncoderCard:
    """A network that embeds audio. `build(options)` returns a freshly initialised `Encoder`."""

    name: str
    summary: str
    build: Callable[[Any], Encoder]
    options: type = NoOptions
    reference: str = ""


@dataclass(frozen=True)
class SeparatorCard:
    """A way to get the sources of a track. `build(options, context)` returns a `Separator`."""

    name: str
    summary: str
    build: Callable[[Any, SeparatorContext], Separator]
    options: type = NoOptions
    reference: str = ""


@dataclass(frozen=True)
class TaskCard:
    """A probe data set and its protocol. `build(options)` returns a `Task`."""

    name: str
    summary: str
    build: Callable[[Any], Task]
    options: type = NoOptions
    reference: str = ""


@dataclass(frozen=True)
class ImporterCard:
    """A format of foreign checkpoints. `build(options)` returns an `Importer`."""

    name: str
    summary: str
    build: Callable[[Any], Importer]
    options: type = NoOptions
    reference: str = ""


Card = ObjectiveCard | EncoderCard | SeparatorCard | TaskCard | ImporterCard
