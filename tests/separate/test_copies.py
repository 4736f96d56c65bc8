"""`separate --export`: listening copies beside the store, whole, named safely, made once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import openunmix.utils
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from mscol_cli.audio import read_audio
from mscol_cli.contracts.separator import TrackInput
from mscol_cli.errors import BadInputError
from mscol_cli.separate.copies import Copies, copies_folder
from mscol_cli.separate.plan import unique_ids
from mscol_cli.store import SeparatorIdentity, Store
from mscol_cli.store.records import newest, read_tracks
from mscol_cli.synthetic import Collection
from mscol_cli.system.files import inside
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.files import digests, leave_behind
from tests.helpers.messages import mentions
from tests.helpers.openunmix import write_model

SEPARATE = ["separate", "music", "--separator", "stems", "--opt", "names=bass,drums"]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Two tracks of true stems, 44.1 kHz stereo; the second has no drums."""
    write_audio(tmp_path / "music" / "a b" / "bass.wav", 0.4 * tones(1.5, 44100, 2), 44100)
    write_audio(tmp_path / "music" / "a b" / "drums.wav", 0.4 * tones(1.5, 44100, 2, 1), 44100)
    write_audio(tmp_path / "music" / "disc" / "ü..1" / "bass.wav", tones(1.2, 22050), 22050)
    return tmp_path / "music"


