"""Who is ahead of whom, by how much, and whether that is settled: one sentence for each task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mscol_cli.probe.metrics import find_metric
from mscol_cli.probe.result import ScoredSet
from mscol_cli.probe.table import Comparison
from mscol_cli.report.material import FoundProbe, Group, Material, score_of
from mscol_cli.runs.settings import flat_settings

LEVEL = 0.05
NAMED = 3
"""Rivals of a model that are named with their intervals; of more there is only the name."""
SEED = "training.seed"
MEANING = (
    "Settled means that the 95 % interval of the paired difference, over these test clips, leaves"
    " out 0, and that it still does when corrected for the number of models. It says nothing"
    " about other clips, nor about other pre-training seeds, which can reverse the order."
)
FEW = 100
TOO_NARROW = (
    f"Intervals over fewer than {FEW} test clips tend to be too narrow: read 'settled' with care."
)


def verdict(material: Material) -> list[str]:
    """Sentences on the headline score of each group of results, and what they mean."""
    lines = [line for group in material.groups if (line := _of_group(group))]
    if not lines:
        return ["No model on this page was probed, so there is no score to compare."]
    compared = [group for group in material.groups if _comparisons(group)]
    if not compared:
        return lines
    few = any(_headline(group)[0].clips < FEW for group in compared)
    return [*lines, f"{MEANING} {TOO_NARROW}" if few else MEANING]


def _of_group(group: Group) -> str:
    ranked = _ranked(group)
    if not ranked:
        return ""
    if len(ranked) == 1:
        return _alone(group, ranked[0])
    found = {frozenset((one.first, one.second)): one for one in _comparisons(group)}
    first, *others = ranked
    pairs = [(other, found.get(frozenset((first.model, other.model)))) for other in others]
    return _compared(group, first, pairs) + _elsewhere(group)


def _ranked(group: Group) -> list[FoundProbe]:
    """Results by their headline score, the highest first."""
    test_set, metric = _headline(group)
    scored = [
        (find_metric(metric).rank(score.value), -place, probe)
        for place, probe in enumerate(group.probes)
        if (score := score_of(probe, test_set, metric)) is not None
    ]
    return [probe for _, _, probe in sorted(scored, key=lambda one: one[:2], reverse=True)]


def _headline(group: Group) -> tuple[ScoredSet, str]:
    test_set = group.test_sets[0]
    return test_set, test_set.headline[0]


def _comparisons(group: Group) -> list[Comparison]:
    test_set, metric = _headline(group)
    return [
        one
        for one in group.table.comparisons
        if (one.column.test_set, one.column.metric) == (test_set.name, metric)
    ]


def _alone(group: Group, probe: FoundProbe) -> str:
    test_set, metric = _headline(group)
    score, label = score_of(probe, test_set, metric), find_metric(metric).label
    if score is None:
        return ""
    known = sorted(
        (values[metric], name) for name, values in test_set.baselines.items() if metric in values
    )
    above = f" ({known[-1][1]}: {known[-1][0]:.3f})" if known else ""
    return (
        f"{probe.model} scores {score.value:.3f} {label} on {group.where(test_set)}"
        f"{above}, 95 % interval {score.low:.3f} to {score.high:.3f}, over {_clips(test_set)}. No"
        " other model on this page was probed in the same way, so nobody is ahead."
    )


def _compared(
    group: Group, first: FoundProbe, pairs: Sequence[tuple[FoundProbe, Comparison | None]]
) -> str:
    known = [(other, one) for other, one in pairs if one is not None]
    missing = [other.model for other, one in pairs if one is None]
    line = ""
    if len(pairs) == 1 and known:
        line = _of_two(group, first, *known[0])
    elif known:
        line = _of_many(group, first, known)
    if missing:
        line += f" {first.model} is not compared, on the same clips, with {', '.join(missing)}."
    return line.strip()


def _of_two(group: Group, first: FoundProbe, second: FoundProbe, one: Comparison) -> str:
    test_set, metric = _headline(group)
    where = f"on {group.where(test_set)}"
    interval = f"(95 % interval {_interval(first, one)})"
    names = f"{first.model} is ahead of {second.model} {where}"
    lead = f"{names} by {abs(one.difference):.3f} {find_metric(metric).label} {interval}"
    if one.difference == 0:
        lead = f"{first.model} and {second.model} score the same {where} {interval}"
    return f"{lead}: {_settled(one)} over these {_clips(test_set)}; {_seeds(first, second)}."


def _of_many(
    group: Group, first: FoundProbe, known: Sequence[tuple[FoundProbe, Comparison]]
) -> str:
    test_set, metric = _headline(group)
    score = score_of(first, test_set, metric)
    value = "" if score is None else f"{score.value:.3f} {find_metric(metric).label}, "
    line = (
        f"{first.model} scores highest of {len(known) + 1} models on {group.where(test_set)}"
        f" ({value}{_clips(test_set)}; one pre-training seed per model)."
    )
    leads = {
        word: [_lead(first, *pair) for pair in known if _settled(pair[1]) == word]
        for word in ("settled", "not settled")
    }
    if not leads["settled"]:
        return f"{line} None of its leads is settled: over {_listed(leads['not settled'])}."
    line += f" Its lead is settled over {_listed(leads['settled'])}"
    others = leads["not settled"]
    return f"{line}; not settled over {_listed(others)}." if others else f"{line}."


def _lead(first: FoundProbe, other: FoundProbe, one: Comparison) -> str:
    return f"{other.model} (by {abs(one.difference):.3f}, 95 % interval {_interval(first, one)})"


def _listed(parts: Sequence[str]) -> str:
    """A few in full; of more the names."""
    if len(parts) > NAMED:
        parts = [*parts[:NAMED], *(part.partition(" (")[0] for part in parts[NAMED:])]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _interval(first: FoundProbe, one: Comparison) -> str:
    """Of the difference, seen from the first model."""
    sign = 1 if one.first == first.model else -1
    low, high = sorted((sign * one.low, sign * one.high))
    return f"{low:.3f} to {high:.3f}"


def _settled(one: Comparison) -> str:
    outside = one.low > 0 or one.high < 0
    # Of two models there is nothing to correct, and the interval alone decides.
    survives = one.p_holm == one.p or one.p_holm <= LEVEL
    return "settled" if outside and survives else "not settled"


def _elsewhere(group: Group) -> str:
    """A warning where another headline score puts another model first."""
    leaders = {
        max(group.probes, key=lambda probe: _value(probe, test_set, metric)).model
        for test_set, metric in group.headlines
    }
    if leaders != {_ranked(group)[0].model}:
        return " Other scores of this task put another model first: see the tables."
    return ""


def _value(probe: FoundProbe, test_set: ScoredSet, metric: str) -> float:
    score = score_of(probe, test_set, metric)
    return -math.inf if score is None else find_metric(metric).rank(score.value)


def _seeds(first: FoundProbe, second: FoundProbe) -> str:
    runs = [probe.run for probe in (first, second) if probe.run is not None]
    if len(runs) == 2:
        one, two = (_without_seed(run.info) for run in runs)
        if one == two and runs[0].info != runs[1].info:
            return "the two differ only in their pre-training seed"
        return "one pre-training seed each"
    return "one pre-training seed" if runs else "one random initialisation"


def _without_seed(info: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in flat_settings(info).items() if name != SEED}


def _clips(test_set: ScoredSet) -> str:
    return f"{test_set.clips:,} test clips"
