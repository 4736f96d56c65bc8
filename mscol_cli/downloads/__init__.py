"""Public data and weights: where they are, how they get here, and proof that they are right."""

from mscol_cli.downloads.fetch import fetch_files
from mscol_cli.downloads.table import Archive, Collection, RemoteFile, find_collection, load_table

__all__ = [
    "Archive",
    "Collection",
    "RemoteFile",
    "fetch_files",
    "find_collection",
    "load_table",
]
