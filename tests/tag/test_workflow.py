"""`probe --save`, then `tag`: the same scores on the same clips, calibrated."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mscol_cli.embed.inputs import SILENT
from mscol_cli.engine.embedding import ClipEmbedding, embed_files
from mscol_cli.engine.models import load_model, resolve_model
from mscol_cli.host import load_registry
from mscol_cli.probe.head import framing_of, read_head, write_head
from mscol_cli.probe.request import ProbeRequest
from mscol_cli.probe.result import read
from mscol_cli.probe.scores import read_scores
from mscol_cli.probe.settings import load_data, resolve_settings
from mscol_cli.synthetic import Collection
from mscol_cli.tag.model import load_head_model
from mscol_cli.vectors import FileVersion, VectorFolder, VectorWriter
from tests.conftest import Command, run_in
from tests.helpers.audio import tones, write_audio
from tests.helpers.messages import mentions

TEST_CLIPS = 6


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hiss and hum, split, in clips of one to three windows."""
    folder = tmp_path_factory.mktemp("sounds") / "data"
    for number, split in enumerate(["train"] * 6 + ["valid"] * 4 + ["test"] * 3):
        seconds = (1.2, 2.1, 3.0)[number % 3]
        rng = np.random.default_rng(number)
        noise = rng.standard_normal((1, round(seconds * 16000))).astype(np.float32)
        write_audio(folder / split / "hiss" / f"a{number}.wav", 0.1 * noise)
        write_audio(folder / split / "hum" / f"b{number}.wav", tones(seconds, seed=number))
    return folder


