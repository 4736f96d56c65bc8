"""`--model mini`: weights that come along, small, whole, and better than no separation at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mscol_cli.api import SeparatorContext
from mscol_cli.store import Store
from mscol_cli.synthetic import render_song, style_names
from mscol_separators import mini
from mscol_separators.open_unmix import OpenUnmixSeparator
from mscol_separators.options import OpenUnmixOptions
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.messages import mentions

HELD_OUT = 7002  # the stream of songs that training never draws from
BETTER_BY = {"vocals": 5.0, "drums": 7.0, "bass": 8.0, "other": 5.0}
"""Median over songs, dB; 9.4, 11.9, 13.3 and 9.2 were measured."""


@pytest.fixture(scope="module")
def separator() -> OpenUnmixSeparator:
    return OpenUnmixSeparator(OpenUnmixOptions(niter=0), SeparatorContext(model="mini"))


def stems(style: str, number: int) -> dict[str, Tensor]:
    """Six seconds of a held-out song, (samples,) at 16 kHz."""
    song = render_song(style, seconds=6, sample_rate=16000, seed=(HELD_OUT, number))
    return {name: torch.from_numpy(audio) for name, audio in song.stems.items()}


def sdr(true: Tensor, estimate: Tensor) -> float:
    return float(10 * torch.log10(true.square().sum() / (true - estimate).square().sum()))


def improvements(separator: OpenUnmixSeparator, true: dict[str, Tensor]) -> dict[str, float]:
    """By how much each stem that sounds is nearer to its estimate than to the mixture, dB."""
    mixture = torch.stack(list(true.values())).sum(dim=0)
    estimates = separator.separate({"mixture": mixture[None]})
    return {
        name: sdr(stem, estimates[name][0]) - sdr(stem, mixture)
        for name, stem in true.items()
        if stem.abs().max() > 1e-3
    }


def test_four_targets_and_their_card_come_along_in_four_megabytes() -> None:
    sizes = [path.stat().st_size for path in mini.weight_files(mini.TARGETS).values()]
    assert len(sizes) == 4
    assert max(sizes) < 2_000_000
    assert sum(sizes) <= 4_000_000
    assert "SDR" in (mini.FOLDER / "CARD.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", mini.TARGETS)
def test_weights_are_finite_and_float32_once_loaded(target: str) -> None:
    state = mini.read_state(mini.weight_files((target,))[target])
    assert all(tensor.dtype == torch.float32 for tensor in state.values())
    assert all(tensor.isfinite().all() for tensor in state.values())


@pytest.mark.slow
def test_every_stem_of_held_out_songs_is_better_than_the_mixture(
    separator: OpenUnmixSeparator,
) -> None:
    found: dict[str, list[float]] = {name: [] for name in mini.TARGETS}
    for number, style in enumerate(2 * style_names()):
        for name, gain in improvements(separator, stems(style, number)).items():
            found[name].append(gain)
    for name, least in BETTER_BY.items():
        assert len(found[name]) >= 5
        assert min(found[name]) > 0, name
        assert np.median(found[name]) > least, name


def test_stereo_is_heard_as_its_mean(separator: OpenUnmixSeparator) -> None:
    stereo = torch.from_numpy(tones(2.0, 16000, 2))
    mono = separator.separate({"mixture": stereo.mean(dim=0, keepdim=True)})
    separated = separator.separate({"mixture": stereo})
    assert torch.equal(separated["mixture"], stereo)
    assert torch.equal(separated["vocals"], mono["vocals"])


def test_a_store_says_which_model_made_it_under_which_licence(
    mscol: Command, tmp_path: Path
) -> None:
    write_audio(tmp_path / "music" / "a.wav", tones(2.0, 44100, 2), 44100)
    assert mscol("separate", "music", "--model", "mini", "--device", "cpu") == 0
    store = Store.open(tmp_path / "music.store")
    passport = store.header.separator.passport
    assert (passport["model"], passport["licence"]) == ("mini", "MIT")
    assert {f"{target} sha256" for target in store.index.sources[1:]} < set(passport)
    assert store.index.sources[1:] == mini.TARGETS


def test_a_target_it_lacks_is_a_usage_error(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_audio(tmp_path / "a.wav", tones(2.0))
    ask = ["separate", "a.wav", "-o", "a.store", "--model", "mini", "--opt"]
    assert mscol(*ask, "targets=vocals,piano") == 2
    assert mentions(capsys.readouterr().err, "mini", "'piano'", "vocals, drums")
    assert not (tmp_path / "a.store").exists()


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_an_incomplete_installation_is_named(
    mscol: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: str,
) -> None:
    for target, path in mini.weight_files(mini.TARGETS).items():
        (tmp_path / path.name).write_bytes(path.read_bytes() if target != "bass" else b"torn")
    if damage == "missing":
        (tmp_path / "bass.safetensors").unlink()
    monkeypatch.setattr(mini, "FOLDER", tmp_path)
    write_audio(tmp_path / "a.wav", tones(2.0))
    assert mscol("separate", "a.wav", "-o", "a.store", "--model", "mini", "--device", "cpu") == 4
    line = capsys.readouterr().err
    assert mentions(line, "bass.safetensors", damage)
    assert "install mscol again" in line
