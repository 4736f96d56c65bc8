"""`mscol import`."""

from __future__ import annotations

from mscol_cli.commands.options import with_request
from mscol_cli.commands.progress import TerminalProgress
from mscol_cli.commands.shared import Json
from mscol_cli.commands.terminal import print_result
from mscol_cli.importing.request import ImportRequest


@with_request()
def import_checkpoint(request: ImportRequest, json: Json = False) -> None:
    """Import a published model for use in embed and probe.

    Reads the TensorFlow checkpoints of the MSA paper (arXiv 2302.07077) without TensorFlow.
    Checksums are verified, and every variable must be mapped; the optimizer state is dropped.
    Then: mscol embed song.mp3 --model MODEL
    """
    from mscol_cli.importing.workflow import run

    with TerminalProgress() as progress:
        result = run(request, progress)
    left_out = ", ".join(f"{count} {kind}" for kind, count in result.left_out.items()) or "none"
    lines = [
        f"{result.model}: encoder {result.encoder}, objective {result.objective},"
        f" step {result.step}",
        f"{result.mapped} variables mapped, left out: {left_out}",
    ]
    print_result(result, json, lines)