def files(folder: Path) -> dict[str, int]:
    """Audio files by their path, and when they were changed."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "stems.jsonl")
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in found}


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "stems.jsonl").read_text().splitlines()]


def snr(estimate: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    noise = np.square(estimate - reference).sum()
    return float(10 * np.log10(np.square(reference).sum() / max(noise, 1e-30)))


@pytest.mark.parametrize(("form", "fidelity"), [("flac", 75), ("wav", 75), ("ogg", 10)])
def test_copies_have_the_separators_own_rate_and_channels(
    mscol: Command, music: Path, tmp_path: Path, form: str, fidelity: float
) -> None:
    assert mscol(*SEPARATE, "--export", form) == 0
    stems = tmp_path / "music-stems"
    assert set(files(stems)) == {
        f"{track}/{source}.{form}" for track in ("a b", "disc/ü..1") for source in ("bass", "drums")
    }
    bass = read_audio(stems / "a b" / f"bass.{form}")
    true = read_audio(music / "a b" / "bass.wav")
    assert (bass.sample_rate, bass.samples.shape) == (44100, true.samples.shape)
    assert snr(bass.samples, true.samples) > fidelity
    absent = read_audio(stems / "disc" / "ü..1" / f"drums.{form}")
    assert (absent.sample_rate, absent.samples.shape) == (22050, (1, 26460))
    assert not absent.samples.any()


@pytest.mark.slow
def test_copies_hold_what_the_network_gave(mscol: Command, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", ("vocals", "drums"))
    song = write_audio(tmp_path / "song.flac", tones(3.0, 44100, 2), 44100)
    options = ["--separator", "openunmix", "--model", model, "--opt", "targets=vocals,drums"]
    assert mscol("separate", song, *options, "-o", "out", "--export", "flac") == 0
    theirs = openunmix.utils.load_separator(str(model), ["vocals", "drums"], niter=1)
    theirs.freeze()
    estimates = theirs(torch.from_numpy(read_audio(song).samples)[None])[0].numpy()
    for name, estimate in zip(("vocals", "drums"), estimates, strict=True):
        copy = read_audio(tmp_path / "out-stems" / "song" / f"{name}.flac")
        assert copy.sample_rate == 44100
        assert snr(copy.samples, estimate) > 50
    assert "vocals sha256" in str(lines(tmp_path / "out-stems")[0]["separator"])


@pytest.mark.slow
def test_copies_are_read_back_as_true_stems(
    collection: Collection, mscol: Command, tmp_path: Path
) -> None:
    assert mscol("separate", collection.stems, "--separator", "stems", "-o", "a.store") == 0
    again = ["separate", collection.stems, "--separator", "stems", "-o", "a.store"]
    assert mscol(*again, "--export", "flac", "--export-dir", "copies") == 0
    assert mscol("separate", "copies", "--separator", "stems", "-o", "b.store") == 0
    first, second = Store.open(tmp_path / "a.store"), Store.open(tmp_path / "b.store")
    assert first.index.track_ids == second.index.track_ids
    for source in range(1, 5):
        waveform = first.waveform(2, source)
        np.testing.assert_allclose(second.waveform(2, source), waveform, atol=1e-4)


def test_a_second_run_writes_nothing(mscol: Command, music: Path, tmp_path: Path) -> None:
    command = [*SEPARATE, "--export", "flac", "--json"]
    assert mscol(*command) == 0
    before = files(tmp_path / "music-stems")
    store = digests(tmp_path / "music.store")
    assert mscol(*command) == 0
    assert files(tmp_path / "music-stems") == before
    assert digests(tmp_path / "music.store") == store


@pytest.mark.slow
def test_only_what_is_missing_is_made_and_the_store_stays(
    mscol: Command, music: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert mscol(*SEPARATE) == 0
    store = digests(tmp_path / "music.store")
    assert mscol(*SEPARATE, "--export", "flac") == 0
    stems = tmp_path / "music-stems"
    before = files(stems)
    (stems / "a b" / "drums.flac").unlink()
    capsys.readouterr()
    assert mscol(*SEPARATE, "--export", "flac", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["done_before"], result["exported"]) == (1, "music-stems")
    after = files(stems)
    assert after.keys() == before.keys()
    assert [name for name in after if after[name] == before[name]] == [
        name for name in before if name.startswith("disc")
    ]
    assert digests(tmp_path / "music.store") == store


def test_copies_whose_tracks_are_separated_again_stay_as_they_are(
    mscol: Command, music: Path, tmp_path: Path
) -> None:
    assert mscol(*SEPARATE, "-o", "a.store", "--export", "wav") == 0
    before, told = files(tmp_path / "a-stems"), lines(tmp_path / "a-stems")
    assert mscol(*SEPARATE, "-o", "b.store", "--export", "wav", "--export-dir", "a-stems") == 0
    assert digests(tmp_path / "a.store") == digests(tmp_path / "b.store")
    assert (files(tmp_path / "a-stems"), lines(tmp_path / "a-stems")) == (before, told)


def test_copies_that_another_worker_wrote_are_not_made_again(
    mscol: Command, music: Path, tmp_path: Path
) -> None:
    assert mscol(*SEPARATE, "--export", "flac") == 0
    folder = tmp_path / "music-stems"
    separator = SeparatorIdentity(
        **json.loads((folder / "stems.jsonl").open().readline())["separator"]
    )
    mine = Copies(tmp_path / "new", "flac", separator, ("bass", "drums"))
    folder.rename(tmp_path / "new")
    records = {track.id: track for track in read_tracks(tmp_path / "music.store" / "tracks.jsonl")}
    stamps = records["a b"].files
    assert not mine.holds("a b", stamps)
    mine.refresh()
    assert mine.holds("a b", stamps)


def test_only_what_was_appended_to_the_manifest_is_read_again(
    mscol: Command, music: Path, tmp_path: Path
) -> None:
    assert mscol(*SEPARATE, "--export", "flac") == 0
    manifest = tmp_path / "music-stems" / "stems.jsonl"
    first, *tracks = manifest.read_bytes().splitlines(keepends=True)
    manifest.write_bytes(first + tracks[0])
    separator = SeparatorIdentity(**json.loads(first)["separator"])
    copies = Copies(manifest.parent, "flac", separator, ("bass", "drums"))
    manifest.write_bytes(b"?" * manifest.stat().st_size + tracks[1])
    copies.refresh()
    stored = newest(read_tracks(tmp_path / "music.store" / "tracks.jsonl"))
    assert all(copies.holds(name, track.files) for name, track in stored.items())


def test_the_space_for_copies_follows_the_channels_of_the_separator(
    mscol: Command, tmp_path: Path, capsys: Capture
) -> None:
    write_audio(tmp_path / "music" / "mono.wav", tones(1.0, 44100), 44100)
    model = ("--model", write_model(tmp_path / "stereo"), "--opt", "niter=0", "--export", "wav")
    assert mscol("separate", "music", *model, "--dry-run", "--json") == 0
    needed = json.loads(capsys.readouterr().out)["bytes_needed"]
    assert needed["music-stems"] == 2 * 2 * 4 * 44_100


def test_the_disk_has_room_for_the_store_and_its_copies_together(
    mscol: Command, music: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    export = [*SEPARATE, "--export", "wav", "--json"]
    assert mscol(*export, "--dry-run") == 0
    store, copies = json.loads(capsys.readouterr().out)["bytes_needed"].values()
    room = store + copies - 1
    monkeypatch.setattr("mscol_cli.separate.estimate.free_bytes", lambda _: room)
    assert mscol(*export) == 1
    assert "music.store and music-stems need " in capsys.readouterr().err
    assert mscol(*SEPARATE) == 0
    capsys.readouterr()
    assert mscol(*export, "--dry-run") == 0  # the tracks are in the store
    assert list(json.loads(capsys.readouterr().out)["bytes_needed"].values()) == [0, copies]


def test_a_changed_input_gets_new_copies_even_after_a_run_without_any(
    mscol: Command, music: Path, tmp_path: Path
) -> None:
    assert mscol(*SEPARATE, "--export", "flac") == 0
    changed = write_audio(music / "a b" / "bass.wav", 0.4 * tones(2.0, 44100, 2, 7), 44100)
    assert mscol(*SEPARATE) == 0
    assert mscol(*SEPARATE, "--export", "flac") == 0
    copy = read_audio(tmp_path / "music-stems" / "a b" / "bass.flac")
    assert snr(copy.samples, read_audio(changed).samples) > 75


def test_loud_sources_are_turned_down_together(
    mscol: Command, tmp_path: Path, capsys: Capture
) -> None:
    bass, drums = tones(1.5), tones(1.5, seed=1)
    bass *= 2.0 / np.abs(bass).max()
    write_audio(tmp_path / "music" / "loud" / "bass.wav", bass)
    write_audio(tmp_path / "music" / "loud" / "drums.wav", drums)
    assert mscol(*SEPARATE, "--export", "flac") == 0
    assert "1 track " in capsys.readouterr().err
    assert lines(tmp_path / "music-stems")[1]["gain"] == pytest.approx(0.5)
    for name, true in (("bass", bass), ("drums", drums)):
        copy = read_audio(tmp_path / "music-stems" / "loud" / f"{name}.flac").samples
        np.testing.assert_allclose(copy, 0.5 * true, atol=2 / 32768)
    store = Store.open(tmp_path / "music.store")
    assert store.peak(0) == pytest.approx(np.abs(bass + drums).max(), rel=1e-3)


@pytest.mark.slow
@pytest.mark.processes
def test_a_killed_run_leaves_whole_files_and_is_gone_on_with(
    collection: Collection, mscol: Command, tmp_path: Path
) -> None:
    command = ["separate", str(collection.stems), "--separator", "stems", "-o", "out.store"]
    command += ["--export", "flac"]
    stems = tmp_path / "out-stems"
    for patience in (1, 3):
        process = subprocess.Popen([sys.executable, "-m", "mscol_cli", *command], cwd=tmp_path)
        deadline = time.monotonic() + 60
        while len(list(stems.rglob("*.flac"))) < 4 * patience - 1 and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
        for path in stems.rglob("[!.]*.flac"):
            assert len(soundfile.read(path)[0]) == 80_000
    (stems / "train").mkdir(exist_ok=True)
    first = min(path.name for path in collection.stems.glob("train/*"))
    leftover = leave_behind(stems / "train" / first / "bass.flac")
    write_audio(leftover, tones(0.1))
    (stems / "train" / first / "bass.flac").unlink(missing_ok=True)
    assert mscol(*command) == 0
    assert not leftover.exists()
    assert {len(soundfile.read(path)[0]) for path in stems.rglob("*.flac")} == {80_000}
    assert len(files(stems)) == 4 * len(Store.open(tmp_path / "out.store").index.track_ids)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
def test_a_disk_that_fills_up_leaves_no_part_of_a_file(music: Path, tmp_path: Path) -> None:
    """The system cuts off every file of the process at 100 kB, as a full disk would."""
    program = (
        "import resource, sys\nfrom mscol_cli.app import run\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\nsys.exit(run(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, *SEPARATE, "--export", "wav"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert mentions(done.stderr, "error: ", "music-stems", "File too large")
    assert files(tmp_path / "music-stems") == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--export", "mp3"], "--export takes flac, wav, ogg, not 'mp3'"),
        (["--export-dir", "x"], "--export-dir x needs --export"),
        (["--export", "wav", "--export-dir", "music"], "would mix with music"),
        (["--export", "wav", "--export-dir", "music/x"], "would mix with music"),
        (["--export", "wav", "--export-dir", "."], "would mix with music"),
        (["--export", "wav", "--export-dir", "music.store"], "would mix with music.store"),
        (["--export", "wav", "--export-dir", "other"], "not empty"),
        (["--export", "wav", "--export-dir", "thesis.txt"], "thesis.txt is a file"),
        (["--export", "wav", "--export-dir", "torn"], "stems.jsonl"),
    ],
)
def test_a_bad_place_or_format_is_refused_before_anything_is_written(
    mscol: Command, music: Path, tmp_path: Path, options: list[str], message: str, capsys: Capture
) -> None:
    write_audio(tmp_path / "other" / "a b" / "bass.wav", tones(1.0))
    (tmp_path / "thesis.txt").write_text("important")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "stems.jsonl").write_text("[]\n")
    before = digests(tmp_path)
    assert mscol(*SEPARATE, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert digests(tmp_path) == before


def test_copies_lie_beside_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def place(store: Path) -> Path | None:
        return copies_folder("flac", None, (Path("music"),), store)

    monkeypatch.chdir(tmp_path)
    assert place(Path("a/b.store")) == Path("a/b-stems")
    assert place(Path("a/b.c")) == Path("a/b.c-stems")
    assert place(Path()) == tmp_path.with_name(f"{tmp_path.name}-stems")


def test_copies_by_another_separator_are_refused(
    mscol: Command, music: Path, capsys: Capture
) -> None:
    assert mscol(*SEPARATE, "--export", "flac") == 0
    other = ["separate", "music", "--separator", "stems", "-o", "b.store", "--export", "flac"]
    assert mscol(*other, "--export-dir", "music-stems") == 2
    assert "(names bass,drums -> " in capsys.readouterr().err


def test_a_separator_without_sources_has_none_to_copy(
    mscol: Command, music: Path, capsys: Capture
) -> None:
    assert mscol("separate", "music", "--separator", "none", "--export", "flac") == 2
    assert "makes no sources" in capsys.readouterr().err


def test_a_track_whose_name_or_channels_do_not_fit_is_skipped(
    mscol: Command, music: Path, tmp_path: Path, capsys: Capture
) -> None:
    write_audio(music / "wide" / "bass.wav", tones(1.2, channels=9))
    assert mscol(*SEPARATE, "--export", "flac") == 3
    assert mentions(capsys.readouterr().err, "FLAC", "9 channels")
    assert Store.open(tmp_path / "music.store").index.track_ids == ("a b", "disc/ü..1")
    (tmp_path / "music-stems" / "wide").unlink(missing_ok=True)
    (tmp_path / "music-stems" / "wide").touch()
    assert mscol(*SEPARATE, "--export", "wav") == 3
    assert "wide: " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../x", "/abs", "a//b", "a/../b", "", ".", "a/.", "a\0b"])
def test_a_name_that_leads_elsewhere_is_no_track_and_no_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="of a file inside"):
        inside(tmp_path, name)
    if "\0" not in name:  # which no file can have
        assert "not a relative path" in str(unique_ids([TrackInput(name)])[0].problem)


@pytest.mark.parametrize("name", ["a", "a/b c", "..a/b..", "ü/~/-x", "...", "a\nb"])
def test_any_other_name_stays_inside(name: str, tmp_path: Path) -> None:
    assert unique_ids([TrackInput(name)])[0].problem is None
    assert inside(tmp_path, name).relative_to(tmp_path).as_posix() == name
