"""Synthesis of a small music collection: songs with true stems, and single notes.

``mscol demo``, the tests and the documentation use it in place of data sets to download.
"""

from mscol_cli.synthetic.collection import Collection, Progress, write_collection
from mscol_cli.synthetic.instruments import FAMILIES
from mscol_cli.synthetic.notes import render_note
from mscol_cli.synthetic.score import STEMS
from mscol_cli.synthetic.song import Song, render_song, style_names
from mscol_cli.synthetic.tags import RARE_TAGS

__all__ = [
    "FAMILIES",
    "RARE_TAGS",
    "STEMS",
    "Collection",
    "Progress",
    "Song",
    "render_note",
    "render_song",
    "style_names",
    "write_collection",
]
