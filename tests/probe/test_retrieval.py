"""Stem retrieval: ranks with a known answer, chance, silent stems, intervals over tracks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mscol_cli.contracts.objective import Objective, ObjectiveContext
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.host import find_part, load_registry
from mscol_cli.host.building import build_part
from mscol_cli.probe import retrieval
from mscol_cli.probe.bootstrap import resample, resample_all
from mscol_cli.probe.metrics import CUTOFFS, METRICS
from mscol_cli.probe.rank_metrics import COLUMNS, chance
from mscol_cli.probe.result import read
from mscol_cli.probe.retrieval import Part, find_sounding, make_queries, rank_targets
from mscol_cli.probe.scores import ClipScores, read_scores, resampled_pair, write_scores
from mscol_cli.probe.similarity import Vectors, cosine_vectors, learned_vectors
from mscol_cli.probe.tasks import build_task
from mscol_cli.store import FileStamp, SeparatorIdentity, Store, StoreWriter
from tests.conftest import Command
from tests.helpers.messages import mentions

TRACKS, SECONDS = 6, 5
Waveforms = Mapping[str, NDArray[np.float32]]


def write_store(path: Path, tracks: Mapping[str, Waveforms]) -> Path:
    sources = tuple(next(iter(tracks.values())))
    with StoreWriter(path, sources, SeparatorIdentity("test")) as writer:
        for name, stems in tracks.items():
            mixture = np.sum(list(stems.values()), axis=0).astype(np.float32)
            writer.add(name, {"mixture": FileStamp(name, 1, 1, "")}, {"mixture": mixture, **stems})
        writer.seal()
    return path


def band(row: int, seed: int) -> NDArray[np.float32]:
    """Noise in one of a few bands: stems of one track sound in the same band."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(SECONDS * 16_000))
    hertz = np.fft.rfftfreq(SECONDS * 16_000, 1 / 16_000)
    spectrum[(hertz < 200 + 900 * row) | (hertz > 800 + 900 * row)] = 0
    return np.fft.irfft(spectrum).astype(np.float32)


