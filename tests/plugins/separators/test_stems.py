"""`stems` and `none`: grouping files into tracks, and mixes that are sums."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mscol_cli.api import InputFile, NoOptions, SeparatorContext, UsageError
from mscol_separators.mixture import MixtureOnly
from mscol_separators.options import StemsOptions
from mscol_separators.stems import StemsSeparator
from tests.helpers.messages import mentions

STEMS = StemsSeparator(StemsOptions(("vocals", "bass")), SeparatorContext())


def files(*names: str) -> list[InputFile]:
    return [InputFile(Path("/music", name), name) for name in names]


def test_a_folder_is_a_track() -> None:
    tracks = STEMS.tracks(files("train/a/Vocals.wav", "train/a/drums.wav", "b/bass.flac"))
    assert [(track.id, list(track.files)) for track in tracks] == [
        ("train/a", ["vocals", "drums"]),
        ("b", ["bass"]),
    ]


def test_names_of_stems_match_in_any_case() -> None:
    separator = StemsSeparator(StemsOptions(("Lead", "bass")), SeparatorContext())
    (track,) = separator.tracks(files("a/LEAD.wav", "a/Bass.wav", "a/Mix.wav"))
    assert separator.sources == ("Lead", "bass")
    assert list(track.files) == ["mixture", "Lead", "bass"]


def test_a_mix_on_disk_makes_other_files_needless() -> None:
    (track,) = STEMS.tracks(files("a/accompaniment.wav", "a/mix.wav", "a/vocals.wav"))
    assert list(track.files) == ["mixture", "vocals"]


def test_files_without_a_folder_are_named_after_where_they_are() -> None:
    (track,) = STEMS.tracks([InputFile(Path("/music/song/bass.wav"), "bass.wav")])
    assert track.id == "song"


def test_folders_that_make_no_track_say_why() -> None:
    (unnamed,) = STEMS.tracks(files("a/guitar.wav", "a/rest.wav"))
    assert mentions(unnamed.problem, "/music/a: ", "vocals, bass", "guitar, rest")
    (doubled,) = STEMS.tracks(files("a/bass.wav", "a/bass.flac"))
    assert mentions(doubled.problem, "/music/a: ", "bass")


def test_a_multi_stream_file_says_what_to_do() -> None:
    (track,) = STEMS.tracks(files("train/A - B.Stem.mp4", "train/C - D.stem.mp4"))
    assert track.problem is not None
    assert track.problem.startswith("/music/train: A - B.Stem.mp4 ")


def test_the_mix_is_the_sum_of_all_files_and_a_missing_stem_is_silent() -> None:
    drums, vocals = torch.randn(2, 100), torch.randn(2, 100)
    separated = STEMS.separate({"drums": drums, "vocals": vocals})
    assert torch.equal(separated["mixture"], drums + vocals)
    assert torch.equal(separated["vocals"], vocals)
    assert not separated["bass"].any()


def test_stems_of_different_channel_counts_are_summed_as_mono() -> None:
    mono, stereo = torch.randn(1, 100), torch.randn(2, 100)
    separated = STEMS.separate({"bass": mono, "vocals": stereo})
    torch.testing.assert_close(separated["mixture"], mono + stereo.mean(dim=0))


def test_the_mix_is_no_stem() -> None:
    for name in ("mixture", "Mix"):
        with pytest.raises(UsageError, match="mix"):
            StemsSeparator(StemsOptions((name,)), SeparatorContext())


def test_only_openunmix_has_a_model() -> None:
    context = SeparatorContext(model="umxl")
    with pytest.raises(UsageError, match="'stems'"):
        StemsSeparator(StemsOptions(), context)
    with pytest.raises(UsageError, match="'none'"):
        MixtureOnly(NoOptions(), context)


def test_none_gives_the_mix_alone() -> None:
    separator = MixtureOnly(NoOptions(), SeparatorContext())
    mixture = torch.randn(1, 50)
    assert separator.sources == ()
    assert separator.separate({"mixture": mixture}) == {"mixture": mixture}
    assert [track.id for track in separator.tracks(files("a/b.c.wav", "d"))] == ["a/b.c", "d"]
