"""From a labelled data set and an encoder to a report, with real audio and a fresh encoder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mscol_cli.cache.folder import vectors_folder
from mscol_cli.contracts.progress import Silent
from mscol_cli.contracts.task import ProbeProtocol, TaskData
from mscol_cli.engine.models import resolve_model
from mscol_cli.errors import BadInputError, MissingDataError, UsageError
from mscol_cli.host import load_registry
from mscol_cli.probe.bootstrap import resample
from mscol_cli.probe.clips import SPLITS, EmbeddedTask, RandomCrops, embed_task
from mscol_cli.probe.notes import result_notes
from mscol_cli.probe.request import ProbeRequest
from mscol_cli.probe.result import ProbeResult, Score
from mscol_cli.probe.scores import read_scores
from mscol_cli.probe.scoring import check_splits
from mscol_cli.probe.settings import load_data, resolve_settings
from mscol_cli.probe.workflow import run
from mscol_cli.synthetic import Collection
from tests.helpers.audio import tones, write_audio, write_short
from tests.helpers.probing import gaussian_clips, one_hot

CLASSES = ("hiss", "hum", "silence")
REGISTRY = load_registry()


class Witness(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int | None]] = []
        self.warnings: list[str] = []
        self.done = 0

    def begin(self, title: str, total: int | None, unit: str) -> None:
        self.stages.append((title, total))

    def advance(self, amount: int = 1, **fields: str) -> None:
        self.done += amount

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder and a cache of the test's own."""
    monkeypatch.setenv("MSCOL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def sounds(elsewhere: Path) -> Path:
    """`data/folder`: eight clips of hiss and eight of hum."""
    folder = elsewhere / "data" / "folder"
    for number in range(8):
        noise = np.random.default_rng(number).standard_normal((1, 24000)).astype(np.float32)
        write_audio(folder / "hiss" / f"{number}.wav", 0.1 * noise)
        write_audio(folder / "hum" / f"{number}.wav", tones(1.5, seed=number))
    return folder


def probe(
    task: str = "folder",
    *options: str,
    seeds: int | None = 1,
    progress: Witness | None = None,
    protocol: Sequence[str] = (),
    recipe: str | None = None,
    label_fractions: tuple[float, ...] = (),
    **corruptions: Any,
) -> ProbeResult:
    request = ProbeRequest(
        task,
        model="untrained",
        encoder="small",
        seeds=seeds,
        device="cpu",
        options=options,
        protocol=tuple(protocol),
        recipe=recipe,
        label_fractions=label_fractions,
        **corruptions,
    )
    return run(request, progress or Witness())


def headline(result: ProbeResult) -> Mapping[str, Score]:
    return result.test_sets[0].metrics


@pytest.mark.slow
def test_sounds_that_differ_are_told_apart(sounds: Path) -> None:
    result = probe("folder", "valid=0.25", "test=0.25", seeds=2)
    score = headline(result)["accuracy"]
    assert score.value == 1.0
    assert score.low <= score.value <= score.high
    assert list(headline(result)) == ["accuracy", "macro_f1"]
    assert result.counts == {"train": 8, "valid": 4, "test": 4}
    assert len(score.per_seed) == len(result.best_epochs) == 2
    assert result.valid_scores == (1.0, 1.0)  # of clips that are as easy
    page = result.markdown_path.read_text(encoding="utf-8")
    assert "Validation accuracy: 1.0000, 1.0000." in page


@pytest.mark.slow
def test_the_report_is_written_and_says_what_the_result_says(sounds: Path) -> None:
    result = probe()
    assert result.json_path == Path("probes/untrained-small-folder/probe.json")
    written = json.loads(result.json_path.read_text())
    assert (
        written["test_sets"][0]["metrics"]["accuracy"]["value"]
        == headline(result)["accuracy"].value
    )
    assert written["options"]["valid"] == 0.15
    assert f"{headline(result)['accuracy'].value:.4f}" in result.markdown_path.read_text()


@pytest.mark.slow
def test_other_options_have_a_report_of_their_own(sounds: Path) -> None:
    folder = probe("folder", "group=/?.wav").json_path.parent
    assert folder == Path("probes/untrained-small-folder-group=__.wav")


def cached_files() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in vectors_folder().rglob("*.*") if path.is_file()}


