"""Cards: declarations of what a plugin offers, without heavy imports.

A module that declares cards must not import torch: every command that uses a plugin reads the cards
of all. What `build` names is imported only when the part is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mscol_cli.contracts.options import NoOptions

Build = str | Callable[..., Any]
"""Class or function that builds a part, or its path `package.module:Class` (imported on first use).
It is called with the options and, for objectives and separators, the context."""


@dataclass(frozen=True)
class Card:
    """Base class of the cards of every kind.

    Attributes:
        name: What users type; unique among the cards of its kind.
        summary: One line for `mscol plugins`.
        build: Builds the part from checked options, an instance of `options`.
        options: A dataclass whose fields are made by `option`.
        reference: Paper or page, shown by `mscol plugins show NAME`.
    """

    name: str
    summary: str
    build: Build
    options: type = NoOptions
    reference: str = ""


@dataclass(frozen=True)
class ObjectiveCard(Card):
    """A pretext task: `build(options, context)` makes an `Objective`.

    Attributes:
        augmentation: The task's change of crops, if other objectives can use it:
            `augmentation(options, context)` makes an `Augmentation`, which `--objective msa+NAME`
            applies to the crops of `msa`.
        augmentation_options: Dataclass of the augmentation's options.
        needs_sources: Whether it learns from separated sources, or its augmentation mixes them:
            stores that hold only mixtures are refused.
        sources_option: Name of the option, a tuple of names, that limits which sources it learns
            from: `pretrain --stems` sets it, and `report` compares runs by it.
    """

    augmentation: Build | None = None
    augmentation_options: type = NoOptions
    needs_sources: bool = False
    sources_option: str | None = None


MODELS = ("mini", "untrained")
"""References of models. No encoder may have such a name, as one without weights is a model, too."""


@dataclass(frozen=True)
class EncoderCard(Card):
    """A network that embeds audio: `build(options)` makes a freshly initialised `Encoder`.

    Attributes:
        standalone: Python code that loads `encoder.safetensors` of the repository `{repository}` by
            other libraries, without mscol; `mscol push` prints it on the page of a model.
    """

    standalone: str = ""


@dataclass(frozen=True)
class SeparatorCard(Card):
    """A way to get the sources of a track: `build(options, context)` makes a `Separator`."""


@dataclass(frozen=True)
class TaskCard(Card):
    """A probe data set and its protocol: `build(options)` makes a `Task`."""


@dataclass(frozen=True)
class ImporterCard(Card):
    """A format of foreign checkpoints: `build(options)` makes an `Importer`."""
