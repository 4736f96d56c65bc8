"""What an encoder knows of each class from one source of a test clip."""

from __future__ import annotations

from collections.abc import Iterator

from mscol_cli.pages.page import Block, Listing, Pictures, Section, Table, Text
from mscol_cli.pages.pictures import picture
from mscol_cli.probe.attribution import (
    Attribution,
    HeardSource,
    take_attribution,
    told_difference,
    told_metric,
)
from mscol_cli.probe.paired import HIGHER, LOWER
from mscol_cli.probe.plots import attribution_figure
from mscol_cli.probe.result import FoundProbe
from mscol_cli.report.material import NAMES, NO_BREAK, Material, file_name

HEADING = "What each source tells"
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
        content = probe.content.get("attribution")
        if content:
            try:
                found = take_attribution(content)
            except (KeyError, TypeError) as error:
                reason = f"{probe.folder} has none that can be read ({error}): probe again."
                blocks.append(Listing("Scores by source that are left out", [reason]))
                continue
            blocks += _probe(probe, found)
    return Section(HEADING, [Text(INTRO), *blocks] if blocks else ())


def _probe(probe: FoundProbe, found: Attribution) -> Iterator[Block]:
    title = f"{probe.task}: {probe.model}"
    metrics = list(found.sources[0].scores)
    yield Table(
        f"{title}, {found.clips:,} clips of the test set '{found.test_set}'; in each column the"
        " score, and the difference from the mixture with its 95 % interval",
        ("heard", *(NAMES.get(metric, metric) for metric in metrics), "silent clips"),
        [
            (one.name, *(_cell(one, metric) for metric in metrics), f"{one.silent:,}")
            for one in found.sources
        ],
    )
    classes = [str(name) for name in probe.content["classes"]]
    alt = (
        f"{told_metric(found)} of {title}, a row per class, a column per source"
        f" ({', '.join(one.name for one in found.sources)}); {probe.folder.name}/probe.md has the"
        " numbers."
    )
    name = file_name("heard", probe.model, probe.folder.name)
    yield Pictures([picture(name, alt, attribution_figure(title, found, classes))])


def _cell(source: HeardSource, metric: str) -> str:
    score = source.scores[metric]
    value = f"{score.value:.4f}{score.arrow}"
    if score.difference is None:
        return value
    return f"{value}, {told_difference(score).replace(' ', NO_BREAK)}"
