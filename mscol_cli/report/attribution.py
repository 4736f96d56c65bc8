"""Section on scores by source of the test clips."""

from __future__ import annotations

from collections.abc import Iterator

from mscol_cli.pages.page import Block, Pictures, Section, Table, Text
from mscol_cli.pages.pictures import picture
from mscol_cli.probe.attributed import HIGHER, LOWER, Attribution, HeardSource
from mscol_cli.probe.attribution import HEADING, format_difference
from mscol_cli.probe.metrics import find_metric
from mscol_cli.probe.plots import attribution_figure
from mscol_cli.probe.result import ProbeResult
from mscol_cli.report.material import NO_BREAK, Material, file_name

INTRO = (
    f"Classifiers trained on mixtures, tested on one source at a time. {LOWER} and {HIGHER} mark"
    " scores whose 95 % interval of the difference from the mixture, on the same resampled test"
    " clips, excludes 0; they are not corrected for their number. Classes have their number of test"
    " clips in parentheses; those with few clips, or few groups of clips, have no arrows."
)


def attribution_section(material: Material) -> Section:
    """Create a section with a table and a picture for each result with scores by source."""
    blocks: list[Block] = []
    for probe in material.probes:
        if probe.result.attribution is not None:
            blocks += _probe(probe.result, probe.result.attribution)
    return Section(HEADING, [Text(INTRO), *blocks] if blocks else ())


def _probe(result: ProbeResult, attribution: Attribution) -> Iterator[Block]:
    title = f"{result.task}: {result.model}"
    metrics = list(attribution.sources[0].scores)
    yield Table(
        f"{title}, {attribution.size} of the test set '{attribution.test_set}'; score, and"
        " difference from the mixture with its 95 % interval",
        ("source", *(find_metric(metric).label for metric in metrics), "silent clips"),
        [
            (source.name, *(_cell(source, metric) for metric in metrics), f"{source.silent:,}")
            for source in attribution.sources
        ],
    )
    alt = (
        f"{find_metric(attribution.class_metric).title} of {title}, a row per class, a column per"
        f" source ({', '.join(source.name for source in attribution.sources)});"
        f" {result.folder.name}/{result.markdown_path.name} has the numbers."
    )
    name = file_name("heard", result.model, result.folder.name)
    yield Pictures([picture(name, alt, attribution_figure(title, attribution, result.classes))])


def _cell(source: HeardSource, metric: str) -> str:
    score = source.scores[metric]
    value = f"{score.value:.4f}{score.arrow}"
    if score.difference is None:
        return value
    return f"{value}, {format_difference(score).replace(' ', NO_BREAK)}"
