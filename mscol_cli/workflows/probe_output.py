"""Where the result of a probe goes, and its files."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from mscol_cli.engine.models import Model
from mscol_cli.files import write_json, write_text
from mscol_cli.probing.kept import ClipScores, write_scores
from mscol_cli.reports.tables import ProbeResult, ProbeSummary, summary_dict, summary_markdown
from mscol_cli.workflows.probe_settings import ProbeRequest

REPORT = "probe.json"
PAGE = "probe.md"
PICTURE = "labels.png"
SCORES = "scores.safetensors"


def default_output(request: ProbeRequest, model: Model) -> Path:
    """`RUN/probes/NAME`, or `probes/MODEL-NAME` for a model without a run."""
    # Other options can mean other scores, whose report must not replace these.
    recipe = [Path(request.recipe).stem] if request.recipe else []
    given = [request.task, *recipe, *request.options, *request.protocol]
    if request.label_fractions:
        given.append("labels=" + ",".join(f"{share:g}" for share in request.label_fractions))
    given += [f"{kind}={amount:g}" for kind, amount in request.deformations]
    given += ["attribute"] if request.attribute or request.stems else []
    given += [request.stems.name] if request.stems else []
    name = file_name("-".join(given))
    if model.run is not None:
        return model.run / "probes" / name
    return Path("probes") / f"{file_name(model.name)}-{name}"


def file_name(text: str) -> str:
    """A text as the name of one file."""
    return re.sub(r"[^\w=.-]", "_", text)


def write_result(summary: ProbeSummary, kept: ClipScores, folder: Path) -> ProbeResult:
    """Write scores, report and page. Raises OSError."""
    values: dict[str, Any] = {item.name: getattr(summary, item.name) for item in fields(summary)}
    result = ProbeResult(
        **values,
        json_path=folder / REPORT,
        markdown_path=folder / PAGE,
        scores_path=folder / SCORES,
    )
    if summary.label_budgets:
        # matplotlib takes long to come.
        from mscol_cli.reports.label_curves import draw_label_curves

        result = replace(result, picture_path=folder / PICTURE)
        draw_label_curves(summary, folder / PICTURE)
    # The report last: where there is one, it is that of these scores.
    result.json_path.unlink(missing_ok=True)
    write_scores(result.scores_path, kept)
    write_text(result.markdown_path, summary_markdown(summary))
    write_json(result.json_path, summary_dict(summary))
    return result