def cached_clips() -> int:
    return sum(path.read_bytes().count(b"\n") for path in vectors_folder().rglob("*.jsonl"))


@pytest.mark.slow
def test_cached_embeddings_are_not_computed_again(sounds: Path) -> None:
    first = probe()
    written = cached_files()
    again = probe()
    assert cached_clips() == 16
    assert cached_files() == written
    assert again.test_sets == first.test_sets


@pytest.mark.slow
def test_only_the_file_that_changed_is_embedded_again(sounds: Path) -> None:
    probe()
    write_audio(sounds / "hum" / "0.wav", tones(1.6, seed=50))
    probe()
    assert cached_clips() == 17


@pytest.mark.slow
def test_a_damaged_cache_is_mended(sounds: Path) -> None:
    first = probe()
    for path in cached_files():
        if path.name != "vectors.json":
            path.write_bytes(path.read_bytes()[:100])
    assert probe().test_sets == first.test_sets
    written = cached_files()
    assert probe().test_sets == first.test_sets
    assert cached_files() == written


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_costs_a_warning(
    sounds: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "occupied").write_text("")
    monkeypatch.setenv("MSCOL_CACHE", str(tmp_path / "occupied"))
    witness = Witness()
    assert headline(probe(progress=witness))["accuracy"].value == 1.0
    (warning,) = {line for line in witness.warnings if "occupied" in line}
    assert str(tmp_path / "occupied" / "vectors") in warning


@pytest.mark.slow
def test_clips_that_cannot_be_used_are_named_and_shift_no_label(sounds: Path) -> None:
    for name in ("hiss", "hum"):
        (sounds / name / "bad.wav").write_bytes(b"RIFF, but no audio")
    for number in range(4):
        write_audio(sounds / "blank" / f"{number}.wav", tones(0.2))
    witness = Witness()
    result = probe("folder", "valid=0.25", "test=0.25", progress=witness)
    assert sorted(name for name, _ in result.failures) == [
        *(f"blank/{number}.wav" for number in range(4)),
        "hiss/bad.wav",
        "hum/bad.wav",
    ]
    assert len(witness.warnings) == 6
    assert all("\n" not in warning for warning in witness.warnings)
    assert len(result.classes) == 3
    assert result.test_sets[0].unscored == ("blank",)
    assert headline(result)["accuracy"].value == 1.0
    assert "bad.wav" in result.markdown_path.read_text()


