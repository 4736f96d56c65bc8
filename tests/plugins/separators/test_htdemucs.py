"""`htdemucs`, a separator that a stranger could have written: its sums, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from mscol_cli.api import SeparatorContext
from mscol_cli.store import Store
from mscol_htdemucs.network import providers
from mscol_htdemucs.options import HTDemucsOptions
from mscol_htdemucs.segments import in_segments, segment_starts, triangle
from mscol_htdemucs.separator import HTDemucsSeparator
from mscol_htdemucs.spectrogram import (
    BINS,
    EDGE,
    FRAMES,
    HOP,
    N_FFT,
    SEGMENT,
    to_spectrogram,
    to_waveform,
)
from tests.conftest import Command
from tests.helpers.audio import write_audio
from tests.helpers.counts import UNEXPECTED
from tests.helpers.htdemucs import GAINS, LIES, NOTHING, write_lying, write_model
from tests.helpers.plugins import reload_registry

PLUGIN = Path(__file__).parents[3] / "plugins" / "mscol-htdemucs"
RATE = 44_100
SOURCES = ("drums", "bass", "other", "vocals")


def chord(seconds: float, channels: int = 2) -> torch.Tensor:
    """(channels, samples) that fades in and out and has nothing near half the sample rate."""
    time = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    hertz = torch.tensor([[110.0, 1234.5, 7000.0], [82.0, 990.0, 9876.5]] * 3, dtype=torch.float64)
    waves = torch.sin(2 * torch.pi * hertz[:channels, :, None] * time).sum(dim=1) / 5
    return (waves * torch.sin(torch.pi * time / seconds) ** 2).float()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each source is its share of the mix's spectrogram."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    return write_model(tmp_path_factory.mktemp("models") / "shares.onnx")


def build(model: Path, **options: float) -> HTDemucsSeparator:
    return HTDemucsSeparator(HTDemucsOptions(**options), SeparatorContext(model=str(model)))


# --- the transforms ------------------------------------------------------------------------------


def test_a_frame_is_the_fourier_transform_of_its_window() -> None:
    waveform = torch.randn(2, SEGMENT)
    spectrogram = to_spectrogram(waveform)
    assert spectrogram.shape == (4, BINS, FRAMES)
    frame = 7
    begin = frame * HOP + HOP // 2 - N_FFT // 2
    hann = np.sin(np.pi * np.arange(N_FFT) / N_FFT) ** 2
    right = waveform[1, begin : begin + N_FFT].double().numpy()
    expected = np.fft.rfft(hann * right)[:BINS] / np.sqrt(N_FFT)
    np.testing.assert_allclose(spectrogram[2, :, frame], expected.real, atol=1e-5)
    np.testing.assert_allclose(spectrogram[3, :, frame], expected.imag, atol=1e-5)


def test_the_inverse_of_a_spectrogram_is_the_waveform_inside_the_edges() -> None:
    waveform = chord(SEGMENT / RATE)
    restored = to_waveform(torch.stack([to_spectrogram(waveform)] * 2))
    assert restored.shape == (2, 2, SEGMENT)
    inside = slice(EDGE, SEGMENT - EDGE)
    expected = torch.stack([waveform[:, inside]] * 2)
    torch.testing.assert_close(restored[..., inside], expected, atol=1e-5, rtol=0)


# --- segments ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.1, 1, 7.72, 7.74, 7.8, 13.5, 13.6, 29.1, 60])
def test_windows_sum_to_one_over_a_track_of_any_length(seconds: float) -> None:
    waveform = torch.randn(2, round(seconds * RATE))

    def estimate(segment: torch.Tensor) -> torch.Tensor:
        estimated = segment[None].repeat(3, 1, 1)
        estimated[..., :EDGE] = estimated[..., -EDGE:] = 1e3  # which must not be heard
        return estimated

    joined = in_segments(waveform, estimate, segment=SEGMENT, edge=EDGE, overlap=0.25)
    torch.testing.assert_close(joined, waveform[None].repeat(3, 1, 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.9])
@pytest.mark.parametrize("samples", [1, 99, 100, 101, 1000, 12345])
def test_neighbouring_segments_overlap_as_much_as_asked(samples: int, overlap: float) -> None:
    starts = segment_starts(samples, 100, overlap)
    assert starts[0] == 0
    assert starts[-1] == max(samples - 100, 0)
    assert all(0 < step <= 100 * (1 - overlap) + 1 for step in np.diff(starts))


def test_a_window_is_a_triangle_between_its_edges() -> None:
    assert triangle(9, 2).tolist() == pytest.approx([0, 0, 1 / 3, 2 / 3, 1, 2 / 3, 1 / 3, 0, 0])


# --- the separator -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.1, 7.8, 20])
@pytest.mark.parametrize("channels", [1, 2])
def test_stems_are_what_the_network_says_of_the_mix(
    model: Path, seconds: float, channels: int
) -> None:
    mixture = chord(seconds, channels)
    separated = build(model).separate({"mixture": mixture})
    assert list(separated) == ["mixture", *SOURCES]
    assert torch.equal(separated["mixture"], mixture)
    for name, gain in zip(SOURCES, GAINS, strict=True):
        torch.testing.assert_close(separated[name], gain * mixture, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_both_halves_of_the_network_add_up(tmp_path: Path, model: Path) -> None:
    both = write_model(tmp_path / "both.onnx", GAINS, (0.1, 0.2, 0.3, 0.4))
    mixture = chord(9)
    for stem in list(build(both).separate({"mixture": mixture}).values())[1:]:
        torch.testing.assert_close(stem, 0.5 * mixture, atol=1e-4, rtol=0)


def test_sources_add_up_to_a_mix_whose_mean_is_not_zero(tmp_path: Path, model: Path) -> None:
    in_time = write_model(tmp_path / "time.onnx", NOTHING, GAINS)
    mixture = torch.randn(2, RATE) * 0.1 + 0.2
    separated = build(in_time).separate({"mixture": mixture})
    total = torch.stack([separated[name] for name in SOURCES]).sum(dim=0)
    torch.testing.assert_close(total, mixture, atol=1e-5, rtol=0)


def test_six_channels_are_heard_as_their_mean(model: Path) -> None:
    six = chord(1, 6)
    separated = build(model).separate({"mixture": six})
    expected = GAINS[0] * six.mean(dim=0, keepdim=True)
    torch.testing.assert_close(separated["drums"], expected, atol=1e-4, rtol=0)


def test_silence_has_silent_stems(model: Path) -> None:
    separated = build(model).separate({"mixture": torch.zeros(2, RATE)})
    assert not any(separated[name].any() for name in SOURCES)


def test_a_gpu_is_used_where_onnxruntime_is_built_for_it() -> None:
    cpu, cuda = "CPUExecutionProvider", "CUDAExecutionProvider"
    assert providers("cuda:1", [cuda, cpu]) == [(cuda, {"device_id": 1}), cpu]
    assert providers("cuda", [cpu]) == [cpu]
    assert providers("cpu", [cuda, cpu]) == [cpu]


# --- through the door ----------------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin as an installed distribution, with the entry points that its project names."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    place = tmp_path / "site" / f"mscol_htdemucs-{project['version']}.dist-info"
    place.mkdir(parents=True)
    points = [f"{name} = {value}" for name, value in project["entry-points"]["mscol"].items()]
    (place / "entry_points.txt").write_text("\n".join(["[mscol]", *points]))
    named = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (place / "METADATA").write_text(named)
    monkeypatch.syspath_prepend(str(place.parent))
    reload_registry(monkeypatch)


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write_audio(tmp_path / "music" / "song.wav", chord(2).numpy(), RATE)


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_a_store_is_filled_and_says_by_what(mscol: Command, model: Path, song: Path) -> None:
    assert mscol("separate", "music", "--separator", "htdemucs", "--model", model) == 0
    header = json.loads(Path("music.store", "store.json").read_text())["separator"]
    assert (header["name"], header["owner"]) == ("htdemucs", "mscol-htdemucs")
    assert header["passport"]["model"] == "shares.onnx"
    assert len(header["passport"]["sha256"]) == 64
    assert "personal and research use" in header["passport"]["licence"]
    store = Store.open(Path("music.store"))
    assert store.index.sources == ("mixture", *SOURCES)
    mixture = store.waveform(0, 0)
    for row, gain in enumerate(GAINS, start=1):
        np.testing.assert_allclose(store.waveform(0, row), gain * mixture, atol=2e-4)


@pytest.mark.usefixtures("installed", "model", "song")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "--model"),
        (["--model", "none.onnx"], 4, "none.onnx"),
        (["--model", "music"], 2, "music "),
        (["--model", "music/song.wav"], 2, "song.wav "),
        (["--model", "short.onnx"], 2, "(1, 2, 1000)"),
        (
            ["--model", "six.onnx"],
            2,
            "(1, 4, 4, 2048, 336)",
        ),
        (["--opt", "overlap=1"], 2, "at most 0.9"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_leaves_nothing(
    mscol: Command,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    write_model(Path("short.onnx"), segment=1000)
    write_model(Path("six.onnx"), [0.1] * 6, [0.1] * 6)
    assert mscol("separate", "music", "--separator", "htdemucs", *arguments) == code
    error = capfd.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("music.store").exists()


@pytest.mark.usefixtures("installed", "song", "model")
@pytest.mark.parametrize("lie", LIES)
def test_a_network_that_lies_is_one_line_and_leaves_no_track(
    mscol: Command, capfd: pytest.CaptureFixture[str], tmp_path: Path, lie: str
) -> None:
    network = write_lying(tmp_path / "lie.onnx", lie)
    code = mscol("separate", "music", "--separator", "htdemucs", "--model", network)
    error = capfd.readouterr().err
    assert code in (1, 2)
    assert error.splitlines()[-1].startswith("error: ")
    assert not UNEXPECTED.search(error)
    assert "Traceback" not in error
    store = Path("music.store")
    sealed = json.loads((store / "store.json").read_text()) if store.exists() else {}
    assert sealed.get("tracks", 0) == 0


def test_a_missing_onnxruntime_is_named(
    mscol: Command,
    model: Path,
    song: Path,
    installed: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert mscol("separate", "music", "--separator", "htdemucs", "--model", model) == 2
    assert "onnxruntime" in capfd.readouterr().err


def test_the_card_imports_nothing_heavy() -> None:
    code = (
        "import sys, mscol_htdemucs.plugin\n"
        "print({'torch', 'numpy', 'onnxruntime'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PLUGIN, check=True
    )
    assert done.stdout.strip() == "set()"
