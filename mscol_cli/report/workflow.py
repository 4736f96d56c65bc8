"""`report`: a page of runs and probe results, as HTML and as Markdown."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from mscol_cli import __version__
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.devices import pick_device
from mscol_cli.errors import MscolError, UsageError
from mscol_cli.pages.page import Page
from mscol_cli.pages.render import write_page
from mscol_cli.report.attribution import attribution_section
from mscol_cli.report.classes import classes_section
from mscol_cli.report.commands import commands_section
from mscol_cli.report.material import Failures, Material, find_material
from mscol_cli.report.neighbours import neighbours_section
from mscol_cli.report.request import ReportRequest
from mscol_cli.report.scores import scores_section
from mscol_cli.report.settings import provenance_section, settings_section
from mscol_cli.report.sources import sources_section
from mscol_cli.report.summary import summary_section
from mscol_cli.report.training import training_section
from mscol_cli.report.verdict import verdict
from mscol_cli.system.outcomes import writing


@dataclass(frozen=True)
class ReportResult:
    """Files and counts of a report.

    Attributes:
        html: The page as a single file.
        markdown: The page as Markdown, with pictures and sounds in folders beside it.
        runs: Number of runs.
        probes: Number of probe results.
        failures: Path and reason of each folder that could not be read.
        seconds: Duration.
    """

    html: Path
    markdown: Path
    runs: int
    probes: int
    failures: Failures = field(default_factory=list)
    seconds: float = 0.0


def run(request: ReportRequest, progress: Progress) -> ReportResult:
    """Write a report.

    Raises:
        MissingDataError: A folder does not exist, or has no run.
        UsageError: An option cannot be used, or the output is a file.
        MscolError: None of the runs can be read, or the page cannot be written.
    """
    start = time.monotonic()
    if request.neighbours < 0:
        raise UsageError(f"--neighbours must be 0 or more, not {request.neighbours}.")
    if request.output.exists() and not request.output.is_dir():
        raise UsageError(f"{request.output} is a file: choose another -o.")
    material = find_material(request.runs, request.probes)
    for _, reason in material.failures:
        progress.warn(f"skipped: {reason}")
    if not material.runs:
        raise MscolError(f"none of the runs can be read; first: {material.failures[0][1]}")
    page = _page(request, material, progress)
    with writing(request.output):
        html, markdown = write_page(page, request.output)
    seconds = round(time.monotonic() - start, 2)
    counts = len(material.runs), len(material.probes)
    return ReportResult(html, markdown, *counts, material.failures, seconds)


def _page(request: ReportRequest, material: Material, progress: Progress) -> Page:
    device = pick_device(request.device)
    sections = [
        summary_section(material),
        scores_section(material),
        sources_section(material),
        attribution_section(material),
        training_section(material),
        classes_section(material),
        neighbours_section(material, request.neighbours, not request.no_audio, device, progress),
        settings_section(material.runs),
        provenance_section(material.runs),
        commands_section(material),
    ]
    labels = ", ".join(run.label for run in material.runs)
    runs, probes = len(material.runs), len(material.probes)
    lead = (
        f"{runs} run{'' if runs == 1 else 's'} ({labels}) and {probes} probe"
        f" result{'' if probes == 1 else 's'}."
    )
    day = time.strftime("%Y-%m-%d", time.gmtime())
    footer = (
        f"Written by mscol {__version__} on {day}. The folder pictures/ beside this page has all"
        " pictures as PNG, PDF and SVG."
    )
    title = request.title or f"mscol report: {labels}"
    return Page(title, lead, sections, footer, verdict(material))