@pytest.mark.slow
def test_missing_audio_is_noted_with_and_without_a_cache(
    sounds: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_short(sounds / "hum" / "cut.mp3", tones(4.0))
    write_short(sounds / "hum" / "brief.mp3", tones(1.2))  # half of it is less than a window
    (tmp_path / "occupied").write_text("")
    decoded = []
    for cache in ("cache", "cache", "occupied"):
        monkeypatch.setenv("MSCOL_CACHE", str(tmp_path / cache))
        witness = Witness()
        result = probe(progress=witness, protocol=["epochs=2"])
        assert "a part of the audio is missing (1): hum/cut.mp3" in list(result_notes(result))
        page = result.markdown_path.read_text(encoding="utf-8")
        content = json.loads(result.json_path.read_text(encoding="utf-8"))
        assert "A part of the audio is missing (1)" in page
        assert list(content["shortfalls"]) == ["hum/cut.mp3"]
        assert f"hum/cut.mp3: {content['shortfalls']['hum/cut.mp3']}" in page
        decoded.append(any("cut.mp3" in line for line in witness.warnings))
    assert decoded == [True, False, True]


@pytest.mark.slow
def test_clips_whose_channels_cancel_are_noted_with_and_without_a_cache(sounds: Path) -> None:
    left = tones(1.2, seed=20)
    write_audio(sounds / "hum" / "cancel.wav", np.concatenate([left, -left]))
    for _ in range(2):
        result = probe(protocol=["epochs=2"])
        assert any("mono mix (1): hum/cancel.wav" in note for note in result_notes(result))
        assert "hum/cancel.wav" in result.markdown_path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_progress_counts_clips_then_seeds(sounds: Path) -> None:
    witness = Witness()
    probe(seeds=2, progress=witness)
    assert witness.stages == [("embedding", 16), ("classifiers", 2)]
    assert witness.done == 18


def test_a_split_without_usable_clips_is_an_error(elsewhere: Path) -> None:
    for split in ("train", "valid", "test"):
        for name in CLASSES[:2]:
            path = elsewhere / "data" / "folder" / split / name / "clip.wav"
            write_audio(path, tones(0.3 if split == "valid" else 1.2))
    with pytest.raises(MissingDataError, match="valid split of 'folder'") as caught:
        probe()
    assert caught.value.exit_code == 4


def test_a_test_set_without_clips_is_an_error() -> None:
    clips = gaussian_clips(one_hot([0, 1], 2), seed=0)
    embedded = EmbeddedTask({}, {"test": clips}, [])
    sets = {"easy": np.ones(2, dtype=bool), "none": np.zeros(2, dtype=bool)}
    with pytest.raises(
        MissingDataError, match="the test set 'none' of 'folder' has no usable clip"
    ):
        check_splits(embedded, ProbeProtocol(), "'folder'", TaskData(("a", "b"), ()), sets)


def test_a_test_split_of_one_class_is_an_error(elsewhere: Path) -> None:
    for split, names in (("train", CLASSES), ("valid", CLASSES), ("test", ("hum",))):
        for name in names:
            write_audio(elsewhere / "data" / "folder" / split / name / "clip.wav", tones(1.2))
    with pytest.raises(MissingDataError, match="positives and negatives"):
        probe()


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (("rock/1", "rock/2", "rock/3"), "only one class found in data/folder, 'rock'"),
        (("rock/1", "jazz/1"), "valid split of 'folder' .* no usable clip"),
        (
            ("train/rock/1", "train/jazz/1", "valid/rock/1", "valid/jazz/1", "test/rock/1"),
            "test split of 'folder' .* positives and negatives",
        ),
    ],
)
def test_a_split_that_cannot_be_scored_is_an_error_before_clips_are_embedded(
    elsewhere: Path, paths: Sequence[str], message: str
) -> None:
    for number, path in enumerate(paths):
        write_audio(elsewhere / "data" / "folder" / f"{path}.wav", tones(1.2, seed=number))
    witness = Witness()
    with pytest.raises(MissingDataError, match=message):
        probe(progress=witness)
    assert not witness.stages


def test_no_data_names_the_folder_looked_for(elsewhere: Path) -> None:
    with pytest.raises(MissingDataError, match="data/fma "):
        probe("fma")


def test_an_unknown_task_gets_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="'nsynth'"):
        probe("nsinth")


def test_at_least_one_seed_is_needed() -> None:
    with pytest.raises(UsageError, match="--seeds"):
        run(ProbeRequest("folder", seeds=0), Witness())


@pytest.mark.slow
@pytest.mark.parametrize("task", ["mtat", "nsynth", "fma"])
def test_the_synthetic_collection_is_probed_as_the_real_data_sets_are(
    collection: Collection, elsewhere: Path, task: str
) -> None:
    (elsewhere / "data").mkdir()
    (elsewhere / "data" / task).symlink_to(getattr(collection, task), target_is_directory=True)
    result = probe(task)
    assert not result.failures
    assert not result.missing
    assert min(result.counts.values()) > 0
    for test_set in result.test_sets:
        for score in test_set.metrics.values():
            assert 0 <= score.low <= score.value <= score.high <= 1