@pytest.fixture(scope="module")
def run(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the trained run, which keeps the results of these tests."""
    return Path(shutil.copytree(trained, tmp_path_factory.mktemp("runs") / "run"))


@pytest.fixture(scope="module")
def head(sounds: Path, run: Path) -> Path:
    """The folder of a probe with three seeds and a saved head."""
    options = ["--model", run, "--seeds", 3, "--protocol", "epochs=3", "--device", "cpu", "--save"]
    run_in(run.parent, ["probe", "folder", "--data", sounds, *options, "-o", run / "probes/sounds"])
    return run / "probes" / "sounds"


@pytest.fixture(scope="module")
def tags_head(collection: Collection, run: Path) -> Path:
    """The folder of a probe of several tags per clip, with a saved head."""
    options = ["--model", run, "--seeds", 1, "--protocol", "epochs=2", "--device", "cpu", "--save"]
    run_in(run.parent, ["probe", "mtat", "--data", collection.mtat, *options])
    return run / "probes" / "mtat-epochs=2"


def tagged(mscol: Command, capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    assert mscol("tag", *arguments, "--device", "cpu", "--json") == 0
    return json.loads(capsys.readouterr().out)


def by_class(tags: list[Mapping[str, Any]], classes: list[str]) -> list[float]:
    scores = {tag["class"]: tag["score"] for tag in tags}
    return [scores[name] for name in classes]


def test_tags_of_the_test_clips_are_the_calibrated_scores_of_the_probe(
    mscol: Command, capsys: pytest.CaptureFixture[str], sounds: Path, head: Path
) -> None:
    result = tagged(mscol, capsys, sounds / "test", "--head", head)
    probed, record = read_scores(head / "scores.safetensors"), read_head(head).record
    assert [f"test/{file['id']}" for file in result["files"]] == list(probed.ids)
    calibrated = record.calibration.probabilities(probed.scores[record.seed])
    classes = list(record.classes)
    scores = [by_class(file["tags"], classes) for file in result["files"]]
    np.testing.assert_allclose(scores, calibrated, atol=2e-6)
    assert result["clips"] == TEST_CLIPS


def test_tags_of_clips_with_several_labels_are_the_calibrated_scores_of_the_probe(
    mscol: Command,
    capsys: pytest.CaptureFixture[str],
    collection: Collection,
    tags_head: Path,
) -> None:
    probed, record = read_scores(tags_head / "scores.safetensors"), read_head(tags_head).record
    result = tagged(mscol, capsys, collection.mtat, "--head", tags_head, "-k", 1000)
    found = {file["id"]: file["tags"] for file in result["files"]}
    settings = resolve_settings(ProbeRequest("mtat"), load_registry())
    items = {item.id: item for item in load_data(settings, collection.mtat)[1].items}
    paths = [items[clip].path.relative_to(collection.mtat).as_posix() for clip in probed.ids]
    classes = list(record.classes)
    calibrated = record.calibration.probabilities(probed.scores[0])
    scores = [by_class(found[path], classes) for path in paths]
    np.testing.assert_allclose(scores, calibrated, atol=1e-5)
    for file in result["files"]:
        for tag in file["tags"]:
            threshold = record.thresholds[classes.index(tag["class"])]
            # Scores are written with six digits.
            if abs(tag["score"] - threshold) > 1e-6:
                assert tag["assigned"] == (tag["score"] > threshold)


def test_raw_scores_of_the_head_are_those_of_the_probe(sounds: Path, head: Path, run: Path) -> None:
    device = torch.device("cpu")
    encoder = load_model(run, load_registry(), device).encoder
    probed, saved = read_scores(head / "scores.safetensors"), read_head(head)
    paths = [sounds / name for name in probed.ids]
    clips = [
        clip
        for clip in embed_files(encoder, paths, device=device)
        if isinstance(clip, ClipEmbedding)
    ]
    windows = np.concatenate([clip.windows for clip in clips])
    together = saved.clip_scores(saved.clips(windows, [len(clip.windows) for clip in clips]))
    np.testing.assert_array_equal(together, probed.scores[saved.record.seed])


def test_the_result_reports_the_saved_classifier(head: Path) -> None:
    result, record = read(head), read_head(head).record
    assert result.head is not None
    assert (result.head.seed, result.head.sha256) == (record.seed, record.sha256)
    assert result.head.temperature == record.calibration.temperature
    assert sum(item.count for item in result.head.after.bins) == TEST_CLIPS == result.head.clips
    assert record.model.hash == result.model_hash
    assert record.model.framing["dim"] == 256
    assert mentions(
        (head / "probe.md").read_text(), "Saved classifier", f"{result.head.after.error:.4f}"
    )


def test_a_csv_has_the_top_classes_and_windows_over_time(
    mscol: Command, sounds: Path, head: Path, tmp_path: Path
) -> None:
    options = ["--head", head, "-k", 1, "--windows", "-o", "tags.csv", "--device", "cpu"]
    assert mscol("tag", sounds / "test", *options) == 0
    header, *rows = list(csv.reader((tmp_path / "tags.csv").open()))
    assert header == ["id", "start_s", "rank", "class", "score", "assigned"]
    assert [row[:2] for row in rows[:3]] == [
        ["hiss/a10.wav", "0.0"],
        ["hiss/a10.wav", "0.98"],
        ["hiss/a11.wav", "0.0"],
    ]
    assert len(rows) == 12
    assert {row[2] for row in rows} == {"1"}
    beside = json.loads((tmp_path / "tags.csv.json").read_text())
    assert beside["head_sha256"] == read_head(head).record.sha256


def test_a_json_holds_files_and_their_provenance(
    mscol: Command, sounds: Path, head: Path, tmp_path: Path
) -> None:
    options = ["--head", head, "--windows", "-o", "tags.json", "--device", "cpu"]
    assert mscol("tag", sounds / "test" / "hum", *options) == 0
    content = json.loads((tmp_path / "tags.json").read_text())
    assert content["model_hash"] == read_head(head).record.model.hash
    assert [len(file["windows"]) for file in content["files"]] == [2, 3, 1]
    assert sum(tag["score"] for tag in content["files"][0]["tags"]) == pytest.approx(1, abs=1e-5)


@pytest.fixture(scope="module")
def vectors(sounds: Path, run: Path) -> Path:
    """The windows of the test clips by the model of the head."""
    folder = run.parent / "windows"
    model = ["--model", run, "--device", "cpu"]
    run_in(run.parent, ["embed", sounds / "test", "--pool", "none", *model, "-o", folder])
    return folder


def test_a_folder_of_vectors_gives_the_tags_of_its_files_without_the_model(
    mscol: Command,
    capsys: pytest.CaptureFixture[str],
    sounds: Path,
    head: Path,
    vectors: Path,
    tmp_path: Path,
) -> None:
    alone = Path(shutil.copytree(head, tmp_path / "alone"))
    expected = tagged(mscol, capsys, sounds / "test", "--head", head, "--windows")
    assert (
        tagged(mscol, capsys, vectors, "--head", alone, "--windows")["files"] == expected["files"]
    )


def test_failed_and_silent_clips_of_a_folder_of_vectors_are_counted(
    mscol: Command,
    capsys: pytest.CaptureFixture[str],
    head: Path,
    vectors: Path,
    tmp_path: Path,
) -> None:
    copied = Path(shutil.copytree(vectors, tmp_path / "copied"))
    with VectorWriter(VectorFolder.open(copied)) as writer:
        writer.fail("y.wav", FileVersion("y.wav", 1, 1), "y.wav: is empty")
        writer.fail("z", FileVersion("z.store", 1, 0), f"z.store: track z: {SILENT}")
    assert mscol("tag", copied, "--head", head, "-o", "tags.csv") == 3
    error = capsys.readouterr().err
    assert mentions(error, "skipped y.wav: is empty", "no tags for 1 track", "skipped one input")


def test_the_tracks_of_a_store_are_tagged(
    mscol: Command, capsys: pytest.CaptureFixture[str], sounds: Path, head: Path
) -> None:
    assert mscol("separate", sounds / "test", "--separator", "none", "-o", "test.store") == 0
    capsys.readouterr()
    files = tagged(mscol, capsys, sounds / "test", "--head", head)["files"]
    tracks = tagged(mscol, capsys, "test.store", "--head", head)["files"]
    assert [track["id"] for track in tracks] == [file["id"].removesuffix(".wav") for file in files]
    for track, file in zip(tracks, files, strict=True):
        assert track["tags"][0]["score"] == pytest.approx(file["tags"][0]["score"], abs=1e-3)
    assert mscol("tag", "test.store", "--source", "drums", "--head", head) == 2
    assert mentions(capsys.readouterr().err, "test.store", "drums", "mixture")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--pool", "mean"], ["one vector per file", "--pool none"]),
        (["--pool", "none", "--hop", "0.5"], ["another hop", "--hop"]),
        (["--pool", "none", "--model", "mini"], ["mini", "run@6", "embed with that model"]),
    ],
)
def test_a_folder_of_other_vectors_is_refused(
    mscol: Command,
    capsys: pytest.CaptureFixture[str],
    sounds: Path,
    run: Path,
    head: Path,
    options: list[str],
    words: list[str],
) -> None:
    model = [] if "--model" in options else ["--model", run]
    assert mscol("embed", sounds / "test/hum", *options, *model, "-o", "other") == 0
    capsys.readouterr()
    assert mscol("tag", "other", "--head", head, "-o", "tags.csv") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert mentions(line, "other", *words)
    assert not Path("tags.csv").exists()


def test_bad_files_are_named_and_skipped(
    mscol: Command, capsys: pytest.CaptureFixture[str], head: Path, tmp_path: Path
) -> None:
    write_audio(tmp_path / "in" / "good.wav", tones(1.2))
    (tmp_path / "in" / "bad.wav").write_bytes(b"RIFF, but no audio")
    assert mscol("tag", "in", "--head", head, "-o", "out.csv", "--device", "cpu") == 3
    assert "bad.wav" in capsys.readouterr().err
    assert {row["id"] for row in csv.DictReader((tmp_path / "out.csv").open())} == {"good.wav"}


def test_nothing_is_written_if_no_file_can_be_used(
    mscol: Command, capsys: pytest.CaptureFixture[str], head: Path, tmp_path: Path
) -> None:
    write_audio(tmp_path / "in" / "short.wav", tones(0.2))
    assert mscol("tag", "in", "--head", head, "-o", "out/tags.json", "--device", "cpu") == 1
    assert not list((tmp_path / "out").iterdir())
    assert capsys.readouterr().err.count("0.200 s") == 1


def test_the_model_is_named_if_the_recorded_one_is_gone(
    mscol: Command, capsys: pytest.CaptureFixture[str], sounds: Path, head: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(head, tmp_path / "moved"))
    clip = sounds / "test" / "hum" / "b10.wav"
    assert mscol("tag", clip, "--head", moved, "--device", "cpu") == 4
    assert mentions(capsys.readouterr().err, "--model", "run@6")
    assert mscol("tag", clip, "--head", moved, "--model", head.parents[1], "--device", "cpu") == 0


def test_a_run_is_moved_with_its_heads_and_found_through_a_link(
    mscol: Command, capsys: pytest.CaptureFixture[str], sounds: Path, head: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(head.parents[1], tmp_path / "elsewhere"))
    (tmp_path / "latest").symlink_to(moved)
    clip = sounds / "test" / "hum" / "b10.wav"
    result = tagged(mscol, capsys, clip, "--head", tmp_path / "latest" / "probes" / "sounds")
    assert result["model"] == "elsewhere@6"


def test_a_model_that_has_changed_at_its_place_is_not_used(
    mscol: Command, capsys: pytest.CaptureFixture[str], sounds: Path, head: Path, tmp_path: Path
) -> None:
    changed = Path(shutil.copytree(head.parents[1], tmp_path / "changed"))
    (weights,) = changed.glob("checkpoints/step-*/encoder.safetensors")
    weights.write_bytes(weights.read_bytes() + b"\0")
    assert mscol("tag", sounds, "--head", changed / "probes" / "sounds", "--device", "cpu") == 4
    assert mentions(capsys.readouterr().err, "step-00000006", "--model")


def test_a_head_for_another_framing_is_refused(
    mscol: Command, capsys: pytest.CaptureFixture[str], sounds: Path, head: Path, tmp_path: Path
) -> None:
    changed = Path(shutil.copytree(head.parents[1], tmp_path / "changed"))
    record = changed / "probes" / "sounds" / "head.json"
    record.write_text(record.read_text().replace('"hop": 15680', '"hop": 15681'))
    assert mscol("tag", sounds, "--head", record.parent, "--device", "cpu") == 2
    assert mentions(capsys.readouterr().err, "another hop", "--save")


def test_another_model_is_refused(
    mscol: Command, capsys: pytest.CaptureFixture[str], sounds: Path, head: Path
) -> None:
    options = ["--head", head, "--model", "untrained", "--device", "cpu"]
    assert mscol("tag", sounds, *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert mentions(line, "run@6", read_head(head).record.model.hash[:12], "untrained")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("head.json", b'"classes"', b'"losses"'),
        ("head.json", b'"temperature": ', b'"temperature": -'),
        ("head.json", b'"sha256": "', b'"sha256": "0'),
        ("head.json", b"mscol-head", b"mscol-foot"),
        ("head.safetensors", b"mean", b"meen"),
    ],
)
def test_a_damaged_head_is_one_line(
    mscol: Command,
    capsys: pytest.CaptureFixture[str],
    sounds: Path,
    head: Path,
    tmp_path: Path,
    name: str,
    old: bytes,
    new: bytes,
) -> None:
    damaged = Path(shutil.copytree(head, tmp_path / "damaged"))
    content = (damaged / name).read_bytes()
    assert old in content
    (damaged / name).write_bytes(content.replace(old, new))
    assert mscol("tag", sounds, "--head", damaged) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert mentions(line, damaged, "--save")


def test_a_missing_head_and_a_bad_output_are_refused_first(
    mscol: Command, capsys: pytest.CaptureFixture[str], sounds: Path, head: Path
) -> None:
    assert mscol("tag", sounds, "--head", sounds) == 4
    assert mentions(capsys.readouterr().err, sounds, "head.json", "--save")
    assert mscol("tag", sounds, "--head", head, "-o", "tags.txt") == 2
    assert mentions(capsys.readouterr().err, ".csv", ".json")
    assert mscol("tag", sounds, "--head", head, "-k", 0) == 2
    assert "-k must be 1 or more" in capsys.readouterr().err


def test_a_head_of_an_untrained_encoder_builds_it_again(
    mscol: Command, capsys: pytest.CaptureFixture[str], sounds: Path
) -> None:
    model = ["--model", "untrained", "--encoder", "small", "--classifier", "linear"]
    options = ["--data", sounds, "--device", "cpu", "--save", "-o", "out"]
    assert mscol("probe", "folder", *model, *options) == 0
    assert "expected calibration error" in capsys.readouterr().err
    assert tagged(mscol, capsys, sounds / "test", "--head", "out")["model"] == "untrained-small"


def test_a_head_of_the_bundled_model_names_no_folder_of_the_installation(
    head: Path, tmp_path: Path
) -> None:
    cpu, registry = torch.device("cpu"), load_registry()
    mini = resolve_model("mini", None, registry, cpu)
    saved = read_head(head)
    framing = framing_of(mini.encoder)
    recorded = replace(saved.record.model, name="mini", hash=mini.hash, framing=framing)
    of_mini = replace(saved, record=replace(saved.record, model=recorded))
    write_head(tmp_path, of_mini, mini, None)
    written = read_head(tmp_path)
    assert written.record.model.folder is None
    loaded = load_head_model(written, tmp_path, None, registry, cpu)
    assert (loaded.name, loaded.hash) == ("mini", mini.hash)


@pytest.mark.slow
def test_a_fine_tuned_encoder_is_saved_and_used(
    mscol: Command, capsys: pytest.CaptureFixture[str], sounds: Path
) -> None:
    model = ["--model", "untrained", "--encoder", "small", "--finetune", "--protocol", "epochs=3"]
    # The frozen encoder has a classifier that has learned next to nothing.
    rate = ["--protocol", "encoder_learning_rate=0.001", "--protocol", "learning_rate=1e-7"]
    options = ["--data", sounds, "--device", "cpu", "--save", "-o", "out"]
    for _ in range(2):  # a second probe replaces the encoder of the first
        assert mscol("probe", "folder", *model, *rate, *options) == 0
    capsys.readouterr()
    result = tagged(mscol, capsys, sounds / "test", "--head", "out")
    probed, record = read_scores(Path("out/scores.safetensors")), read_head(Path("out")).record
    calibrated = record.calibration.probabilities(probed.scores[0])
    scores = [by_class(file["tags"], list(record.classes)) for file in result["files"]]
    np.testing.assert_allclose(scores, calibrated, atol=2e-5)
    assert read(Path("out")).best_epochs[0] > 0
    assert record.model.folder == "finetuned"
    assert mscol("embed", sounds / "test", "--model", "out/finetuned", "-o", "v.npz") == 0
    assert mscol("runs", "verify", "out/finetuned") == 0


@pytest.mark.slow
def test_a_result_on_other_data_replaces_one_with_a_warning_and_its_head_goes(
    mscol: Command, capsys: pytest.CaptureFixture[str], sounds: Path, tmp_path: Path
) -> None:
    options = ["--seeds", 1, "--device", "cpu", "--classifier", "linear", "-o", "out"]
    probe = ["probe", "folder", "--model", "mini", *options, "--data"]
    assert mscol(*probe, sounds, "--save") == 0
    assert "will replace" not in capsys.readouterr().err
    other = Path(shutil.copytree(sounds, tmp_path / "other"))
    assert mscol(*probe, other) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert f"out has a result on {sounds}, which this one on {other} will replace: use -o" in said
    assert mscol("tag", sounds / "test", "--head", "out") == 4


@pytest.mark.slow
def test_reused_results_with_failed_clips_end_with_the_same_code(
    mscol: Command, sounds: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(sounds, tmp_path / "data"))
    first = next(path for path in sorted(data.rglob("*.wav")) if "train" in path.parts)
    first.write_bytes(b"RIFF, but not really")
    probe = ["probe", "folder", "--model", "mini", "--model", "logmel", "--seeds", 1]
    probe += ["--classifier", "linear", "--device", "cpu", "--data", data, "-o", "table"]
    for again in ([], ["--reuse"]):
        assert mscol(*probe, *again) == 3
        failures = json.loads(Path("table/probes.json").read_text())["failures"]
        assert len(failures) == 2


@pytest.mark.slow
def test_several_models_save_a_head_each_and_reuse_needs_it(
    mscol: Command, capsys: pytest.CaptureFixture[str], sounds: Path, run: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(run, tmp_path / "own", ignore=shutil.ignore_patterns("probes")))
    models = ["--model", own, "--model", "untrained", "--encoder", "small"]
    options = ["--data", sounds, "--seeds", 1, "--device", "cpu", "--protocol", "epochs=1"]
    assert mscol("probe", "folder", *models, *options) == 0
    capsys.readouterr()
    assert mscol("probe", "folder", *models, *options, "--reuse", "--save") == 0
    assert "reused" not in capsys.readouterr().err
    heads = [own / "probes/folder-epochs=1", Path("probes/untrained-small-folder-epochs=1")]
    hashes = [read_head(folder).record.model.hash for folder in heads]
    assert len(set(hashes)) == 2
    assert mscol("probe", "folder", *models, *options, "--reuse", "--save") == 0
    assert capsys.readouterr().err.count("reused") == 2
