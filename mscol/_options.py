"""Types of arguments, for type checkers and editors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypedDict

StrPath: TypeAlias = "str | os.PathLike[str]"
Options: TypeAlias = Mapping[str, object]
"""Options of a plugin by name: numbers, texts, booleans and sequences of texts."""


class ProbeOptions(TypedDict, total=False):
    """Options of a probe; docs/commands/probe.md describes them and has the defaults.

    Amounts of corruptions are sequences of numbers: `noise` and `gain` in dB, `pitch` in semitones,
    `mp3` in kbit/s.
    """

    encoder: str | None
    recipe: StrPath | None
    seeds: int | None
    options: Options
    protocol: Options
    classifier: str
    finetune: bool
    label_fractions: Sequence[float]
    save: bool
    attribute: bool
    stems: StrPath | None
    noise: Sequence[float]
    gain: Sequence[float]
    pitch: Sequence[float]
    mp3: Sequence[float]
    device: str
