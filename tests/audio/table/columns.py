"""What may happen to a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.audio.table import edit

COLUMNS: Mapping[str, Callable[[bytes, int], bytes]] = {
    "whole": lambda content, _: content,
    "cut at 60 %": lambda content, _: edit.keep(content, 0.6),
    "cut in the header": edit.keep,
    "a fifth lost": lambda content, _: edit.removed(content),
    "a fifth zeros": lambda content, _: edit.zeroed(content),
    "a fifth noise": lambda content, _: edit.scrambled(content),
    "zeros from 60 %": lambda content, _: edit.zeroed(content, 0.6, 1.0),
}
"""By name: from the content of a whole file and the place of its header's cut, to what is left.

Zeros to the end are what a download leaves that reserves the space first and does not finish.
"""
