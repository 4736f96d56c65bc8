"""What may happen to a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.audio_table import edit
from tests.audio_table.rows import Row

COLUMNS: Mapping[str, Callable[[bytes, Row], bytes]] = {
    "whole": lambda content, row: content,
    "cut at 60 %": lambda content, row: edit.keep(content, 0.6),
    "cut in the header": lambda content, row: edit.keep(content, row.header),
    "a fifth lost": lambda content, row: edit.removed(content),
    "a fifth zeros": lambda content, row: edit.zeroed(content),
    "a fifth noise": lambda content, row: edit.scrambled(content),
}
