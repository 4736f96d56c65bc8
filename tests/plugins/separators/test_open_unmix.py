"""`openunmix`: the package's own output, with weights that are found, checked and named."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import openunmix.utils
import pytest
import torch

from mscol_cli.api import MissingDataError, SeparatorContext, UsageError
from mscol_separators.open_unmix import OpenUnmixSeparator
from mscol_separators.options import STEMS, OpenUnmixOptions
from mscol_separators.precision import pick_precision
from tests.conftest import Command, Offer
from tests.helpers.audio import tones, write_audio
from tests.helpers.downloads import Server, contents, remote
from tests.helpers.messages import mentions
from tests.helpers.openunmix import write_model

TARGETS = ("vocals", "drums")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny", TARGETS)


def build(model: Path | str | None, **options: object) -> OpenUnmixSeparator:
    chosen = OpenUnmixOptions(**{"targets": TARGETS, **options})  # type: ignore[arg-type]
    return OpenUnmixSeparator(chosen, SeparatorContext(model=None if model is None else str(model)))


def snr(estimate: torch.Tensor, reference: torch.Tensor) -> float:
    noise = (estimate.double() - reference.double()).square().sum()
    return float(10 * torch.log10(reference.double().square().sum() / noise.clamp_min(1e-30)))


def theirs(
    folder: Path, mixture: torch.Tensor, niter: int, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """(targets, channels, samples) by the package's own separator."""
    separator = openunmix.utils.load_separator(str(folder), list(STEMS), niter=niter)
    separator.freeze()
    audio = openunmix.utils.preprocess(mixture, 44100, 44100)
    with torch.no_grad():
        found: torch.Tensor = separator.to(dtype)(audio.to(dtype))[0]
    return found


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "four", STEMS)


