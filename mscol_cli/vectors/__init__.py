"""Folders of embeddings that several processes may fill concurrently, file by file."""

from mscol_cli.vectors.folder import VectorFolder, VectorWriter
from mscol_cli.vectors.header import VectorHeader
from mscol_cli.vectors.records import FileVersion

__all__ = ["FileVersion", "VectorFolder", "VectorHeader", "VectorWriter"]
