"""Splits of the bench's music by groove, program and soundfont."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.music.grooves import STYLES, GrooveFile, find_grooves, split_grooves
from bench.music.instruments import FONTS, NOTE_FAMILIES, fonts_of
from bench.music.notes import SPLITS, draw_notes, programs_of
from mscol_cli.synthetic.instruments import FAMILIES


def files() -> list[GrooveFile]:
    """A file for each name of a style in one library, and two numbered ones in another."""
    return [
        GrooveFile(name, ("Any",), 4, style)
        for style, words in STYLES.items()
        for word in words.split()
        for name in (f"stdlib/{word}", f"casio/{word}1", f"casio/{word}2")
    ]


def test_families_of_grooves_share_a_split_and_every_style_is_in_each() -> None:
    splits = split_grooves(files())
    families = {split: {file.family for file in members} for split, members in splits.items()}
    assert not families["train"] & families["valid"]
    assert not families["train"] & families["test"]
    assert not families["valid"] & families["test"]
    for members in splits.values():
        assert {file.style for file in members} == set(STYLES)


def test_splits_of_grooves_depend_on_names_only() -> None:
    assert split_grooves(reversed(files()))["test"] == split_grooves(files())["test"][::-1]


def test_a_groove_library_is_read_without_introductions_and_compound_meters(
    tmp_path: Path,
) -> None:
    library = tmp_path / "lib" / "stdlib"
    library.mkdir(parents=True)
    (library / "polka.mma").write_text(
        "Time 4\nDefGroove Polka  Main.\nDefGroove PolkaIntro\nDefGroove Polka1\n"
        "DefGroove Polka1\nDefGroove PolkaEnd\n"
    )
    (library / "waltz.mma").write_text("Time 3\nDefGroove CountryWaltz\n")
    (library / "blues68.mma").write_text("Time 6/8\nDefGroove Blues68\n")
    (library / "unknown.mma").write_text("Time 4\nDefGroove Unknown\n")
    (library / "swing.mma").write_text("DefGroove SwingFill\n")
    assert find_grooves(tmp_path) == [
        GrooveFile("stdlib/polka", ("Polka", "Polka1"), 4, "march"),
        GrooveFile("stdlib/waltz", ("CountryWaltz",), 3, "waltz"),
    ]


def test_test_soundfonts_are_in_no_other_split() -> None:
    assert fonts_of("test") == ["timgm"]
    assert "timgm" not in (*fonts_of("train"), *fonts_of("valid"))
    assert len({font.name for font in FONTS}) == 3


@pytest.mark.parametrize("family", FAMILIES)
def test_validation_has_other_programs_than_training(family: str) -> None:
    train, valid = (set(programs_of(split, family)) for split in ("train", "valid"))
    assert train
    assert valid
    assert not train & valid
    assert set(programs_of("test", family)) == set(NOTE_FAMILIES[family])


def test_notes_are_distinct_balanced_and_the_same_for_a_seed() -> None:
    notes = [note for split in SPLITS for note in draw_notes(split, 100, seed=3)]
    assert len({note.name for note in notes}) == len(notes) == 3 * 110
    assert all(sum(note.family == family for note in notes) == 30 for family in FAMILIES)
    assert notes[:110] == draw_notes("train", 100, seed=3)
    assert notes[:110] != draw_notes("train", 100, seed=4)
    # More notes begin with the same ones, so that a collection can grow.
    assert set(notes[:110]) <= set(draw_notes("train", 200, seed=3))
