"""Where the result of a probe goes, and its files."""

from __future__ import annotations

import os
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from mscol_cli.engine.models import Model
from mscol_cli.errors import MscolError
from mscol_cli.probe.markdown import summary_dict, summary_markdown
from mscol_cli.probe.result import ProbeResult, ProbeSummary
from mscol_cli.probe.scores import ClipScores, write_scores
from mscol_cli.probe.settings import ProbeRequest
from mscol_cli.runs.layout import PROBE_REPORT, PROBES
from mscol_cli.system.files import write_json, write_text
from mscol_cli.system.outcomes import writing

PAGE = "probe.md"
PICTURE = "labels.png"
SOURCES = "sources.png"
SCORES = "scores.safetensors"


def default_output(request: ProbeRequest, model: Model) -> Path:
    """`RUN/probes/NAME`, or `probes/MODEL-NAME` for a model without a run."""
    name = result_name(request)
    if model.run is not None:
        return model.run / PROBES / name
    return Path(PROBES) / f"{file_name(model.name)}-{name}"


def result_name(request: ProbeRequest) -> str:
    """The task, and whatever else was asked for: other options can mean other scores, whose report
    must not replace these."""
    recipe = [Path(request.recipe).stem] if request.recipe else []
    given = [request.task, *recipe, *request.options, *request.protocol]
    if request.label_fractions:
        given.append("labels=" + ",".join(f"{share:g}" for share in request.label_fractions))
    if request.attribute:
        given.append("attribute")
    given += [f"{kind}={amount:g}" for kind, amount in request.deformations]
    return file_name("-".join(given))


def file_name(text: str) -> str:
    """A text as the name of one file."""
    return re.sub(r"[^\w=.-]", "_", text)


def check_writable(folder: Path) -> None:
    """Refuse an output that cannot be written, before the work. Raises MscolError."""
    place = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise MscolError(f"{folder} cannot be written: use -o.")


def write_result(summary: ProbeSummary, kept: ClipScores, folder: Path) -> ProbeResult:
    """Write scores, report and page. Raises MscolError when they cannot be written."""
    with writing(folder):
        return _write(summary, kept, folder)


def _write(summary: ProbeSummary, kept: ClipScores, folder: Path) -> ProbeResult:
    values: dict[str, Any] = {item.name: getattr(summary, item.name) for item in fields(summary)}
    result = ProbeResult(
        **values,
        json_path=folder / PROBE_REPORT,
        markdown_path=folder / PAGE,
        scores_path=folder / SCORES,
    )
    if summary.label_budgets:
        # matplotlib takes long to come.
        from mscol_cli.probe.plots import draw_label_curves

        result = replace(result, picture_path=folder / PICTURE)
        draw_label_curves(summary, folder / PICTURE)
    if summary.attribution is not None:
        from mscol_cli.probe.plots import draw_attribution

        result = replace(result, sources_path=folder / SOURCES)
        draw_attribution(summary, summary.attribution, folder / SOURCES)
    # The report last: where there is one, it is that of these scores.
    result.json_path.unlink(missing_ok=True)
    write_scores(result.scores_path, kept)
    write_text(result.markdown_path, summary_markdown(summary))
    write_json(result.json_path, summary_dict(summary))
    return result
