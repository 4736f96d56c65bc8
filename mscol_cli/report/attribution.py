"""What an encoder knows of each class from one source of a test clip."""

from __future__ import annotations

from collections.abc import Iterator

from mscol_cli.pages.page import Block, Pictures, Section, Table, Text
from mscol_cli.pages.pictures import picture
from mscol_cli.probe.attribution import HEADING, format_difference
from mscol_cli.probe.metrics import find_metric
from mscol_cli.probe.plots import attribution_figure
from mscol_cli.probe.result import HIGHER, LOWER, Attribution, HeardSource, ProbeResult
from mscol_cli.report.material import NO_BREAK, Material, file_name

INTRO = (
    "Classifiers trained on mixtures, tested on clips of which only one source is heard."
    f" {LOWER} and {HIGHER} mark scores whose 95 % interval of the difference from the mixture, on"
    " the same drawn test clips, leaves out 0; they are not corrected for their number. Numbers of"
    " test clips stand beside the classes, and those of few clips have no arrows."
)


def attribution_section(material: Material) -> Section:
    """A table and a picture for each result that has scores by source."""
    blocks: list[Block] = []
    for probe in material.probes:
        if probe.result.attribution is not None:
            blocks += _probe(probe.result, probe.result.attribution)
    return Section(HEADING, [Text(INTRO), *blocks] if blocks else ())


def _probe(result: ProbeResult, found: Attribution) -> Iterator[Block]:
    title = f"{result.task}: {result.model}"
    metrics = list(found.sources[0].scores)
    yield Table(
        f"{title}, {found.clips:,} clips of the test set '{found.test_set}'; in each column the"
        " score, and the difference from the mixture with its 95 % interval",
        ("heard", *(find_metric(metric).label for metric in metrics), "silent clips"),
        [
            (one.name, *(_cell(one, metric) for metric in metrics), f"{one.silent:,}")
            for one in found.sources
        ],
    )
    alt = (
        f"{find_metric(found.class_metric).title} of {title}, a row per class, a column per source"
        f" ({', '.join(one.name for one in found.sources)});"
        f" {result.folder.name}/{result.markdown_path.name} has the numbers."
    )
    name = file_name("heard", result.model, result.folder.name)
    yield Pictures([picture(name, alt, attribution_figure(title, found, result.classes))])


def _cell(source: HeardSource, metric: str) -> str:
    score = source.scores[metric]
    value = f"{score.value:.4f}{score.arrow}"
    if score.difference is None:
        return value
    return f"{value}, {format_difference(score).replace(' ', NO_BREAK)}"
