"""separate: from a folder of files to a sealed store, whatever is in the folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import openunmix.utils
import pytest
import torch
from numpy.typing import NDArray

from mscol_cli.audio import read_audio, resample
from mscol_cli.contracts.progress import Silent
from mscol_cli.errors import BadInputError, Interrupted, MissingDataError, UsageError
from mscol_cli.separate.request import SeparateRequest
from mscol_cli.separate.workflow import SeparateResult, run
from mscol_cli.store import Store
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.messages import mentions
from tests.helpers.openunmix import write_model


@dataclass
class Heard(Silent):
    """Keeps what is said; Ctrl-C comes after `patience` tracks were separated."""

    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    patience: int = 1000
    total: int | None = 0
    skipped: int = 0
    advanced: int = 0

    def begin(self, title: str, total: int | None, unit: str) -> None:
        self.total = total

    def skip(self, amount: int) -> None:
        self.skipped += amount

    def note(self, message: str) -> None:
        self.notes.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def advance(self, amount: int = 1, **fields: str) -> None:
        self.advanced += amount
        if "failed" in fields:
            self.patience -= 1
        if self.patience == 0:
            raise KeyboardInterrupt


def separate(
    *inputs: Path,
    output: Path | None = None,
    separator: str = "none",
    options: tuple[str, ...] = (),
    model: Path | None = None,
    heard: Heard | None = None,
) -> SeparateResult:
    chosen = None if model is None else str(model)
    request = SeparateRequest(inputs, output, separator, chosen, "cpu", options)
    return run(request, heard or Heard())


def write_music(folder: Path, count: int = 3) -> Path:
    for number in range(count):
        write_audio(folder / f"{number}.wav", tones(1.5 + number, seed=number))
    return folder


def content(path: Path) -> dict[str, bytes]:
    files = (file for file in sorted(path.rglob("*")) if file.is_file())
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


def snr(estimate: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    noise = np.square(estimate - reference).sum()
    return float(10 * np.log10(np.square(reference).sum() / noise))


def test_a_folder_becomes_a_store_beside_it(tmp_path: Path) -> None:
    music = write_music(tmp_path / "music")
    result = separate(music)
    store = Store.open(tmp_path / "music.store")
    assert (result.store, result.tracks, result.done_before) == (store.path, 3, 0)
    assert store.index.track_ids == ("0", "1", "2")
    assert snr(store.waveform(1), tones(2.5, seed=1)[0]) > 80
    assert result.hours == pytest.approx(7.5 / 3600, abs=1e-6)
    assert result.active == {"mixture": 1.0}


def test_every_kind_of_bad_file_is_reported_and_skipped(tmp_path: Path) -> None:
    music = write_music(tmp_path / "music", 1)
    (music / "empty.wav").touch()
    (music / "text.wav").write_text("not music " * 100)
    cut = write_audio(music / "cut.flac", tones(2.0))
    cut.write_bytes(cut.read_bytes()[:5000])
    broken = tones(2.0)
    broken[0, 9] = np.nan
    write_audio(music / "nan.wav", broken)
    write_audio(music / "short.wav", tones(0.9))
    heard = Heard()
    result = separate(music, heard=heard)
    assert result.tracks == 1
    assert [name for name, _ in result.failures] == ["cut", "empty", "nan", "short", "text"]
    reasons = dict(result.failures)
    assert mentions(reasons["short"], "0.900 s", "0.995 s")
    assert all(str(music) in reason and "\n" not in reason for reason in reasons.values())
    assert heard.warnings == [f"skipped {reason}" for reason in reasons.values()]


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 6), (96000, 2)])
def test_any_rate_and_channel_count_is_taken(tmp_path: Path, rate: int, channels: int) -> None:
    write_audio(tmp_path / "music" / "a.wav", tones(2.0, rate, channels), rate)
    separate(tmp_path / "music")
    assert Store.open(tmp_path / "music.store").waveform(0).shape == (32000,)


def test_nothing_usable_seals_nothing(tmp_path: Path) -> None:
    music = tmp_path / "music"
    write_audio(music / "short.wav", tones(0.5))
    heard = Heard()
    with pytest.raises(BadInputError, match="one crop needs"):
        separate(music, heard=heard)
    assert not heard.warnings  # the error has the reason
    (music / "empty.wav").touch()
    with pytest.raises(BadInputError, match="of 2 inputs"):
        separate(music)
    assert not (tmp_path / "music.store").exists()


def test_a_finished_store_is_left_alone(tmp_path: Path) -> None:
    music = write_music(tmp_path / "music")
    (music / "empty.wav").touch()
    separate(music)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "music.store").rglob("*")}
    again = separate(music)
    assert (again.tracks, again.done_before, len(again.failures)) == (3, 3, 1)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_new_changed_and_removed_files_are_noticed(tmp_path: Path) -> None:
    music = write_music(tmp_path / "music")
    separate(music)
    write_audio(music / "1.wav", tones(4.0, seed=7))
    write_audio(music / "new.wav", tones(1.5, seed=8))
    (music / "0.wav").unlink()
    os.utime(music / "2.wav", (1, 1))
    heard = Heard()
    result = separate(music, heard=heard)
    store = Store.open(tmp_path / "music.store")
    assert (result.tracks, result.done_before) == (4, 1)
    assert mentions(heard.notes[0], "2 tracks", "1 ", "5.5 s")
    assert mentions(heard.notes[-1], "1 track ", str(store.path), "such as 0")
    assert snr(store.waveform(1), tones(4.0, seed=7)[0]) > 80


def test_new_tracks_of_a_sealed_store_end_its_unfinished_runs_with_a_note(tmp_path: Path) -> None:
    music = write_music(tmp_path / "music", 1)
    (music / "bad.wav").write_bytes(b"no audio")

    def is_noted() -> bool:
        heard = Heard()
        separate(music, heard=heard)
        return any("no longer be resumed" in note for note in heard.notes)

    assert not is_noted()  # a new store
    assert not is_noted()  # only the failure is tried again
    write_audio(music / "new.wav", tones(1.5))
    assert is_noted()


def test_an_interrupted_run_is_gone_on_with(tmp_path: Path) -> None:
    music = write_music(tmp_path / "music", 4)
    output = tmp_path / "b.store"
    with pytest.raises(Interrupted, match="same command"):
        separate(music, output=output, heard=Heard(patience=2))
    with pytest.raises(MissingDataError, match="is not finished"):
        Store.open(output)
    heard = Heard()
    assert separate(music, output=output, heard=heard).done_before == 2
    assert (heard.total, heard.skipped, heard.advanced) == (4, 2, 2)
    separate(music)
    assert content(output) == content(tmp_path / "music.store")
    write_audio(music / "new.wav", tones(1.5))
    heard = Heard()
    separate(music, output=output, heard=heard)
    assert (heard.total, heard.skipped, heard.advanced) == (5, 4, 1)


def test_inputs_that_moved_since_an_interruption_are_read_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_music(tmp_path / "before" / "music", 4)
    output = tmp_path / "a.store"
    monkeypatch.chdir(tmp_path / "before")
    with pytest.raises(Interrupted):
        separate(Path("music"), output=output, heard=Heard(patience=2))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "before").rename("after")
    write_music(tmp_path / "music", 1)  # has the old relative path, and must not be read
    result = separate(Path("after/music"), output=output)
    assert (result.tracks, result.failures) == (4, [])


def test_failures_before_an_interruption_are_named_again(tmp_path: Path) -> None:
    music = write_music(tmp_path / "music", 9)
    (music / "0.wav").write_text("not music " * 100)
    with pytest.raises(Interrupted):  # after the first unit, of eight tracks
        separate(music, heard=Heard(patience=9))
    heard = Heard()
    result = separate(music, heard=heard)
    assert [name for name, _ in result.failures] == ["0"]
    assert heard.warnings == [f"skipped {result.failures[0][1]}"]


def test_interrupted_copies_of_a_finished_store_are_not_made_twice(tmp_path: Path) -> None:
    for number in range(4):
        write_audio(tmp_path / "music" / str(number) / "bass.wav", tones(1.5, seed=number))
    stems = SeparateRequest((tmp_path / "music",), separator="stems", device="cpu")
    run(stems, Silent())
    before = content(tmp_path / "music.store")
    copies = replace(stems, export="wav")
    with pytest.raises(Interrupted):
        run(copies, Heard(patience=2))
    without = Heard()
    run(stems, without)  # asks for no copies: nothing is left to do
    assert (without.advanced, without.skipped) == (0, 4)
    heard = Heard()
    run(copies, heard)
    assert (heard.advanced, heard.skipped) == (2, 2)
    manifest = (tmp_path / "music-stems" / "stems.jsonl").read_text().splitlines()
    assert len(manifest) == 1 + 4
    assert content(tmp_path / "music.store") == before


def test_another_separator_or_option_is_refused(tmp_path: Path) -> None:
    music = tmp_path / "music"
    write_audio(music / "a" / "bass.wav", tones(1.5))
    separate(music, separator="stems")
    with pytest.raises(UsageError, match="separator stems -> none"):
        separate(music)
    with pytest.raises(UsageError, match=r"names vocals,drums,bass,other -> bass\)"):
        separate(music, separator="stems", options=("names=bass",))


def test_two_inputs_with_a_track_of_one_id_are_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        write_audio(folder / "01.wav", tones(1.5))
    with pytest.raises(UsageError, match=rf"{one}/01.wav and {two}/01.wav"):
        separate(one, two, output=tmp_path / "a.store")
    assert not (tmp_path / "a.store").exists()
    (two / "01.wav").rename(two / "02.wav")
    separate(one, two, output=tmp_path / "a.store")
    assert Store.open(tmp_path / "a.store").index.track_ids == ("01", "02")


def test_stems_of_unequal_rates_and_lengths_are_aligned(tmp_path: Path) -> None:
    track = tmp_path / "music" / "song"
    write_audio(track / "bass.wav", 0.3 * tones(2.0, 44100, 2), 44100)
    write_audio(track / "drums.wav", 0.3 * tones(1.5, 22050, seed=1), 22050)
    (tmp_path / "music" / "rest").mkdir()
    write_audio(tmp_path / "music" / "rest" / "guitar.wav", tones(2.0))
    result = separate(tmp_path / "music", separator="stems")
    store = Store.open(result.store)
    assert store.index.sources == ("mixture", "vocals", "drums", "bass", "other")
    mixture, vocals, drums, bass, _ = (store.waveform(0, source) for source in range(5))
    assert mixture.shape == (32000,)
    assert snr(drums + bass, mixture) > 60
    assert not vocals.any()
    assert not drums[24100:].any()
    assert [name for name, _ in result.failures] == ["rest"]
    assert result.active["vocals"] == 0.0


@pytest.mark.slow
def test_openunmix_stems_reach_the_store_as_the_package_makes_them(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", ("vocals", "drums"))
    song = write_audio(tmp_path / "song.flac", tones(3.0, 44100, 2), 44100)
    options = ("targets=vocals,drums", "niter=1")
    output = tmp_path / "a.store"
    separate(song, output=output, separator="openunmix", options=options, model=model)
    store = Store.open(output)
    theirs = openunmix.utils.load_separator(str(model), ["vocals", "drums"], niter=1)
    theirs.freeze()
    estimates = theirs(torch.from_numpy(read_audio(song).samples)[None])[0]
    expected = resample(estimates.mean(dim=1), 44100, 16000).numpy()
    assert store.index.sources == ("mixture", "vocals", "drums")
    assert snr(store.waveform(0, 1), expected[0]) > 60
    assert snr(store.waveform(0, 2), expected[1]) > 60
    assert "vocals sha256" in store.header.separator.passport


def test_files_of_one_name_keep_apart(tmp_path: Path) -> None:
    music = tmp_path / "music"
    for number, suffix in enumerate(("wav", "flac")):
        write_audio(music / f"song.{suffix}", tones(1.5, seed=number))
    separate(music)
    store = Store.open(tmp_path / "music.store")
    assert store.index.track_ids == ("song.flac", "song.wav")


def test_a_store_inside_an_input_is_told_and_not_read(tmp_path: Path) -> None:
    music = write_music(tmp_path / "music", 1)
    output = music / "x.store"
    heard = Heard()
    assert separate(music, output=output, heard=heard).tracks == 1
    write_audio(output / "export" / "0.wav", tones(1.5))
    assert separate(music, output=output).tracks == 1
    assert "lies inside an input" in heard.notes[0]


def test_where_the_store_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    music = write_music(tmp_path / "music", 1)
    (tmp_path / "link").symlink_to(music)
    assert separate(tmp_path / "link").store == tmp_path / "link.store"
    monkeypatch.chdir(music)
    assert separate(Path()).store == tmp_path / "music.store"
    with pytest.raises(UsageError, match="is an input too"):
        separate(music, output=music)
    with pytest.raises(MissingDataError, match="no such file or folder"):
        separate(tmp_path / "gone")


def test_one_file_has_a_store_beside_it(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.b.wav", "c.wav"):
        write_audio(tmp_path / "music" / name, tones(2.0))
    assert mscol("separate", "music/a.b.wav", "--separator", "none") == 0
    assert Store.open(tmp_path / "music" / "a.b.store").index.track_ids == ("a.b",)
    assert mscol("separate", "music/a.b.wav", "music/c.wav", "--separator", "none") == 2
    assert mentions(capsys.readouterr().err, "-o STORE")
    assert mscol("separate", "missing.wav", "--separator", "none") == 4
