"""Names that are not UTF-8, pipes, folders without permission: commands read or name them."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mscol_cli.engine.waveforms import Waveform, load_waveform
from mscol_cli.errors import UnreadableInputError
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.files import without_root_rights

LATIN_1 = os.fsdecode(b"caf\xe9")
ESCAPED = "caf\\udce9"
UNTRAINED = ("--model", "untrained", "--encoder", "small", "--device", "cpu")
PROBE = ("probe", "folder", "--data", "data", "--seeds", 1, *UNTRAINED)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two classes of five clips; a class and a clip have names that are not UTF-8."""
    for label in ("a", "b"):
        for number in range(5):
            write_audio(tmp_path / "data" / label / f"{number}.wav", tones(1.1, seed=number))
        (tmp_path / "data" / label / "4.wav").rename(tmp_path / "data" / label / f"{LATIN_1}.wav")
    return (tmp_path / "data" / "b").rename(tmp_path / "data" / LATIN_1).parent


@pytest.mark.slow
def test_names_that_are_not_utf8_go_through_every_command(
    mscol: Command, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("separate", data, "--separator", "none", "-o", "a.store") == 0
    for command in ("ls", "manifest", "info", "verify"):
        assert mscol("store", command, "a.store") == 0
    assert mscol("store", "export", "a.store", f"a/{LATIN_1}", "-o", "out") == 0
    assert Path(f"out/a/{LATIN_1}/mixture.flac").is_file()
    assert mscol("embed", data, "-o", "a.csv", *UNTRAINED) == 0
    assert b"caf\xe9/caf\xe9.wav" in Path("a.csv").read_bytes()
    capsys.readouterr()
    assert mscol("embed", data / "a" / f"{LATIN_1}.wav", "-o", f"{LATIN_1}.npz", *UNTRAINED) == 0
    assert capsys.readouterr().out.startswith(f"{ESCAPED}.npz: 1 clip,")


@pytest.mark.slow
@pytest.mark.usefixtures("draft_pictures")
def test_a_probe_and_a_report_name_classes_that_are_not_utf8(
    mscol: Command, data: Path, trained: Path
) -> None:
    assert mscol(*PROBE) == 0
    found = Path("probes/untrained-small-folder")
    assert json.loads((found / "probe.json").read_text(encoding="utf-8"))["classes"][1] == LATIN_1
    assert ESCAPED in (found / "probe.md").read_text(encoding="utf-8")
    assert mscol("report", trained, "--probes", "probes", "-o", "report", "--neighbours", 0) == 0
    assert ESCAPED in Path("report/report.html").read_text(encoding="utf-8")


def test_a_pipe_and_a_link_to_a_device_are_named_and_never_opened(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_audio(tmp_path / "music" / "fine.wav", tones(2.0))
    os.mkfifo(tmp_path / "music" / "radio.wav")
    (tmp_path / "music" / "zero.wav").symlink_to("/dev/zero")
    assert mscol("separate", "music", "--separator", "none") == 3
    assert mscol("separate", "music", "--separator", "none", "--retry-failed") == 3
    assert mscol("embed", "music", "-o", "out.npz", *UNTRAINED) == 3
    assert json.loads(Path("music.store/store.json").read_text())["sealed"]
    errors = capsys.readouterr().err
    assert errors.count("radio.wav: ") == 3
    assert errors.count("zero.wav: ") == 3


def test_an_unreadable_argument_does_not_keep_the_others_from_being_processed(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_audio(tmp_path / "fine.wav", tones(2.0))
    for name in ("secret.wav", "locked/x.wav"):
        write_audio(tmp_path / name, tones(2.0))
    for link, target in (("one.wav", "two.wav"), ("two.wav", "one.wav"), ("away.wav", "gone.wav")):
        (tmp_path / link).symlink_to(target)
    (tmp_path / "secret.wav").chmod(0)
    (tmp_path / "locked").chmod(0)
    inputs = ("secret.wav", "locked/x.wav", "one.wav", "away.wav", "fine.wav")
    with without_root_rights():
        assert mscol("separate", *inputs, "--separator", "none", "-o", "a.store") == 3
        assert mscol("embed", *inputs, "locked", "-o", "out.npz", *UNTRAINED) == 3
    (tmp_path / "locked").chmod(0o755)
    errors = capsys.readouterr().err
    for reason in ("secret.wav: no permission", "x.wav: no permission", "one.wav: ", "away.wav: "):
        assert errors.count(reason) == 2
    assert np.load("out.npz")["ids"].tolist() == ["fine.wav"]


@pytest.mark.slow
def test_a_folder_that_cannot_be_listed_is_named_by_every_command(
    mscol: Command, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locked = data / "a" / "locked"
    write_audio(locked / "x.wav", tones(2.0))
    locked.chmod(0)
    with without_root_rights():
        assert mscol("separate", "data", "--separator", "none") == 3
        assert mscol("embed", "data", "-o", "out.npz", *UNTRAINED) == 3
        assert mscol(*PROBE) == 3
    locked.chmod(0o755)
    reason = "data/a/locked: "
    assert capsys.readouterr().err.count(reason) == 3
    assert mscol("separate", "data", "--separator", "none", "--retry-failed") == 0
    assert "a/locked/x" in (data.parent / "data.store" / "tracks.jsonl").read_text()


@pytest.mark.slow
def test_a_failure_that_the_cache_of_embeddings_holds_is_tried_again(
    mscol: Command, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(path: Path, sample_rate: int, warn: Callable[[str], None]) -> Waveform:
        if path.name == "1.wav":
            raise UnreadableInputError(f"{path}: the disk is away")
        return load_waveform(path, sample_rate, warn)

    with monkeypatch.context() as away:
        away.setattr("mscol_cli.probe.cache.load_waveform", failing)
        assert mscol(*PROBE, "-o", "first") == 3
    assert mscol(*PROBE, "-o", "second") == 0
    assert capsys.readouterr().err.count("the disk is away") == 2
    first, second = (
        json.loads(Path(name, "probe.json").read_text())["counts"] for name in ("first", "second")
    )
    assert (sum(first.values()), sum(second.values())) == (8, 10)


@pytest.mark.parametrize(
    ("separator", "code"), [(["none"], 0), (["openunmix", "--model", "mini"], 2), (["stems"], 0)]
)
def test_folders_that_look_like_true_stems_are_pointed_out(
    mscol: Command,
    tmp_path: Path,
    separator: list[str],
    code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("bass", "drums", "vocals"):
        write_audio(tmp_path / "music" / "song" / f"{name}.flac", tones(1.1))
    assert mscol("separate", "music", "--separator", *separator, "--dry-run") == code
    pointed_out = "looks like true stems (bass.flac, drums.flac" in capsys.readouterr().err
    assert pointed_out == (separator != ["stems"])


def test_true_stems_beside_mixtures_are_a_note(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("song/bass", "song/drums", "mix"):
        write_audio(tmp_path / "music" / f"{name}.flac", tones(1.1))
    assert mscol("separate", "music", "--model", "mini", "--dry-run") == 0
    assert "--separator stems" in capsys.readouterr().err
