"""`mscol export`."""

from __future__ import annotations

from mscol_cli.commands.options import with_request
from mscol_cli.commands.progress import TerminalProgress
from mscol_cli.commands.shared import Json
from mscol_cli.commands.terminal import print_result
from mscol_cli.export.request import ExportRequest
from mscol_cli.system.units import format_bytes


@with_request()
def export(request: ExportRequest, json: Json = False) -> None:
    """Export a model for use without mscol: waveforms in, vectors out.

    The exported model contains level normalisation, windows and front end, and is compared with
    torch before it is written. ONNX needs the extra: pip install 'mscol[onnx]'
    """
    from mscol_cli.export.workflow import run

    with TerminalProgress() as progress:
        result = run(request, progress)
    line = (
        f"{result.output}: {result.encoder}, {result.dim} dimensions, {format_bytes(result.bytes)},"
        f" relative difference from torch at most {result.difference:.1e}"
    )
    print_result(result, json, [line])
