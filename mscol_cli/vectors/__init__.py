"""Folders of vectors that several processes may fill concurrently, file by file."""

from mscol_cli.vectors.folder import VectorFolder, release
from mscol_cli.vectors.header import HEADER, VectorHeader, is_vector_folder
from mscol_cli.vectors.records import FileVersion, VectorEntry
from mscol_cli.vectors.writer import VectorWriter

__all__ = [
    "HEADER",
    "FileVersion",
    "VectorEntry",
    "VectorFolder",
    "VectorHeader",
    "VectorWriter",
    "is_vector_folder",
    "release",
]
