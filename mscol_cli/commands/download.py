"""`mscol download`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mscol_cli.commands.options import with_request
from mscol_cli.commands.progress import TerminalProgress
from mscol_cli.commands.shared import Json
from mscol_cli.commands.terminal import print_json, print_result, print_table
from mscol_cli.download.request import DownloadRequest
from mscol_cli.errors import UsageError
from mscol_cli.system.units import format_bytes, format_duration

if TYPE_CHECKING:
    from mscol_cli.download.workflow import DownloadResult


@with_request()
def download(request: DownloadRequest, json: Json = False) -> None:
    """Download a public data set or weights: resumable, verified by hash, unpacked.

    Prints the licence first. Without NAME, lists all data sets and weights with size and licence.
    The same command resumes an interrupted download, and does nothing if all files exist.
    """
    from mscol_cli.download.workflow import run

    if request.name is None:
        if request != DownloadRequest():
            raise UsageError("missing NAME; 'mscol download' lists all names.")
        _list(json)
        return
    with TerminalProgress() as progress:
        result = run(request, progress)
    print_result(result, json, _format_result(result))


def _list(json: bool) -> None:
    from mscol_cli.download.table import load_table

    collections = load_table().values()
    if json:
        keys = ("name", "title", "licence", "licence_from", "page", "folder", "size")
        print_json([{key: getattr(item, key) for key in keys} for item in collections])
        return
    rows = [(item.name, item.title, format_bytes(item.size), item.licence) for item in collections]
    print_table(("name", "title", "download", "licence"), rows)


def _format_result(result: DownloadResult) -> list[str]:
    if result.dry_run:
        return [f"{file.state:8}  {file.url}" for file in result.files]
    fetched = sum(file.state == "fetched" for file in result.files)
    unpacked = len(result.archives_unpacked)
    took = format_duration(result.seconds)
    done = f"files downloaded: {fetched}, archives unpacked: {unpacked}, in {took}"
    return [f"{result.folder}: {result.layout}", done if fetched or unpacked else "nothing to do"]
