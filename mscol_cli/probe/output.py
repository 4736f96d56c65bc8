"""Output folder and files of a probe result."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.models import Model
from mscol_cli.errors import MscolError
from mscol_cli.pages.render import page_markdown
from mscol_cli.probe.head import RECORD, remove_head, write_head
from mscol_cli.probe.page import result_page
from mscol_cli.probe.request import ProbeRequest
from mscol_cli.probe.result import SCORES, ProbeResult, read, write
from mscol_cli.probe.saving import CalibratedHead
from mscol_cli.probe.scores import ClipScores, write_scores
from mscol_cli.probe.settings import ProbeSettings
from mscol_cli.runs.layout import PROBE_REPORT, PROBES
from mscol_cli.system.files import write_text
from mscol_cli.system.outcomes import writing
from mscol_cli.system.values import format_differences


def default_output(request: ProbeRequest, model: Model) -> Path:
    """Return `RUN/probes/NAME`, or `probes/MODEL-NAME` for a model without a run."""
    name = result_name(request)
    if model.run is not None:
        return model.run / PROBES / name
    return Path(PROBES) / f"{file_name(model.name)}-{name}"


def result_name(request: ProbeRequest) -> str:
    """The task and all requested options, so that results of different options do not overwrite
    each other."""
    recipe = [Path(request.recipe).stem] if request.recipe else []
    parts = [request.task, *recipe, *request.options, *request.assignments]
    if request.label_fractions:
        parts.append("labels=" + ",".join(f"{share:g}" for share in request.label_fractions))
    if request.attribute:
        parts.append("attribute")
    parts += [f"{kind}={amount:g}" for kind, amount in request.corruptions]
    return file_name("-".join(parts))


def file_name(text: str) -> str:
    """Replace characters that are unsafe in a file name."""
    return re.sub(r"[^\w=.-]", "_", text)


def check_writable(folder: Path) -> None:
    """Raise MscolError if an output folder cannot be written."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise MscolError(f"{folder} cannot be written: choose another folder with -o.")


def warn_of_other_data(folder: Path, data: Path, progress: Progress) -> None:
    """Warn if the output folder has the result of other data, which will be replaced."""
    with suppress(MscolError):
        earlier = Path(read(folder).data)
        if earlier.absolute() != data.absolute():
            progress.warn(
                f"{folder} has a result on {earlier}, which this one on {data} will replace: use -o"
                " to keep both."
            )


def write_result(
    result: ProbeResult, clip_scores: ClipScores, head: CalibratedHead | None = None
) -> None:
    """Write a result with its scores, page, plots and head. Raises MscolError if that fails."""
    with writing(result.folder):
        if result.picture_path is not None:
            # matplotlib is slow to import.
            from mscol_cli.probe.plots import draw_label_curves

            draw_label_curves(result, result.picture_path)
        if result.attribution is not None and result.sources_path is not None:
            from mscol_cli.probe.plots import draw_attribution

            draw_attribution(result, result.attribution, result.sources_path)
        # The result is written last, so that it never belongs to other scores.
        result.json_path.unlink(missing_ok=True)
        write_scores(result.scores_path, clip_scores)
        if head is not None:
            write_head(result.folder, head.head, head.model, head.encoder)
        else:
            remove_head(result.folder)
        write_text(result.markdown_path, page_markdown(result_page(result)))
        write(result)


def why_unfinished(
    folder: Path, settings: ProbeSettings, data: Path, model_hash: str | None
) -> str | None:
    """Reason why a folder has no result of these settings; None if it has, empty if it has none.

    Settings that only one side has, such as a new option of a task, are not compared.

    Args:
        folder: Folder of the result.
        settings: Settings of the probe.
        data: Folder of the data set.
        model_hash: Hash of the weights; None if there are no weights yet.
    """
    if not (folder / PROBE_REPORT).is_file() or not (folder / SCORES).is_file():
        return ""
    try:
        result = read(folder)
    except MscolError:
        return "the existing result cannot be read"
    if settings.save and (result.head is None or not (folder / RECORD).is_file()):
        return "its classifier was not saved"
    if result.lacks_groups:
        return "its intervals are over single clips"
    wanted = {
        "task": settings.part.name,
        "data": data,
        "options": asdict(settings.part.options),
        "protocol": settings.described_protocol(),
        "recipe": settings.recipe,
        "seeds": settings.classifiers,
        "model_hash": model_hash,
    }
    existing = {name: getattr(result, name) for name in wanted}
    for budget in result.label_budgets:
        if budget.fraction < 1:  # one classifier for each draw of clips
            existing["draws"] = len(budget.test_sets[0].headline[1].per_seed)
            wanted["draws"] = settings.seeds
    if settings.stems is not None:
        existing["stems"] = result.attribution.store if result.attribution else None
        wanted["stems"] = settings.stems
    return next(iter(format_differences(existing, wanted)), None)
