"""From a labelled data set and an encoder to a report, with real audio and a fresh encoder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mscol_cli.contracts.progress import Silent
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.probing.cache import cache_folder
from mscol_cli.synthetic import Collection, write_collection
from mscol_cli.workflows.probe import ProbeRequest, ProbeResult, run
from tests.helpers_audio import tones, write_audio

CLASSES = ("hiss", "hum", "silence")


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


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """A small collection in the layouts of the real data sets."""
    root = tmp_path_factory.mktemp("demo") / "collection"
    return write_collection(root, songs=16, tracks=16, seconds=2, notes=24)


def probe(
    task: str = "folder", *options: str, seeds: int = 1, progress: Witness | None = None
) -> ProbeResult:
    request = ProbeRequest(
        task, model="untrained", encoder="small", seeds=seeds, device="cpu", options=options
    )
    return run(request, progress or Witness())


def test_sounds_that_differ_are_told_apart(sounds: Path) -> None:
    result = probe("folder", "valid=0.25", "test=0.25", seeds=2)
    score = result.metrics["accuracy"]
    assert score.value == 1.0
    assert score.low <= score.value <= score.high
    assert list(result.metrics) == ["accuracy", "macro_f1"]
    assert result.counts == {"train": 8, "valid": 4, "test": 4}
    assert len(score.per_seed) == len(result.best_epochs) == 2


def test_the_report_is_written_and_says_what_the_result_says(sounds: Path) -> None:
    result = probe()
    assert result.json_path == Path("probes/untrained-small-folder/probe.json")
    written = json.loads(result.json_path.read_text())
    assert written["metrics"]["accuracy"]["value"] == result.metrics["accuracy"].value
    assert written["options"]["valid"] == 0.15
    assert f"{result.metrics['accuracy'].value:.4f}" in result.markdown_path.read_text()


def test_other_options_have_a_report_of_their_own(sounds: Path) -> None:
    folder = probe("folder", "group=../_").json_path.parent
    assert folder == Path("probes/untrained-small-folder-group=..__")


def test_cached_embeddings_are_not_computed_again(sounds: Path) -> None:
    first = probe()
    written = {path: path.stat().st_mtime_ns for path in cache_folder().iterdir()}
    again = probe()
    assert len(written) == 3
    assert {path: path.stat().st_mtime_ns for path in cache_folder().iterdir()} == written
    assert again.metrics == first.metrics


def test_a_changed_file_is_embedded_again(sounds: Path) -> None:
    probe()
    write_audio(sounds / "hum" / "0.wav", tones(1.6, seed=50))
    probe()
    assert len(list(cache_folder().iterdir())) == 4


def test_a_damaged_cache_is_mended(sounds: Path) -> None:
    first = probe()
    for path in cache_folder().iterdir():
        path.write_bytes(path.read_bytes()[:100])
    assert probe().metrics == first.metrics
    assert all(path.stat().st_size > 100 for path in cache_folder().iterdir())


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
    assert result.classes == 3
    assert result.unscored == ("blank",)
    assert result.metrics["accuracy"].value == 1.0
    assert "bad.wav" in result.markdown_path.read_text()


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


def test_a_test_split_of_one_class_is_an_error(elsewhere: Path) -> None:
    for split, names in (("train", CLASSES), ("valid", CLASSES), ("test", ("hum",))):
        for name in names:
            write_audio(elsewhere / "data" / "folder" / split / name / "clip.wav", tones(1.2))
    with pytest.raises(MissingDataError, match="positives and negatives"):
        probe()


def test_no_data_names_the_folder_looked_for(elsewhere: Path) -> None:
    with pytest.raises(MissingDataError, match="data/fma is no folder"):
        probe("fma")


def test_an_unknown_task_gets_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="Did you mean 'nsynth'"):
        probe("nsinth")


def test_at_least_one_seed_is_needed() -> None:
    with pytest.raises(UsageError, match="--seeds"):
        run(ProbeRequest("folder", seeds=0), Witness())


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
    headline = next(iter(result.metrics.values()))
    assert 0 <= headline.low <= headline.value <= headline.high <= 1


def test_missing_audio_is_counted(collection: Collection, elsewhere: Path) -> None:
    shutil.copytree(collection.nsynth, elsewhere / "data" / "nsynth")
    victim = next((elsewhere / "data/nsynth/nsynth-test/audio").iterdir())
    victim.unlink()
    witness = Witness()
    result = probe("nsynth", progress=witness)
    assert list(result.missing) == [f"nsynth-test/audio/{victim.name}"]
    assert any("1, such as" in warning for warning in witness.warnings)
    assert str(victim.name) in result.markdown_path.read_text()