@pytest.fixture(scope="module")
def alike(four: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose masks of the two channels are nearly the same, as those of trained ones are."""
    folder = tmp_path_factory.mktemp("models") / "alike"
    shutil.copytree(four, folder)
    for path in folder.glob("*.pth"):
        state = torch.load(path, weights_only=True)
        for name in ("fc3.weight", "bn3.weight", "bn3.bias"):
            half = len(state[name]) // 2
            state[name][half:] = state[name][:half]
        state["fc3.weight"] *= 1 + 0.03 * torch.randn(state["fc3.weight"].shape)
        torch.save(state, path)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("niter", "seconds"),
    # The filter has windows of 7 s; its iterations are the slow part.
    [(0, 0.1), (0, 1.0), (0, 8.0), (1, 0.1), (1, 1.0), (1, 8.0), (2, 0.1), (2, 1.0)],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_stems_are_those_of_the_package(
    four: Path, channels: int, niter: int, seconds: float
) -> None:
    mixture = torch.from_numpy(tones(seconds, 44100, channels))
    stems = build(four, targets=(), niter=niter).separate({"mixture": mixture})
    assert torch.equal(stems["mixture"], mixture)
    for name, expected in zip(STEMS, theirs(four, mixture, niter), strict=True):
        # Mono is nearly singular, which costs the package itself some digits.
        assert snr(stems[name], expected) > (75 if channels == 1 else 110)


@pytest.mark.slow
@pytest.mark.parametrize("niter", [1, 2])
@pytest.mark.parametrize("channels", [1, 2])
def test_channels_that_are_alike_cost_no_digits(alike: Path, channels: int, niter: int) -> None:
    """The package's filter in single precision is far from itself in double precision there."""
    mixture = torch.from_numpy(tones(2.0, 44100))
    if channels == 2:
        mixture = torch.cat([mixture, 0.9 * mixture + 1e-3 * torch.randn_like(mixture)])
    stems = build(alike, targets=(), niter=niter).separate({"mixture": mixture})
    single = theirs(alike, mixture, niter)
    for number, exact in enumerate(theirs(alike, mixture, niter, torch.float64)):
        mine = snr(stems[STEMS[number]], exact)
        assert mine > 50
        assert not mine < snr(single[number], exact) + 10


@pytest.mark.slow
def test_tracks_of_one_batch_do_not_hear_each_other(folder: Path) -> None:
    lengths, separator = [(3.0, 2), (1.0, 1), (0.7, 2), (3.0, 1), (2.2, 2)], build(folder)
    batch = [
        {"mixture": torch.from_numpy(tones(seconds, 44100, channels, seed=number))}
        for number, (seconds, channels) in enumerate(lengths)
    ]
    for audio, together in zip(batch, separator.separate_many(batch), strict=True):
        alone = separator.separate(audio)
        assert all(snr(together[name], alone[name]) > 90 for name in TARGETS)


def test_loud_mixtures_are_scaled_as_in_the_package(four: Path) -> None:
    mixture = 20 * torch.from_numpy(tones(1.0, 44100, 2))
    stems = build(four, targets=(), niter=1).separate({"mixture": mixture})
    for name, expected in zip(STEMS, theirs(four, mixture, 1), strict=True):
        assert snr(stems[name], expected) > 100


def test_chunks_begin_where_windows_of_the_filter_do(folder: Path) -> None:
    separator = build(folder)
    assert separator.chunking is not None
    assert separator.chunking.step % (300 * 1024) == 0
    assert separator.chunking.samples / 44100 == pytest.approx(62.7, abs=0.1)


@pytest.mark.slow
def test_the_distance_of_chunks_from_the_whole_is_measured(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_audio(tmp_path / "a.wav", tones(12.0))
    options = ["--model", "mini", "--opt", "niter=0", "--opt", "wiener_win_len=10"]
    command = ["separate", "--check-chunking", "a.wav", *options]
    assert mscol(*command, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["chunks"], found["seconds"]) == (6, 12.0)
    assert all(5 < found["snr_db"][name] < 100 for name in ("vocals", "drums", "bass", "other"))
    assert mscol(*command) == 0
    assert "at once: vocals " in capsys.readouterr().out
    assert mscol("separate", "--check-chunking", "a.wav", "--model", "mini") == 2
    assert "fits into one chunk" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_six_channels_are_heard_as_their_mean(folder: Path) -> None:
    six = torch.from_numpy(tones(1.0, 44100, 6))
    separator = build(folder, niter=0)
    mono = separator.separate({"mixture": six.mean(dim=0, keepdim=True)})
    assert torch.equal(separator.separate({"mixture": six})["vocals"], mono["vocals"])


def test_a_one_channel_network_of_other_frames_works(tmp_path: Path) -> None:
    model = write_model(tmp_path, TARGETS, n_fft=1024, n_hop=512, channels=1)
    stems = build(model).separate({"mixture": torch.from_numpy(tones(1.0, 44100, 2))})
    assert stems["drums"].shape == (1, 44100)


def test_the_passport_names_weights_by_hash(folder: Path) -> None:
    passport = build(folder).passport
    assert passport["model"] == "folder tiny"
    assert len(passport["vocals sha256"]) == 64
    assert passport["network"].startswith("openunmix ")


def test_what_cannot_be_asked_for_is_said(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"'umxxl': .*umxl, umxhq"):
        build("umxxl")
    with pytest.raises(UsageError, match="'guitar'"):
        build("umxl", targets=("guitar", "bass"))
    with pytest.raises(UsageError, match="niter=0"):
        build(folder, targets=("vocals",))
    with pytest.raises(MissingDataError, match=r"guitar\.json"):
        build(folder, targets=("vocals", "guitar"))


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    model = write_model(tmp_path, TARGETS)
    mixture = {"mixture": torch.from_numpy(tones(1.0, 44100))}
    state = torch.load(model / "drums.pth", weights_only=True)
    del state["fc1.weight"]
    torch.save(state, model / "drums.pth")
    with pytest.raises(MissingDataError, match=r"drums\.pth .*fc1\.weight"):
        build(model).separate(mixture)
    (model / "drums.pth").write_bytes(b"garbage")
    with pytest.raises(MissingDataError, match=r"drums\.pth"):
        build(model).separate(mixture)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    model = write_model(tmp_path, TARGETS)
    torch.save({"input_mean": Path("/")}, model / "vocals.pth")
    with pytest.raises(MissingDataError, match=r"vocals\.pth"):
        build(model).separate({"mixture": torch.from_numpy(tones(1.0, 44100))})


@pytest.fixture
def cache(
    server: Server, offer: Offer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """torch.hub's folder, empty, and a table whose `umxl` is the tiny model on the server."""
    files = []
    for target in TARGETS:
        content = (folder / f"{target}.pth").read_bytes()
        digits = hashlib.sha256(content).hexdigest()[:8]
        name, known = f"{target}-{digits}.pth", f"sha256-prefix:{digits}"
        files.append(remote(server, name, content, hash=known, size=None))
    offer(umxl=files)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


def test_weights_are_downloaded_checked_and_named_in_the_passport(
    server: Server, cache: Path, folder: Path
) -> None:
    passport = build(None).passport
    names = [path.removeprefix("/") for path, _ in server.requests]
    assert [name.partition("-")[0] for name in names] == list(TARGETS)
    assert set(contents(cache)) == set(names)
    assert passport["licence"] == "licence of umxl"
    for target in TARGETS:
        content = (folder / f"{target}.pth").read_bytes()
        assert passport[f"{target} sha256"] == hashlib.sha256(content).hexdigest()
    assert build("umxl").passport == passport
    assert len(server.requests) == 2


def test_weights_that_were_downloaded_before_are_found(
    mscol: Command, server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrored = {f"/umxl{path}": content for path, content in server.files.items()}
    server.files = mirrored
    monkeypatch.setenv("MSCOL_MIRROR", server.url)
    assert mscol("download", "umxl") == 0
    assert {f"/umxl/{name}" for name in contents(cache)} == set(mirrored)
    server.requests.clear()
    assert build("umxl").passport["model"] == "umxl"
    assert server.requests == []


def test_a_wrong_download_is_refused_and_not_kept(server: Server, cache: Path) -> None:
    server.files = dict.fromkeys(server.files, b"hello world")
    with pytest.raises(MissingDataError, match="gave another file than was published"):
        build("umxl")
    assert contents(cache) == {}


def test_without_a_download_the_user_is_told_what_to_put_where(server: Server, cache: Path) -> None:
    path = next(iter(server.files))
    server.files = {}
    with pytest.raises(MissingDataError) as caught:
        build("umxl")
    line = str(caught.value)
    assert mentions(line, f"{server.url}{path}", "404")
    assert f"{cache}{path}" in line
    assert "\n" not in line


def test_a_corrupt_cached_file_is_named(server: Server, cache: Path) -> None:
    cache.mkdir(parents=True)
    name = next(iter(server.files)).removeprefix("/")
    (cache / name).write_bytes(b"hello")
    with pytest.raises(MissingDataError, match=f"{name}.*damaged"):
        build("umxl")


@pytest.mark.parametrize("second", ["drums-0a1b2c3d.pth", "drums.pt", "drums.safetensors"])
def test_two_weight_files_of_one_target_are_refused(
    mscol: Command, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], second: str
) -> None:
    model = Path(shutil.copytree(folder, tmp_path / "model"))
    shutil.copy(model / "drums.pth", model / second)
    (tmp_path / "music").mkdir()
    assert mscol("separate", "music", "--model", model) == 2
    message = capsys.readouterr().err
    assert mentions(message, "'drums'", second, "drums.pth")


def test_a_target_does_not_take_the_weights_of_one_with_a_longer_name(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", ("drums", "drums_soft"))
    assert build(model, targets=("drums",), niter=0).sources == ("drums",)


def test_bf16_is_recorded_and_close_to_float32(four: Path) -> None:
    mixture = {"mixture": torch.from_numpy(tones(1.0, 44100, 2))}
    exact = OpenUnmixSeparator(OpenUnmixOptions(), SeparatorContext(model=str(four)))
    rounded = OpenUnmixSeparator(
        OpenUnmixOptions(), SeparatorContext(model=str(four), precision="bf16")
    )
    assert "precision" not in exact.passport
    assert rounded.passport["precision"] == "bf16"
    expected, found = exact.separate(mixture), rounded.separate(mixture)
    ratios = [snr(found[name], expected[name]) for name in STEMS]
    assert min(ratios) > 30
    assert max(ratios) < 90


def test_fp16_needs_a_gpu(four: Path) -> None:
    with pytest.raises(UsageError, match="fp16"):
        OpenUnmixSeparator(OpenUnmixOptions(), SeparatorContext(model=str(four), precision="fp16"))


@pytest.mark.parametrize(
    ("device", "units", "has_bf16", "precision"),
    [
        ("cpu", 512, True, "bf16"),
        ("cpu", 512, False, "fp32"),
        ("cpu", 112, True, "fp32"),
        ("cuda:0", 512, True, "fp32"),
    ],
)
def test_auto_takes_bf16_for_large_networks_on_a_cpu_that_has_it(
    device: str, units: int, has_bf16: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mscol_separators.precision.cpu_has_bf16", lambda: has_bf16)
    assert pick_precision("auto", device, units) == precision


def test_a_store_is_not_resumed_with_another_precision(
    mscol: Command, four: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    song, store = tmp_path / "song.wav", tmp_path / "s.store"
    write_audio(song, tones(4.0, 44100, 2), 44100)
    command = ["separate", str(song), "--model", str(four), "-o", str(store)]
    assert mscol(*command, "--precision", "bf16") == 0
    assert mscol(*command) == 2
    assert "precision bf16 -> fp32" in capsys.readouterr().err


def test_a_separator_without_networks_has_no_precision(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_audio(tmp_path / "in" / "song.wav", tones(4.0))
    command = ["separate", str(tmp_path / "in"), "--separator", "none"]
    for precision in ("bf16", "int8"):
        assert mscol(*command, "--precision", precision) == 2
        assert "--precision" in capsys.readouterr().err
    assert mscol(*command, "--precision", "auto") == 0
