"""`mscol download`: public data sets and weights, downloaded, verified and unpacked."""

from mscol_cli.download.fetch import fetch_files
from mscol_cli.download.table import Archive, Collection, RemoteFile, find_collection, load_table

__all__ = [
    "Archive",
    "Collection",
    "RemoteFile",
    "fetch_files",
    "find_collection",
    "load_table",
]
