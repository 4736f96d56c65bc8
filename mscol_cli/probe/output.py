"""Where the result of a probe goes, and its files."""

from __future__ import annotations

import os
import re
from dataclasses import asdict
from pathlib import Path

from mscol_cli.engine.models import Model
from mscol_cli.errors import MscolError
from mscol_cli.pages.render import page_markdown
from mscol_cli.probe.page import result_page
from mscol_cli.probe.result import SCORES, ProbeResult, read, write
from mscol_cli.probe.scores import ClipScores, write_scores
from mscol_cli.probe.settings import ProbeRequest, ProbeSettings
from mscol_cli.runs.layout import PROBE_REPORT, PROBES
from mscol_cli.system.files import write_text
from mscol_cli.system.outcomes import writing
from mscol_cli.system.values import format_differences


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


def write_result(result: ProbeResult, kept: ClipScores) -> None:
    """Write a result with its scores, page and pictures. Raises MscolError where it cannot."""
    with writing(result.folder):
        if result.picture_path is not None:
            # matplotlib takes long to come.
            from mscol_cli.probe.plots import draw_label_curves

            draw_label_curves(result, result.picture_path)
        if result.attribution is not None and result.sources_path is not None:
            from mscol_cli.probe.plots import draw_attribution

            draw_attribution(result, result.attribution, result.sources_path)
        # The result last: where there is one, it is that of these scores.
        result.json_path.unlink(missing_ok=True)
        write_scores(result.scores_path, kept)
        write_text(result.markdown_path, page_markdown(result_page(result)))
        write(result)


def why_unfinished(
    folder: Path, settings: ProbeSettings, data: Path, model_hash: str | None
) -> str | None:
    """Why the result in a folder is not that of these settings; None where it is.

    Settings that only one of the two states, such as a new option of a task, do not count.

    Args:
        folder: Where the result is, or is not.
        settings: Of the probe.
        data: The data set's folder.
        model_hash: Of the weights; None where there are none yet.
    """
    if not (folder / PROBE_REPORT).is_file() or not (folder / SCORES).is_file():
        return ""
    try:
        found = read(folder)
    except MscolError:
        return "what is there cannot be read"
    wanted = {
        "task": settings.part.name,
        "data": data,
        "options": asdict(settings.part.options),
        "protocol": settings.described_protocol(),
        "recipe": settings.recipe,
        "seeds": settings.classifiers,
        "model_hash": model_hash,
    }
    made = {name: getattr(found, name) for name in wanted}
    if settings.stems is not None:
        made["stems"] = found.attribution.store if found.attribution else None
        wanted["stems"] = settings.stems
    return next(iter(format_differences(made, wanted)), None)
