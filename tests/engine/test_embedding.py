"""Clips to windows to vectors: framing, level, passes, and clips that cannot be embedded."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.engine.embedding import (
    Clip,
    ClipEmbedding,
    Cut,
    device_of,
    embed_clip,
    embed_clips,
    embed_files,
    random_crops,
    whole_windows,
)
from mscol_cli.engine.models import build_encoder
from mscol_cli.engine.waveforms import LongWaveform, load_waveform, read_or_measure
from mscol_cli.errors import BadInputError, PluginCallError
from mscol_cli.host import find_part, load_registry
from mscol_cli.system.prefetch import map_ahead
from tests.helpers.audio import tones, write_audio
from tests.helpers.messages import mentions

CPU = torch.device("cpu")


class EdgesEncoder(Encoder):
    """Embeds a crop as its first sample, its last sample and its L2 norm, times a weight."""

    sample_rate, crop_samples, window_hop, start_grid, dim = 16000, 15920, 15680, 160, 3

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))
        self.widest_pass = 0

    def frontend(self, waveforms: Tensor) -> Tensor:
        self.widest_pass = max(self.widest_pass, len(waveforms))
        return waveforms

    def forward(self, features: Tensor) -> Tensor:
        assert not self.training
        edges = [features[:, 0], features[:, -1], features.norm(dim=1)]
        return torch.stack(edges, dim=1) * self.weight


def ramp(samples: int) -> NDArray[np.float32]:
    return np.arange(samples, dtype=np.float32)


def embedded(results: list[ClipEmbedding | BadInputError]) -> list[ClipEmbedding]:
    assert all(isinstance(result, ClipEmbedding) for result in results)
    return [result for result in results if isinstance(result, ClipEmbedding)]


def frames_of_98(samples: int) -> int:
    frames = 1 + (samples - 400) // 160 if samples >= 400 else 0
    return frames // 98


@pytest.mark.parametrize(
    ("samples", "windows"),
    [
        (0, 0),
        (15919, 0),
        (15920, 1),
        (31599, 1),
        (31600, 2),
        (64_000, 4),  # an NSynth note
        (400 + 2907 * 160, 29),  # MagnaTagATune clips have 2,908 to 2,910 frames
        (400 + 2910 * 160 - 1, 29),
        (400 + 2996 * 160, 30),  # and FMA clips 2,996 to 2,998
    ],
)
def test_how_many_windows_a_clip_has(samples: int, windows: int) -> None:
    assert len(whole_windows(EdgesEncoder(), samples)) == windows


def test_windows_are_the_whole_groups_of_98_frames() -> None:
    lengths = np.random.default_rng(0).integers(0, 500_000, size=300).tolist()
    lengths += [15680 * k + 240 + off for k in range(1, 31) for off in (-1, 0, 1)]
    encoder = EdgesEncoder()
    assert [len(whole_windows(encoder, n)) for n in lengths] == [frames_of_98(n) for n in lengths]


def test_windows_start_where_they_say() -> None:
    waveform = ramp(50_000)
    clip = embed_clip(EdgesEncoder(), waveform)
    assert clip.start_s.tolist() == [0.0, 0.98, 1.96]
    norm = np.linalg.norm(waveform.astype(np.float64))
    np.testing.assert_allclose(clip.windows[:, 0] * norm, [0, 15680, 31360], rtol=1e-5)
    np.testing.assert_allclose(clip.windows[:, 1] * norm, [15919, 31599, 47279], rtol=1e-5)


def test_the_level_is_that_of_the_whole_clip() -> None:
    quiet, loud = tones(2.0, seed=1)[0] * 0.01, tones(2.0, seed=1)[0]
    both = embed_clip(EdgesEncoder(), np.concatenate([quiet, loud]))
    assert both.windows[0, 2] == pytest.approx(0.01 * both.windows[-1, 2], rel=0.1)
    softer = embed_clip(EdgesEncoder(), np.concatenate([quiet, loud]) * np.float32(0.1))
    np.testing.assert_allclose(softer.windows, both.windows, rtol=1e-4)


def test_silence_is_embedded_as_silence() -> None:
    assert not embed_clip(EdgesEncoder(), np.zeros(20_000, dtype=np.float32)).windows.any()


@pytest.mark.slow
def test_a_long_clip_is_embedded_in_several_passes() -> None:
    encoder = EdgesEncoder()
    waveform = tones(300.0)[0]
    clip = embed_clip(encoder, waveform)
    assert len(clip.windows) == frames_of_98(len(waveform)) == 306
    assert encoder.widest_pass <= 32
    scaled = waveform / np.linalg.norm(waveform)
    np.testing.assert_allclose(clip.windows[:, 0], scaled[: 306 * 15680 : 15680], rtol=1e-4)


def test_short_clips_share_passes_and_keep_to_themselves() -> None:
    encoder = EdgesEncoder()
    waveforms = [tones(1.0 + seed % 3, seed=seed)[0] for seed in range(20)]
    clips = [Clip(str(seed), waveform) for seed, waveform in enumerate(waveforms)]
    together = embedded(list(embed_clips(encoder, clips, device=CPU)))
    assert encoder.widest_pass > 3
    for waveform, found in zip(waveforms, together, strict=True):
        alone = embed_clip(encoder, waveform)
        np.testing.assert_allclose(found.windows, alone.windows, rtol=1e-6)
        assert found.start_s.tolist() == alone.start_s.tolist()


def test_files_come_back_in_order_with_bad_ones_in_their_place(tmp_path: Path) -> None:
    write_audio(tmp_path / "short.wav", tones(0.4))
    (tmp_path / "broken.wav").write_bytes(b"no audio at all")
    for seconds in (1, 2, 3):
        write_audio(tmp_path / f"{seconds}.wav", tones(seconds + 0.1, 44100, 2), 44100)
    names = ["3.wav", "short.wav", "1.wav", "broken.wav", "gone.wav", "2.wav"]
    results = list(embed_files(EdgesEncoder(), [tmp_path / name for name in names], device=CPU))
    counts = [len(result.windows) if isinstance(result, ClipEmbedding) else 0 for result in results]
    assert counts == [3, 0, 1, 0, 0, 2]
    reasons = [str(result) for result in results if isinstance(result, BadInputError)]
    for name, reason in zip(["short.wav", "broken.wav", "gone.wav"], reasons, strict=True):
        assert reason.startswith(str(tmp_path / name))
        assert "\n" not in reason
    assert mentions(reasons[0], "0.400 s", "0.995 s")


@pytest.mark.slow
@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("cut", [whole_windows, random_crops(np.random.default_rng(0))])
def test_a_long_file_is_embedded_like_a_short_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: int, cut: Cut
) -> None:
    write_audio(tmp_path / "a.wav", tones(21.3, rate, 2), rate)
    encoder, paths = EdgesEncoder(), [tmp_path / "a.wav"]
    fixed = cut(encoder, int(21.3 * 16_000))
    whole = embedded(list(embed_files(encoder, paths, device=CPU, cut=lambda *_: fixed)))
    monkeypatch.setattr("mscol_cli.audio.mono.PIECE", 30_000)
    monkeypatch.setattr("mscol_cli.engine.waveforms.MAX_IN_MEMORY", 100_000)
    monkeypatch.setattr("mscol_cli.engine.embedding.windows_per_pass", lambda _: 4)
    assert isinstance(load_waveform(paths[0], 16_000), LongWaveform)
    long = embedded(list(embed_files(encoder, paths, device=CPU, cut=lambda *_: fixed)))
    assert long[0].start_s.tolist() == whole[0].start_s.tolist()
    np.testing.assert_allclose(long[0].windows, whole[0].windows, rtol=1e-4, atol=1e-6)


def test_a_long_file_that_becomes_shorter_is_its_own_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mscol_cli.engine.waveforms.MAX_IN_MEMORY", 1)
    lengths = iter([50_000, 20_000])
    again = read_or_measure(lambda: iter([np.ones(next(lengths), np.float32)]))
    clips = [Clip("long", again), Clip("short", np.ones(20_000, np.float32))]
    failed, fine = embed_clips(EdgesEncoder(), clips, device=CPU)
    assert str(failed).startswith("long: ")
    assert isinstance(fine, ClipEmbedding)


@pytest.mark.parametrize("error", [ValueError("odd"), MemoryError(), OSError(5, "I/O error")])
def test_whatever_decoding_raises_is_the_failure_of_that_file(error: Exception) -> None:
    def decode(path: Path, sample_rate: int) -> NDArray[np.float32]:
        if path.name == "bad":
            raise error
        return np.ones(20_000, np.float32)

    paths = [Path("bad"), Path("good")]
    failed, fine = embed_files(EdgesEncoder(), paths, device=CPU, decode=decode)
    assert str(failed).startswith("bad: ")
    assert isinstance(fine, ClipEmbedding)


def test_no_files_give_no_results() -> None:
    assert list(embed_files(EdgesEncoder(), [], device=CPU)) == []


def test_an_encoder_that_diverged_is_named_for_each_clip() -> None:
    encoder = EdgesEncoder()
    encoder.weight.data[0] = float("nan")
    (result,) = embed_clips(encoder, [Clip("a.wav", tones(1.0)[0])], device=CPU)
    assert isinstance(result, BadInputError)
    assert "a.wav: " in str(result)


def test_an_encoder_that_rejects_a_clip_has_a_bug() -> None:
    # As a failure of a group it would shift the results of later clips.
    class Picky(EdgesEncoder):
        def frontend(self, waveforms: Tensor) -> Tensor:
            if (waveforms.abs().amax(dim=1) == 0).any():
                raise BadInputError("a window is silent")
            return waveforms

    clips = [Clip(str(row), np.full(20_000, row, np.float32)) for row in range(3)]
    with pytest.raises(PluginCallError, match="Picky: 0 and 2 more: BadInputError: a window"):
        list(embed_clips(Picky(), clips, device=CPU))


def test_embedding_leaves_the_encoder_in_the_mode_it_had() -> None:
    encoder = EdgesEncoder().train()
    embed_clip(encoder, tones(1.0)[0])
    assert encoder.training
    embed_clip(encoder.eval(), tones(1.0)[0])
    assert not encoder.training


def test_work_ahead_keeps_order_and_stays_near() -> None:
    started: list[int] = []
    lock = threading.Lock()

    def work(item: int) -> int:
        with lock:
            started.append(item)
        time.sleep(0.001 * (item % 3))
        return item

    for position, result in enumerate(map_ahead(work, range(40), workers=3)):
        assert result == position
        assert len(started) <= position + 1 + 3
    assert sorted(started) == list(range(40))


def test_work_ahead_fails_where_the_result_was_due() -> None:
    results = map_ahead(lambda item: 1 // (2 - item), range(5), workers=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_random_crop_lies_in_its_segment_and_reaches_both_ends() -> None:
    encoder, samples = EdgesEncoder(), 465_600
    starts = np.array(
        [random_crops(np.random.default_rng(seed))(encoder, samples) for seed in range(3_000)]
    )
    offsets = (starts - 62_720 * np.arange(7)) // 160
    assert (offsets.min(), offsets.max()) == (0, 294)
    last = [
        random_crops(np.random.default_rng(seed), last_offset=False)(encoder, samples)
        for seed in range(3_000)
    ]
    assert ((np.array(last) - 62_720 * np.arange(7)) // 160).max() == 293


@pytest.mark.parametrize(
    ("rate", "window_s", "clip_s", "crops"),
    [(24_000, 5.0, 30.0, 7), (44_100, 3.0, 30.0, 7), (44_100, 1.0, 30.0, 7), (16_000, 0.5, 0.7, 1)],
)
def test_random_crops_suit_encoders_of_other_rates_and_windows(
    rate: int, window_s: float, clip_s: float, crops: int
) -> None:
    encoder = EdgesEncoder()
    encoder.sample_rate, encoder.crop_samples = rate, int(window_s * rate)
    samples = int(clip_s * rate)
    drawn = [random_crops(np.random.default_rng(seed))(encoder, samples) for seed in range(50)]
    assert {len(starts) for starts in drawn} == {crops}
    assert np.min(drawn) >= 0
    assert np.max(drawn) + encoder.crop_samples <= samples


def test_a_clip_of_one_segment_is_cut_anywhere() -> None:
    # A note of NSynth has 398 frames, of which the published code cuts at 0 to 299 of 300.
    encoder = EdgesEncoder()
    starts = [random_crops(np.random.default_rng(s), False)(encoder, 64_000) for s in range(4_000)]
    assert np.shape(starts) == (4_000, 1)
    assert (np.min(starts) // 160, np.max(starts) // 160) == (0, 299)
    assert len(random_crops(np.random.default_rng(0))(encoder, 15_919)) == 0


@pytest.mark.slow
def test_noise_keeps_stochastic_depth_on_and_batch_statistics_off() -> None:
    encoder = build_encoder(find_part(load_registry(), "encoder", "efficientnet_b0"), seed=0)
    clip = Clip("a", tones(12.0)[0])
    torch.manual_seed(0)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}

    def embed(noise: bool) -> ClipEmbedding:
        (result,) = embed_clips(encoder, [clip], device=CPU, noise=noise)
        assert isinstance(result, ClipEmbedding)
        return result

    assert np.array_equal(embed(False).windows, embed(False).windows)
    assert not np.array_equal(embed(True).windows, embed(True).windows)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert encoder.training


def test_a_module_without_weights_and_buffers_is_on_the_cpu() -> None:
    assert device_of(torch.nn.Identity()) == CPU
