"""Chunks, batches and groups: a track comes out the same however it was cut."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mscol_cli.api import MIXTURE, BadInputError, Chunking, Separator, TrackInput
from mscol_cli.errors import PluginError
from mscol_cli.separate.batching import Separated, separate_groups
from mscol_cli.separate.chunks import CrossFade, read_chunks
from mscol_cli.system.prefetch import streams_ahead
from tests.helpers.audio import tones, write_audio
from tests.helpers.messages import mentions

RATE = 16000


class Halves(Separator):
    """Two sources, each half the mix; refuses what is loud, and has room for `room` samples."""

    sources = ("a", "b")
    sample_rate = RATE
    chunking: Chunking | None = Chunking(3 * RATE, RATE)
    batch_samples = 12 * RATE

    def __init__(self, room: int = 1 << 40) -> None:
        self.room = room
        self.batches: list[list[int]] = []

    def separate(self, audio: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        mixture = audio[MIXTURE]
        if mixture.abs().max() > 5:
            raise BadInputError("is too loud; turn it down")
        return {MIXTURE: mixture, "a": mixture / 2, "b": mixture / 2}

    def separate_many(self, batch: Sequence[Mapping[str, Tensor]]) -> list[Mapping[str, Tensor]]:
        lengths = [audio[MIXTURE].shape[-1] for audio in batch]
        self.batches.append(lengths)
        if sum(lengths) > self.room:
            raise torch.OutOfMemoryError("no room")
        return super().separate_many(batch)


def track(path: Path) -> TrackInput:
    return TrackInput(path.stem, {MIXTURE: path})


def written(folder: Path, *seconds: float, rate: int = RATE) -> list[TrackInput]:
    return [
        track(write_audio(folder / f"{number}.wav", tones(length, rate, seed=number), rate))
        for number, length in enumerate(seconds)
    ]


def separated(
    tracks: Sequence[TrackInput], separator: Separator, folder: Path
) -> dict[str, Separated | BadInputError]:
    return {one.id: found for one, found in separate_groups([tracks], separator, folder)}


def waveform(found: Separated | BadInputError, name: str = "a") -> np.ndarray:
    assert isinstance(found, Separated), found
    return found.waveforms[name][:]


@pytest.mark.parametrize("seconds", [1.0, 3.0, 3.1, 5.0, 17.3])
def test_a_chunked_track_is_the_whole_track(tmp_path: Path, seconds: float) -> None:
    tracks = written(tmp_path, seconds, rate=22050)
    chunked, whole = Halves(), Halves()
    whole.chunking = None
    parts = waveform(separated(tracks, chunked, tmp_path)["0"])
    np.testing.assert_allclose(parts, waveform(separated(tracks, whole, tmp_path)["0"]), atol=2e-6)
    assert max(max(lengths) for lengths in chunked.batches) <= 3 * RATE


def test_chunks_of_several_tracks_share_batches_within_their_group(tmp_path: Path) -> None:
    tracks = written(tmp_path, 2.0, 7.0, 4.0, 2.0)
    separator = Halves()
    found = [one.id for one, _ in separate_groups([tracks[:3], tracks[3:]], separator, tmp_path)]
    assert found == ["0", "1", "2", "3"]
    seconds = [[length / RATE for length in lengths] for lengths in separator.batches]
    assert seconds == [[2.0, 3.0, 3.0, 3.0], [3.0, 2.0], [2.0]]


def test_a_batch_counts_short_chunks_as_long_as_its_longest(tmp_path: Path) -> None:
    separator = Halves()
    separated(written(tmp_path, 3.0, 1.0, 1.0, 1.0, 1.0), separator, tmp_path)
    assert [[length / RATE for length in lengths] for lengths in separator.batches] == [
        [3.0, 1.0, 1.0, 1.0],
        [1.0],
    ]


@pytest.mark.slow
def test_a_full_device_gets_smaller_batches_and_no_track_is_lost(tmp_path: Path) -> None:
    tracks = written(tmp_path, *[2.0] * 9)
    separator = Halves(room=4 * RATE)
    found = separated(tracks, separator, tmp_path)
    for number in range(9):
        mixture = tones(2.0, seed=number)[0]
        np.testing.assert_allclose(waveform(found[str(number)]), mixture / 2, atol=1e-6)
    assert [len(lengths) for lengths in separator.batches] == [6, 3, 1, 2, 3, 1, 2, 1, 1, 1]


@pytest.mark.slow
def test_a_track_for_which_there_is_no_room_at_all_is_named(tmp_path: Path) -> None:
    found = separated(written(tmp_path, 2.0, 1.0), Halves(room=RATE), tmp_path)
    assert mentions(str(found["0"]), "0: ", "2 s", "memory")
    assert isinstance(found["1"], Separated)


def test_a_refused_track_takes_no_other_with_it(tmp_path: Path) -> None:
    tracks = written(tmp_path, 2.0, 8.0, 2.0)
    write_audio(tracks[1].files[MIXTURE], 20 * tones(8.0))
    found = separated(tracks, Halves(), tmp_path)
    assert str(found["1"]) == "1: is too loud; turn it down"
    assert isinstance(found["0"], Separated)
    assert isinstance(found["2"], Separated)


def test_damage_far_into_a_file_costs_only_that_track(tmp_path: Path) -> None:
    tracks = written(tmp_path, 2.0, 8.0, 2.0)
    broken = tones(8.0)
    broken[0, -5] = np.nan
    write_audio(tracks[1].files[MIXTURE], broken)
    found = separated(tracks, Halves(), tmp_path)
    assert "NaN" in str(found["1"])
    assert [isinstance(found[name], Separated) for name in ("0", "2")] == [True, True]


def test_files_of_a_track_are_padded_to_the_longest(tmp_path: Path) -> None:
    long, short = tones(5.0), tones(2.5, 8000)
    paths = {
        "a": write_audio(tmp_path / "long.wav", long),
        "b": write_audio(tmp_path / "short.wav", short, 8000),
    }
    chunks = list(read_chunks(TrackInput("x", paths), None, Chunking(RATE, 0)))
    assert [chunk.samples for chunk in chunks] == [RATE] * 5
    assert [chunk.last for chunk in chunks] == [False] * 4 + [True]
    joined = torch.cat([chunk.audio["b"] for chunk in chunks], dim=-1)
    assert joined[0, : 2 * RATE].abs().max() > 0.1
    assert joined[0, int(2.5 * RATE) :].abs().max() == 0
    assert chunks[-1].stamps is not None
    assert chunks[-1].stamps["b"].seconds == 2.5


def test_a_fade_adds_up_to_one() -> None:
    fade = CrossFade(4)
    chunks = [torch.ones(1, 10), torch.ones(1, 10), torch.ones(1, 5)]
    joined = torch.cat([fade.push(one, last=one is chunks[-1]) for one in chunks], dim=-1)
    torch.testing.assert_close(joined, torch.ones(1, 17))


def test_a_separator_that_breaks_its_promise_is_named(tmp_path: Path) -> None:
    class Short(Halves):
        def separate(self, audio: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            return {name: found[:, 1:] for name, found in super().separate(audio).items()}

    message = r"Short: track '0': separate returned 'mixture' of shape \(\d, \d+\), not"
    with pytest.raises(PluginError, match=message):
        separated(written(tmp_path, 2.0), Short(), tmp_path)


def test_streams_run_ahead_in_order_and_end_when_they_are_left() -> None:
    made: list[int] = []

    def stream(item: int) -> Iterator[int]:
        for part in range(100):
            made.append(item)
            yield 100 * item + part

    begun = time.perf_counter()
    for item, parts in streams_ahead(stream, range(20), workers=3):
        assert [next(parts), next(parts)] == [100 * item, 100 * item + 1]
        assert max(made) <= item + 3
    assert len(made) < 20 * 6
    assert time.perf_counter() - begun < 10


def test_a_stream_fails_where_its_result_was_due() -> None:
    def stream(item: int) -> Iterator[int]:
        yield item
        if item == 1:
            raise BadInputError("no more")

    streams = streams_ahead(stream, range(3), workers=2)
    assert list(next(streams)[1]) == [0]
    failing = next(streams)[1]
    assert next(failing) == 1
    with pytest.raises(BadInputError, match="no more"):
        next(failing)