@pytest.fixture(scope="module")
def banded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tracks whose stems share a band; the bass of the last one is silent."""
    tracks = {
        f"t{row}": {
            name: band(row, 10 * row + seed) for seed, name in enumerate(("bass", "vocals"))
        }
        for row in range(TRACKS)
    }
    tracks["t5"]["bass"][:] = 0
    return write_store(tmp_path_factory.mktemp("stems") / "banded.store", tracks)


def vectors(values: Mapping[Part, list[float]]) -> dict[Part, Vectors]:
    return {part: cosine_vectors(np.array([row], np.float32)) for part, row in values.items()}


def test_queries_are_of_sources_that_sound_together() -> None:
    sounds = np.array([[False, True, True, True], [False, True, False, False]])
    rest = make_queries(sounds, "rest")
    assert [(query.given.sources, query.target.sources) for query in rest] == [
        ((2, 3), (1,)),
        ((1, 3), (2,)),
        ((1, 2), (3,)),
    ]
    single = make_queries(sounds, "stem")
    assert len(single) == 6
    assert {len(query.given.sources) for query in single} == {1}


def test_ranks_leave_out_what_the_query_consists_of() -> None:
    stems = [Part(track, (source,)) for track in (0, 1) for source in (1, 2)]
    known = vectors(dict(zip(stems, ([1, 0], [1, 0.5], [1, 0.1], [0, 1]), strict=True)))
    query = make_queries(np.array([[False, True, True], [False] * 3]), "rest")[1]
    assert (query.given, query.target) == (Part(0, (1,)), Part(0, (2,)))
    # The query itself is as near as can be, and no candidate; the bass of track 1 is nearer.
    ranks = rank_targets([query], stems, known, same_source=False)
    assert ranks.tolist() == [[2, 3, 1]]
    ranks = rank_targets([query], stems, known, same_source=True)
    assert ranks.tolist() == [[1, 2, 1]]


@pytest.mark.parametrize("same_source", [False, True])
@pytest.mark.parametrize("kind", ["rest", "stem"])
def test_ranks_are_those_of_a_slow_count(
    kind: str, same_source: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieval, "BLOCK_BYTES", 500)  # several blocks
    rng = np.random.default_rng(0)
    sounds = rng.random((9, 5)) < 0.7
    sounds[:, 0] = False
    stems = [Part(track, (source,)) for track, source in np.argwhere(sounds).tolist()]
    queries = make_queries(sounds, kind)
    parts = {*stems, *(query.given for query in queries)}
    # Few values, so that there are ties.
    known = {part: (row, row) for part in parts for row in [rng.integers(-1, 2, 3).astype(float)]}
    ranks = rank_targets(queries, stems, known, same_source=same_source)
    for query, (rank, number, equal) in zip(queries, ranks, strict=True):
        given = {Part(query.given.track, (source,)) for source in query.given.sources}
        candidates = [
            stem
            for stem in stems
            if stem not in given and (not same_source or stem.sources == query.target.sources)
        ]
        scores = [float(known[query.given][0] @ known[stem][1]) for stem in candidates]
        target = float(known[query.given][0] @ known[query.target][1])
        above = sum(score > target for score in scores)
        ties = sum(score == target for score in scores) - 1
        assert (rank, number, equal) == (1 + above + ties / 2, len(candidates), ties + 1)


def test_an_encoder_that_tells_nothing_is_at_chance() -> None:
    sounds = np.ones((7, 4), dtype=bool)
    sounds[:, 0] = False
    stems = [Part(track, (source,)) for track, source in np.argwhere(sounds).tolist()]
    queries = make_queries(sounds, "rest")
    parts = [*stems, *(query.given for query in queries)]
    ranks = rank_targets(
        queries, stems, vectors({part: [1.0, 2.0] for part in parts}), same_source=False
    )
    assert np.unique(ranks, axis=0).tolist() == [[10, 19, 19]]
    everywhere = np.ones(ranks.shape, dtype=bool)
    for name, k in CUTOFFS.items():
        value = METRICS[name].score(ranks, everywhere)
        assert value == pytest.approx(chance(ranks[:, 1], k)), name


def test_recall_is_the_mean_over_random_orders_of_equal_candidates() -> None:
    rng = np.random.default_rng(0)
    similarities = rng.integers(0, 4, (30, 12))
    above = (similarities > similarities[:, :1]).sum(axis=1)
    equal = (similarities == similarities[:, :1]).sum(axis=1)
    ranks = np.stack([1 + above + (equal - 1) / 2, np.full(30, 12), equal], axis=1)
    places = []
    for _ in range(2000):
        order = rng.permutation(12)
        ranked = order[np.argsort(-similarities[:, order], axis=1, kind="stable")]
        places.append((ranked == 0).argmax(axis=1))
    for k in (1, 5, 10):
        value = METRICS[f"recall_at_{k}"].score(ranks, np.ones(ranks.shape, dtype=bool))
        assert value == pytest.approx((np.array(places) < k).mean(), abs=0.01)


@pytest.mark.parametrize("metric", ["recall_at_1", "recall_at_5", "recall_at_10", "median_rank"])
@pytest.mark.parametrize("queries", [12, 13])
def test_a_weighted_metric_is_that_of_repeated_queries(metric: str, queries: int) -> None:
    rng = np.random.default_rng(0)
    rank, equal = rng.integers(1, 21, queries), rng.integers(1, 4, queries)
    ranks = np.stack([rank, np.full(queries, 20), equal], axis=1).astype(float)
    weights = rng.integers(0, 4, (queries, 50)).astype(np.float32)
    weights[0] += 1
    everywhere = np.ones(ranks.shape, dtype=bool)
    weighted = METRICS[metric].weighted
    assert weighted is not None
    slow = [
        METRICS[metric].score(np.repeat(ranks, count, axis=0), everywhere)
        for count in weights.T.astype(int)
    ]
    np.testing.assert_allclose(weighted(ranks, everywhere, weights), slow)


def test_queries_of_one_track_are_drawn_together() -> None:
    rng = np.random.default_rng(0)
    by_track = rng.integers(1, 3, 30)
    rest = np.full(240, 9), np.ones(240)
    ranks = np.stack([np.repeat(by_track, 8), *rest], axis=1).astype(float)[None]
    everywhere = np.ones(ranks.shape[1:], dtype=bool)
    tracks = np.repeat(np.arange(30), 8)
    once = resample_all(["recall_at_1"], ranks[:, ::8], everywhere[::8])["recall_at_1"]
    grouped = resample_all(["recall_at_1"], ranks, everywhere, tracks)["recall_at_1"]
    np.testing.assert_allclose(grouped.draws, once.draws)
    alone = resample_all(["recall_at_1"], ranks, everywhere)["recall_at_1"]
    assert np.ptp(alone.interval()) < np.ptp(grouped.interval()) / 2


def test_stems_of_a_track_are_found_among_all_tracks(
    mscol: Command, banded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["probe", "stems", "--data", banded, "--model", "logmel", "-o", "found"]
    assert mscol(*command) == 0
    shown = capsys.readouterr().out
    assert mentions(shown, "10 queries", "recall_at_1", "95 % interval over tracks")
    result = read(Path("found"))
    (tested,) = result.test_sets
    assert (tested.clips, tested.metrics["recall_at_1"].value) == (10, 1.0)
    assert tested.metrics["median_rank"].value == 0.0
    assert [(row.name, row.support) for row in tested.classes] == [("bass", 5), ("vocals", 5)]
    # 11 stems sound, of which each query is one.
    assert tested.baselines["chance"]["recall_at_5"] == pytest.approx(0.5)
    assert "silent stems, left out (1): bass 1" in result.notes
    assert (result.seeds, result.classes) == (0, ())


def test_two_models_are_compared_on_the_same_tracks(
    mscol: Command, banded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = ["--model", "logmel", "--model", "untrained", "--encoder", "small"]
    command = ["probe", "stems", "--data", banded, *models, "-o", "table", "--json"]
    assert mscol(*command, "--opt", "candidates=source") == 0
    table = json.loads(capsys.readouterr().out)
    assert [column["metric"] for column in table["columns"]] == [
        "recall_at_1",
        "recall_at_5",
        "recall_at_10",
        "median_rank",
    ]
    assert len(table["comparisons"]) == 4
    folders = [Path(row["results"]["stems"]) for row in table["rows"]]
    first, second = (read_scores(folder / "scores.safetensors") for folder in folders)
    assert first.groups.names == tuple(clip.partition(":")[0] for clip in first.ids)
    assert resampled_pair(first, second, "test", "median_rank")[2] == 10
    assert mscol(*command, "--opt", "candidates=source", "--reuse") == 0
    assert "stems logmel: reused" in capsys.readouterr().err


def test_ranks_from_before_ties_were_kept_are_still_compared(tmp_path: Path) -> None:
    ranks = np.array([[[1.0, 9, 1], [4, 9, 1], [2, 9, 1]]])
    everywhere = np.ones((3, 3), dtype=bool)
    new = ClipScores(
        ["a", "b", "c"],
        COLUMNS,
        ranks,
        everywhere,
        {"test": np.ones(3, dtype=bool)},
        {("test", "recall_at_1"): resample("recall_at_1", ranks, everywhere)},
    )
    old = replace(new, classes=COLUMNS[:2], scores=ranks[..., :2], targets=everywhere[:, :2])
    write_scores(tmp_path / "old", old)
    found = read_scores(tmp_path / "old")
    np.testing.assert_array_equal(found.scores, ranks)
    assert resampled_pair(found, new, "test", "recall_at_1")[2] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", 3], "'stems' retrieves stems and trains no classifier: omit --seeds."),
        (["--classifier", "mlp", "--save"], "omit --classifier, --save."),
        (["--opt", "query=mixture"], "option query of task 'stems' takes rest, stem"),
    ],
)
def test_options_of_classifiers_are_refused(
    mscol: Command,
    banded: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[object],
    message: str,
) -> None:
    assert mscol("probe", "stems", "--data", banded, "--model", "logmel", *options) == 2
    assert message in capsys.readouterr().err
    assert not Path("probes").exists()


def test_a_store_without_stems_to_retrieve_is_refused(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    probe = ["probe", "stems", "--model", "logmel"]
    assert mscol(*probe) == 4
    assert "data/stems" in capsys.readouterr().err
    single = write_store(tmp_path / "single.store", {"t": {"bass": band(0, 0)}})
    with pytest.raises(UsageError, match="fewer than two sources"):
        find_sounding(Store.open(single))
    alone = {"t": {"bass": band(0, 0), "vocals": band(1, 1)}}
    write_store(tmp_path / "alone.store", alone)
    assert mscol(*probe, "--data", "alone.store") == 4
    assert "fewer than two tracks in which two sources sound" in capsys.readouterr().err


def test_queries_without_a_second_candidate_are_left_out(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("bass", "drums", "vocals")
    tracks = {
        f"t{row}": {name: band(row, 10 * row + seed) for seed, name in enumerate(names)}
        for row in range(3)
    }
    for row in (1, 2):
        tracks[f"t{row}"]["vocals"][:] = 0
    write_store(tmp_path / "one.store", tracks)
    command = ["probe", "stems", "--data", "one.store", "--model", "logmel", "-o", "found"]
    assert mscol(*command, "--opt", "candidates=source", "--json") == 0
    assert "NaN" not in capsys.readouterr().out
    result = read(Path("found"))
    assert result.test_sets[0].clips == 6
    assert "queries without a second candidate, left out (1)" in result.notes


@pytest.mark.slow
def test_tracks_shorter_than_a_window_are_named(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracks = {
        f"t{row}": {name: band(row, seed) for seed, name in enumerate(("bass", "vocals"))}
        for row in range(3)
    }
    tracks["t1"] = {name: waveform[:20_000] for name, waveform in tracks["t1"].items()}
    write_store(tmp_path / "short.store", tracks)
    options = ["--model", "untrained", "--encoder", "sample_cnn", "-o", "found"]
    assert mscol("probe", "stems", "--data", "short.store", *options) == 3
    assert "t1, bass: lasts 1.250 s" in capsys.readouterr().err
    result = read(Path("found"))
    assert [name for name, _ in result.failures] == ["t1"]
    assert result.test_sets[0].clips == 4


def test_the_task_has_no_labelled_clips(tmp_path: Path) -> None:
    task = build_task(find_part(load_registry(), "task", "stems"))
    with pytest.raises(MissingDataError, match="no labelled clips"):
        task.load(tmp_path)


def test_learned_vectors_have_the_mean_logit_of_all_pairs_of_windows() -> None:
    registry, generator = load_registry(), torch.Generator().manual_seed(0)
    context = ObjectiveContext(6, 16_000, 160)
    windows = [torch.randn(count, 6, generator=generator) for count in (3, 5)]
    for options in ([], ["similarity=cosine", "temperature=1"]):
        part = find_part(registry, "objective", "msa", options)
        objective = build_part(part, Objective, context).eval()
        with torch.no_grad():
            anchors, positives = (objective.head(rows) for rows in windows)
            expected = objective.similarity(anchors, positives).mean().item()
        (query, _), (_, candidate) = (
            learned_vectors(objective, rows.numpy(), torch.device("cpu")) for rows in windows
        )
        assert query @ candidate == pytest.approx(expected, rel=1e-5)


def test_stems_are_compared_by_what_an_objective_has_learned(
    mscol: Command, banded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = ["pretrain", banded, "--encoder", "small", "--steps", "1", "--batch-size", "2"]
    assert mscol(*train, "--objective", "msa", "-o", "run") == 0
    probe = ["probe", "stems", "--data", banded, "--opt", "similarity=learned"]
    assert mscol(*probe, "--model", "run", "-o", "found") == 0
    assert any("learned" in note for note in read(Path("found")).notes)
    assert mscol(*probe, "--model", "mini", "-o", "none") == 2
    assert mentions(capsys.readouterr().err, "mini", "objective")
