"""The first sentence of a report: who is ahead, by how much, and whether that is settled."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mscol_cli.probe.bootstrap import resample_all
from mscol_cli.probe.result import ProbeResult, Score, ScoredSet
from mscol_cli.probe.scores import ClipScores, write_scores
from mscol_cli.report.material import FoundProbe, FoundRun, Material, group_probes
from mscol_cli.report.verdict import MEANING, ROUGH, verdict
from mscol_cli.runs.state import RunState
from tests.helpers.probing import one_hot

CLIPS = 40
TARGETS = one_hot([0, 1] * (CLIPS // 2), 2)


def probed(folder: Path, model: str, right: int, run: FoundRun | None = None) -> FoundProbe:
    """A result whose classifier is right on the first clips, with the scores of all."""
    answers = np.where(np.arange(CLIPS)[:, None] < right, TARGETS, ~TARGETS).astype(np.float64)
    drawn = resample_all(["accuracy"], answers[None], TARGETS)["accuracy"]
    (folder / model).mkdir(parents=True)
    members = {"test": np.ones(CLIPS, dtype=bool)}
    ids = [str(clip) for clip in range(CLIPS)]
    kept = ClipScores(ids, "ab", answers[None], TARGETS, members, {("test", "accuracy"): drawn})
    write_scores(folder / model / "scores.safetensors", kept)
    low, high = drawn.interval()
    scores = {"accuracy": Score(drawn.value, low, high, 0.0, (0.0,))}
    tested = ScoredSet("test", CLIPS, scores, baselines={"chance": {"accuracy": 0.5}})
    settings: dict[str, Any] = {"data": "", "options": {}, "protocol": {}, "recipe": ""}
    made: dict[str, Any] = {"model": model, "model_hash": model, "model_step": 4, "seeds": 1}
    sizes: dict[str, Any] = {"counts": {}, "windows": {}, "classes": ["a", "b"]}
    result = ProbeResult(
        "fma", test_sets=[tested], folder=folder / model, **settings, **made, **sizes
    )
    return FoundProbe(result, run, result.model)


def trained(seed: int, **more: Any) -> FoundRun:
    info = {"training": {"seed": seed, **more}}
    state = RunState("finished")
    return FoundRun(Path("runs"), info, [], state, [4], [], 0.0, [], label=f"run-{seed}")


def first_sentence(probes: Sequence[FoundProbe]) -> str:
    return verdict(Material((), probes))[0]


@pytest.mark.parametrize(("right", "word"), [(18, "settled"), (29, "not settled")])
def test_a_run_and_the_untrained_encoder(tmp_path: Path, right: int, word: str) -> None:
    probes = [
        probed(tmp_path, "untrained-small", right),
        probed(tmp_path, "msa-1", 30, trained(0)),
    ]
    said = first_sentence(probes)
    by = (30 - right) / CLIPS
    start = f"msa-1 is ahead of untrained-small on fma by {by:.3f} accuracy (95 % interval "
    assert said.startswith(start)
    assert said.endswith(f": {word} over these 40 test clips; one pre-training seed.")
    low, high = said.removeprefix(start).partition(")")[0].split(" to ")
    assert float(low) < by < float(high)
    assert (float(low) > 0) == (word == "settled")
    assert verdict(Material((), probes))[-1] == f"{MEANING} {ROUGH}"


def test_few_groups_of_clips_are_named_and_rough(tmp_path: Path) -> None:
    probes = []
    for name, right in (("untrained-small", 18), ("msa-1", 30)):
        probe = probed(tmp_path, name, right)
        tested = replace(probe.result.test_sets[0], grouped_by="artist", clips=400, groups=8)
        probes.append(replace(probe, result=replace(probe.result, test_sets=[tested])))
    first, last = verdict(Material((), probes))
    assert "over these 400 test clips of 8 artists;" in first
    assert last == f"{MEANING} {ROUGH}"


def test_runs_that_differ_in_their_seed_alone_are_said_to(tmp_path: Path) -> None:
    probes = [probed(tmp_path, f"msa-{seed}", 20 + seed, trained(seed)) for seed in (1, 2)]
    assert "; the two differ only in their pre-training seed." in first_sentence(probes)
    other = [probes[0], replace(probes[1], run=trained(2, steps=9))]
    assert "; one pre-training seed each." in first_sentence(other)


def test_of_several_models_the_first_is_named_with_every_lead(tmp_path: Path) -> None:
    rights = {"a": 30, "b": 29, "c": 10, "d": 10, "e": 10, "f": 10}
    said = first_sentence([probed(tmp_path, name, right) for name, right in rights.items()])
    assert said.startswith("a scores highest of 6 models on fma (0.750 accuracy, 40 test clips;")
    assert "Its lead is settled over c (by 0.500, 95 % interval " in said
    assert "), e" not in said.partition("d (by")[0]
    assert " and f; not settled over b (by 0.025, " in said


def test_none_of_the_leads_may_be_settled(tmp_path: Path) -> None:
    rights = {"a": 30, "b": 29, "c": 28}
    said = first_sentence([probed(tmp_path, name, right) for name, right in rights.items()])
    assert "None of its leads is settled: over b (by 0.025, 95 % interval " in said


def test_an_interval_that_ends_at_0_has_no_sign_there(tmp_path: Path) -> None:
    said = first_sentence([probed(tmp_path, "a", 20), probed(tmp_path, "b", 21)])
    assert said.startswith("b is ahead of a on fma by 0.025 accuracy (95 % interval 0.000 to 0.")


def test_equal_scores_put_nobody_ahead(tmp_path: Path) -> None:
    said = first_sentence([probed(tmp_path, name, 30) for name in ("a", "b")])
    assert said.startswith("a and b score the same on fma (95 % interval 0.000 to 0.000): not")


def test_equal_scores_of_several_models_are_named_together(tmp_path: Path) -> None:
    rights = {"a": 30, "b": 30, "c": 29, "d": 30}
    probes = [probed(tmp_path, name, right) for name, right in rights.items()]
    said = first_sentence(probes[:3])
    assert said.startswith("a and b score highest of 3 models on fma (0.750 accuracy, ")
    assert "None of a's leads is settled: over c (by 0.025, 95 % interval " in said
    said = first_sentence([probe for probe in probes if probe.model != "c"])
    assert said.startswith("a, b and d score highest of 3 models on fma (0.750 accuracy, ")
    assert "lead" not in said


def test_a_model_alone_is_ahead_of_nobody(tmp_path: Path) -> None:
    probes = [probed(tmp_path, "msa-1", 30)]
    said = first_sentence(probes)
    assert said.startswith("msa-1 scores 0.750 accuracy on fma (chance: 0.500), 95 % interval ")
    assert said.endswith("so nobody is ahead.")
    assert len(verdict(Material((), probes))) == 1


def test_models_that_cannot_be_compared_are_not(tmp_path: Path) -> None:
    probes = [probed(tmp_path, name, right) for name, right in (("a", 30), ("b", 10))]
    (tmp_path / "b" / "scores.safetensors").unlink()
    said = first_sentence(probes)
    assert "ahead" not in said
    assert said == "a is not compared, on the same clips, with b."


def test_without_a_probe_there_is_no_score() -> None:
    assert verdict(Material((), ())) == [
        "No model on this page was probed, so there are no scores to compare."
    ]


def test_results_on_two_versions_of_a_data_set_are_two_groups(tmp_path: Path) -> None:
    probes = [
        replace(found, result=replace(found.result, data=data, model_hash=model))
        for model, data in (("a", "gtzan"), ("a", "gtzan-mp3"), ("b", "gtzan-mp3"))
        for found in [probed(tmp_path / f"{model}-{data}", model, 60)]
    ]
    groups = [
        [(one.model, one.result.data) for one in group.probes] for group in group_probes(probes)
    ]
    assert groups == [[("a", "gtzan")], [("a", "gtzan-mp3"), ("b", "gtzan-mp3")]]
    # Folders of two machines are no two data sets.
    moved = [replace(probes[0]), replace(probes[2])]
    assert [len(group.probes) for group in group_probes(moved)] == [2]
