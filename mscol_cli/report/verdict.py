"""Findings on models: one sentence per task on which model leads, by how much, and if settled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mscol_cli.probe.groups import describe_size
from mscol_cli.probe.metrics import find_metric
from mscol_cli.probe.result import Score, ScoredSet
from mscol_cli.probe.table import Comparison
from mscol_cli.report.material import FoundProbe, Group, Material, score_of
from mscol_cli.runs.settings import flat_settings

LEVEL = 0.05
NAMED = 3
"""Number of models that are listed with intervals; further models are listed by name only."""
SEED = "training.seed"
MEANING = (
    "Settled means that the 95 % interval of the paired difference, over these test clips or the"
    " groups that they come from, excludes 0, also after correction for the number of models. It"
    " does not cover other clips or other pre-training seeds, which can reverse the order."
)
FEW = 100
ROUGH = f"Intervals over fewer than {FEW} test clips or groups are rough: read 'settled' with care."


def verdict(material: Material) -> list[str]:
    """Compose sentences on the headline score of each group of results."""
    lines = [line for group in material.groups if (line := _of_group(group))]
    if not lines:
        return ["No model on this page was probed, so there are no scores to compare."]
    compared = [group for group in material.groups if _comparisons(group)]
    if not compared:
        return lines
    few = any(group.headlines[0][0].drawn < FEW for group in compared)
    return [*lines, f"{MEANING} {ROUGH}" if few else MEANING]


def _of_group(group: Group) -> str:
    ranked = _ranked(group)
    if not ranked:
        return ""
    (first, score), *others = ranked
    if not others:
        return _alone(group, first, score)
    known = {frozenset((pair.first, pair.second)): pair for pair in _comparisons(group)}
    pairs = [(other, known.get(frozenset((first.model, other.model)))) for other, _ in others]
    return _compared(group, first, score, pairs) + _elsewhere(group, first)


def _ranked(group: Group) -> list[tuple[FoundProbe, Score]]:
    """Results with their headline score, best first."""
    test_set, metric = group.headlines[0]
    scored = [
        (probe, score)
        for probe in group.probes
        if (score := score_of(probe, test_set, metric)) is not None
    ]
    rank = find_metric(metric).rank
    return sorted(scored, key=lambda item: rank(item[1].value), reverse=True)


def _comparisons(group: Group) -> list[Comparison]:
    test_set, metric = group.headlines[0]
    return [
        pair
        for pair in group.table.comparisons
        if (pair.column.test_set, pair.column.metric) == (test_set.name, metric)
    ]


def _alone(group: Group, probe: FoundProbe, score: Score) -> str:
    test_set, metric = group.headlines[0]
    known = sorted(
        (values[metric], name) for name, values in test_set.baselines.items() if metric in values
    )
    above = f" ({known[-1][1]}: {known[-1][0]:.3f})" if known else ""
    return (
        f"{probe.model} scores {score.value:.3f} {find_metric(metric).label} on"
        f" {group.where(test_set)}{above}, 95 % interval {score.low:.3f} to {score.high:.3f}, over"
        f" {_clips(test_set)}. No other model on this page was probed in the same way, so nobody is"
        " ahead."
    )


def _compared(
    group: Group,
    first: FoundProbe,
    score: Score,
    pairs: Sequence[tuple[FoundProbe, Comparison | None]],
) -> str:
    known = [(other, pair) for other, pair in pairs if pair is not None]
    missing = [other.model for other, pair in pairs if pair is None]
    line = ""
    if len(pairs) == 1 and known:
        line = _of_two(group, first, *known[0])
    elif known:
        line = _of_many(group, first, score, known)
    if missing:
        line += f" {first.model} is not compared, on the same clips, with {', '.join(missing)}."
    return line.strip()


def _of_two(group: Group, first: FoundProbe, second: FoundProbe, pair: Comparison) -> str:
    test_set, metric = group.headlines[0]
    where = f"on {group.where(test_set)}"
    interval = f"(95 % interval {_interval(first, pair)})"
    names = f"{first.model} is ahead of {second.model} {where}"
    lead = f"{names} by {abs(pair.difference):.3f} {find_metric(metric).label} {interval}"
    if pair.difference == 0:
        lead = f"{first.model} and {second.model} score the same {where} {interval}"
    return f"{lead}: {_settled(pair)} over these {_clips(test_set)}; {_seeds(first, second)}."


def _of_many(
    group: Group,
    first: FoundProbe,
    score: Score,
    known: Sequence[tuple[FoundProbe, Comparison]],
) -> str:
    test_set, metric = group.headlines[0]
    value = f"{score.value:.3f} {find_metric(metric).label}"
    equal = [other.model for other, pair in known if pair.difference == 0]
    verb, whose = ("score", f"{first.model}'s") if equal else ("scores", "its")
    line = (
        f"{_listed([first.model, *equal])} {verb} highest of {len(known) + 1} models on"
        f" {group.where(test_set)} ({value}, {_clips(test_set)}; one pre-training seed per model)."
    )
    leads = {
        word: [
            _lead(first, other, pair)
            for other, pair in known
            if pair.difference != 0 and _settled(pair) == word
        ]
        for word in ("settled", "not settled")
    }
    if len(equal) == len(known):
        return line
    if not leads["settled"]:
        return f"{line} None of {whose} leads is settled: over {_listed(leads['not settled'])}."
    line += f" {whose if equal else 'Its'} lead is settled over {_listed(leads['settled'])}"
    others = leads["not settled"]
    return f"{line}; not settled over {_listed(others)}." if others else f"{line}."


def _lead(first: FoundProbe, other: FoundProbe, pair: Comparison) -> str:
    return f"{other.model} (by {abs(pair.difference):.3f}, 95 % interval {_interval(first, pair)})"


def _listed(parts: Sequence[str]) -> str:
    """List a few parts in full, and the names of the rest."""
    if len(parts) > NAMED:
        parts = [*parts[:NAMED], *(part.partition(" (")[0] for part in parts[NAMED:])]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _interval(first: FoundProbe, pair: Comparison) -> str:
    """Interval of the difference from the perspective of the first model."""
    sign = 1 if pair.first == first.model else -1
    # Adding 0 turns -0.0, a turned 0, into 0.0.
    low, high = sorted((sign * pair.low + 0.0, sign * pair.high + 0.0))
    return f"{low:.3f} to {high:.3f}"


def _settled(pair: Comparison) -> str:
    outside = pair.low > 0 or pair.high < 0
    # A single pair needs no correction: only the interval decides.
    survives = pair.p_holm == pair.p or pair.p_holm <= LEVEL
    return "settled" if outside and survives else "not settled"


def _elsewhere(group: Group, first: FoundProbe) -> str:
    """A warning if another headline score has another leader."""
    leaders = {
        max(group.probes, key=lambda probe: _value(probe, test_set, metric)).model
        for test_set, metric in group.headlines
    }
    if leaders != {first.model}:
        return " Other scores of this task put another model first: see the tables."
    return ""


def _value(probe: FoundProbe, test_set: ScoredSet, metric: str) -> float:
    score = score_of(probe, test_set, metric)
    return -math.inf if score is None else find_metric(metric).rank(score.value)


def _seeds(first: FoundProbe, second: FoundProbe) -> str:
    runs = [probe.run for probe in (first, second) if probe.run is not None]
    if len(runs) == 2:
        settings = [_without_seed(run.info) for run in runs]
        if settings[0] == settings[1] and runs[0].info != runs[1].info:
            return "the two differ only in their pre-training seed"
        return "one pre-training seed each"
    return "one pre-training seed" if runs else "one random initialisation"


def _without_seed(info: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in flat_settings(info).items() if name != SEED}


def _clips(test_set: ScoredSet) -> str:
    unit = f"test {test_set.unit}"
    return describe_size(test_set.clips, unit, test_set.grouped_by, test_set.groups)