@pytest.mark.slow
def test_missing_audio_is_counted(collection: Collection, elsewhere: Path) -> None:
    shutil.copytree(collection.nsynth, elsewhere / "data" / "nsynth")
    victim = next((elsewhere / "data/nsynth/nsynth-test/audio").iterdir())
    victim.unlink()
    witness = Witness()
    result = probe("nsynth", progress=witness)
    assert list(result.missing) == [f"nsynth-test/audio/{victim.name}"]
    assert any("1, such as" in warning for warning in witness.warnings)
    assert str(victim.name) in result.markdown_path.read_text()


@pytest.mark.slow
def test_filtered_and_unfiltered_tags_are_scored_side_by_side(
    collection: Collection, elsewhere: Path
) -> None:
    shutil.copytree(collection.mtat, elsewhere / "data" / "mtat")
    table = elsewhere / "data/mtat/annotations_final.csv"
    lines = table.read_text().splitlines()
    tested = next(row for row in lines[1:] if row.split("\t")[-1].strip('"')[0] in "def")
    cells = tested.split("\t")
    bare = "\t".join([cells[0], *(cell.replace("1", "0") for cell in cells[1:-1]), cells[-1]])
    table.write_text("\n".join(bare if row == tested else row for row in lines) + "\n")
    result = probe("mtat")
    filtered, unfiltered = result.test_sets
    assert (filtered.name, unfiltered.name) == ("filtered", "unfiltered")
    assert unfiltered.clips == filtered.clips + 1
    page = result.markdown_path.read_text()
    assert f"| filtered ({filtered.clips} clips) | roc_auc |" in page
    assert f"| unfiltered ({unfiltered.clips} clips) | roc_auc |" in page


@pytest.mark.slow
def test_random_crops_train_a_probe_again_and_again_alike(sounds: Path) -> None:
    options = ("valid=0.25", "test=0.25")
    published = ["crops=random", "standardise=false", "epochs=20", "learning_rate=0.01"]
    first = probe("folder", *options, protocol=published)
    assert first.protocol["crops"] == "random"
    assert first.json_path.parent.name.endswith("learning_rate=0.01")
    assert probe("folder", *options, protocol=published).test_sets == first.test_sets
    assert headline(first)["accuracy"].value > 0.7


def test_each_epoch_has_one_new_crop_per_segment(elsewhere: Path) -> None:
    for split in SPLITS:
        for name in CLASSES[:2]:
            path = elsewhere / "data" / "folder" / split / name / "clip.wav"
            write_audio(path, tones(12.5 if split == "train" else 5.0))
    settings = resolve_settings(ProbeRequest("folder", protocol=("crops=random",)), REGISTRY)
    model = resolve_model("untrained", "small", REGISTRY, torch.device("cpu"))
    _, data = load_data(settings, None)
    embedded = embed_task(data, model, Witness())
    draw = RandomCrops(embedded, model, settings.protocol, 0)
    (train, valid), (later, _) = draw(1), draw(2)
    assert (len(train.windows), len(valid.windows)) == (2 * 3, 2 * 1)
    assert train.targets.sum(0).tolist() == [3, 3, 0][: len(data.classes)]
    first, again, other = (clips.windows[:] for clips in (train, draw(1)[0], later))
    assert not torch.equal(first, other)
    assert torch.equal(again, first)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["mtat", "nsynth", "fma"])
def test_the_recipe_sets_the_published_probe(
    collection: Collection, elsewhere: Path, task: str
) -> None:
    (elsewhere / "data").mkdir()
    (elsewhere / "data" / task).symlink_to(getattr(collection, task), target_is_directory=True)
    result = probe(task, recipe="smc23", protocol=["epochs=1"])
    assert result.recipe == "smc23"
    assert result.protocol["select"] == ("binary_accuracy" if task == "mtat" else "accuracy")
    assert (result.protocol["crops"], result.protocol["block"]) == ("random", 8192)
    assert result.protocol["epochs"] == 1
    assert "Recipe: smc23" in result.markdown_path.read_text()


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        (["multilabel=true"], "'folder'.* 'multilabel'"),
        (["crops=some"], "windows, random.* 'some'"),
        (["hidden=-1"], "at least 0"),
        (["select=binary_accuracy"], "accuracy, macro_f1"),
        (["classifier=linear", "crops=random"], "crops=random"),
        (["finetune=perhaps"], "true or false"),
        (["epochs"], "KEY=VALUE"),
    ],
)
def test_a_protocol_that_cannot_be_used_is_refused(protocol: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        probe(protocol=protocol)


@pytest.mark.slow
@pytest.mark.parametrize("classifier", ["linear", "mlp"])
def test_other_classifiers_say_what_was_chosen_on_validation(sounds: Path, classifier: str) -> None:
    options = ("valid=0.25", "test=0.25")
    protocol = [f"classifier={classifier}", "hidden=16"]
    result = probe("folder", *options, seeds=2, protocol=protocol)
    assert headline(result)["accuracy"].value == 1.0
    assert result.seeds == len(result.weight_decays) == (1 if classifier == "linear" else 2)
    assert f"{classifier}, weight decay" in result.markdown_path.read_text()


@pytest.mark.slow
def test_scores_are_drawn_against_the_number_of_labels(sounds: Path) -> None:
    result = probe("folder", "valid=0.25", "test=0.25", seeds=2, label_fractions=(1, 0.5))
    half, whole = result.label_budgets
    assert (half.clips, whole.clips) == (4, 8)
    assert [one.metrics for one in whole.test_sets] == [one.metrics for one in result.test_sets]
    assert len(half.test_sets[0].metrics["accuracy"].per_seed) == 2
    assert result.picture_path is not None
    assert result.picture_path.read_bytes().startswith(b"\x89PNG")
    assert "| 4 | 0.5 | test | accuracy |" in result.markdown_path.read_text()
    assert result.json_path.parent.name.endswith("labels=1_0.5")


@pytest.mark.slow
def test_each_seed_draws_a_label_budget_of_its_own_even_for_linear(sounds: Path) -> None:
    result = probe(seeds=3, protocol=["classifier=linear"], label_fractions=(0.25,))
    assert result.seeds == 1
    assert len(result.label_budgets[0].test_sets[0].metrics["accuracy"].per_seed) == 3


@pytest.mark.slow
def test_the_report_has_every_class_its_confusions_and_shared_groups(
    collection: Collection, elsewhere: Path
) -> None:
    (elsewhere / "data").mkdir()
    (elsewhere / "data" / "nsynth").symlink_to(collection.nsynth, target_is_directory=True)
    result = probe("nsynth", seeds=2)
    (test_set,) = result.test_sets
    support = [one.support for one in test_set.classes]
    assert sum(support) == test_set.clips
    assert np.sum(test_set.confusion, axis=1).tolist() == [2 * clips for clips in support]
    (shared,) = result.shared_groups
    assert (shared.kind, shared.shared, shared.clips) == ("instrument", 0, test_set.clips)
    written = json.loads(result.json_path.read_text())
    assert written["test_sets"][0]["classes"][0]["name"] == "bass"
    assert "instrument: 0 of" in result.markdown_path.read_text()


@pytest.mark.slow
def test_groups_of_clips_are_drawn_as_a_whole(elsewhere: Path) -> None:
    for number in range(60):  # nothing to learn: both classes are noise, in groups of three
        noise = np.random.default_rng(number).standard_normal((1, 17000)).astype(np.float32)
        name = f"{number // 3}-{number}.wav"
        write_audio(elsewhere / "data" / "folder" / "ab"[number % 2] / name, 0.1 * noise)
    options = ("group=-", "valid=0.2", "test=0.3")
    result = probe("folder", *options, label_fractions=(0.5,), noise=(20,))
    (tested,) = result.test_sets
    assert (tested.grouped_by, tested.groups) == ("group", 6)
    page = result.markdown_path.read_text()
    assert "95 % interval over groups" in page
    assert f"| test ({tested.clips} clips of 6 groups) | accuracy |" in page
    kept = read_scores(result.scores_path)
    assert {name.partition("-")[0] for name in kept.groups.names} == set(kept.groups.names)
    numbers = kept.groups.numbers(range(tested.clips))
    drawn = resample("accuracy", kept.scores, kept.targets, numbers)
    assert (drawn.units, kept.resampled["test", "accuracy"].units) == (6, 6)
    np.testing.assert_array_equal(kept.resampled["test", "accuracy"].draws, drawn.draws)
    (budget,) = result.label_budgets
    assert budget.test_sets[0].groups == 6
    old = replace(result, test_sets=[replace(tested, grouped_by="", groups=0)])
    assert not result.lacks_groups
    assert old.lacks_groups
    assert "probe again to draw groups" in "".join(result_notes(old))


@pytest.mark.slow
def test_damaged_test_clips_are_scored_beside_clean_ones(sounds: Path) -> None:
    options = ("valid=0.25", "test=0.25")
    clean = probe("folder", *options)
    result = probe("folder", *options, noise=(-20,), gain=(-3,))
    assert result.test_sets == clean.test_sets
    noise, gain = (one for one in result.deformed if one.metric == "accuracy")
    assert (noise.deformation, gain.deformation) == ("noise -20 dB", "gain -3 dB")
    assert noise.loss == pytest.approx(1.0 - noise.score.value) == pytest.approx(0.5)
    assert noise.low <= noise.loss <= noise.high
    assert (gain.loss, gain.clips) == (0, 4)
    assert "| noise -20 dB | test | accuracy |" in result.markdown_path.read_text()


@pytest.mark.slow
def test_damaged_clips_are_embedded_once_too(sounds: Path) -> None:
    result = probe(noise=(10,))
    written, clips = cached_files(), cached_clips()
    probe(noise=(10,))
    assert clips == 16 + result.counts["test"]
    assert cached_files() == written
    probe(noise=(11,))
    assert cached_clips() == clips + result.counts["test"]


@pytest.mark.slow
def test_a_fine_tuned_encoder_learns_what_a_frozen_one_cannot_tell(elsewhere: Path) -> None:
    time = np.arange(20000) / 16000
    for split, clips in (("train", 24), ("valid", 12), ("test", 12)):
        for number, tone in [(number, tone) for number in range(clips) for tone in (500, 560)]:
            noise = np.random.default_rng([len(split), number, tone]).standard_normal((1, 20000))
            audio = 0.03 * np.sin(2 * np.pi * tone * time) + 0.2 * noise
            path = elsewhere / "data/folder" / split / f"{tone}" / f"{number}.wav"
            write_audio(path, audio.astype(np.float32))
    settings = ["finetune=true", "epochs=20", "patience=20", "batch_size=16"]
    result = probe(seeds=None, protocol=[*settings, "encoder_learning_rate=0.001"])
    (note,) = [note for note in result.notes if "frozen encoder: " in note]
    frozen = float(note.partition("accuracy ")[2].partition(",")[0])
    assert headline(result)["accuracy"].value > max(0.9, frozen + 0.2)
    assert result.seeds == 1
    assert result.best_epochs[0] > 0


@pytest.mark.slow
def test_fine_tuning_leaves_the_frozen_encoder_as_it_is(sounds: Path) -> None:
    before = probe()
    tuned = [probe(protocol=["finetune=true", "epochs=2"]).test_sets for _ in range(2)]
    assert tuned[0] == tuned[1]
    assert probe().test_sets == before.test_sets


@pytest.mark.slow
def test_damage_that_leaves_nothing_to_score_costs_a_warning_and_no_result(
    sounds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(path: Path, *_: object, **__: object) -> None:
        raise BadInputError(f"{path}: too damaged")

    monkeypatch.setattr("mscol_cli.probe.cache.load_corrupted", fails)
    witness = Witness()
    result = probe(mp3=(64,), progress=witness)
    assert result.deformed == ()
    assert any("mp3 64 kbit/s" in warning for warning in witness.warnings)
    assert result.json_path.exists()
