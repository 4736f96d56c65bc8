"""NSynth's JSON files to labelled notes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mscol_cli.api import BadInputError, MissingDataError, NoOptions, TaskData
from mscol_tasks.nsynth import FAMILIES, NSynth
from tests.helpers.tasks import touch, write_nsynth

NOTES = {
    "train": {"bass_electronic_000-030-100": 0, "synth_lead_synthetic_001-060-050": 9},
    "valid": {"vocal_acoustic_002-061-050": 10},
    "test": {"bass_synthetic_003-033-075": 0, "mallet_acoustic_004-062-127": 5},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All notes, with audio."""
    write_nsynth(tmp_path, NOTES)
    for split, notes in NOTES.items():
        for note in notes:
            touch(tmp_path / f"nsynth-{split}" / "audio" / f"{note}.wav")
    return tmp_path


def load(folder: Path) -> TaskData:
    return NSynth(NoOptions()).load(folder)


def test_labels_are_official_family_ids(folder: Path) -> None:
    data = load(folder)
    assert data.classes == FAMILIES
    assert len(data.classes) == 11
    assert {item.id: item.labels for item in data.items} == {
        note: (family,) for notes in NOTES.values() for note, family in notes.items()
    }
    assert {data.classes[item.labels[0]] for item in data.items if item.id[:3] == "syn"} == {
        "synth_lead"
    }


def test_files_decide_the_split(folder: Path) -> None:
    splits = {item.id: item.split for item in load(folder).items}
    assert splits == {note: split for split, notes in NOTES.items() for note in notes}


def test_a_family_without_test_notes_is_noted(folder: Path) -> None:
    note = next(note for note in load(folder).notes if "test" in note)
    assert "synth_lead" in note
    assert "mallet" not in note


def test_other_test_folders_are_more_test_sets(folder: Path) -> None:
    note = "guitar_acoustic_005-040-100"
    write_nsynth(folder, {"test-recorded": {note: 3}})
    touch(folder / "nsynth-test-recorded/audio" / f"{note}.wav")
    data = load(folder)
    assert data.test_sets == {"test": frozenset(NOTES["test"]), "test-recorded": {note}}
    assert next(item for item in data.items if item.id == note).split == "test"


def test_a_note_of_two_folders_is_refused(folder: Path) -> None:
    write_nsynth(folder, {"test-recorded": NOTES["train"]})
    with pytest.raises(BadInputError, match=r"nsynth-test-recorded.*is in two splits"):
        load(folder)


def test_a_missing_note_is_named(folder: Path) -> None:
    (folder / "nsynth-test/audio/mallet_acoustic_004-062-127.wav").unlink()
    data = load(folder)
    assert list(data.missing) == ["nsynth-test/audio/mallet_acoustic_004-062-127.wav"]
    assert len(data.items) == 4


def test_a_missing_split_names_its_file(folder: Path) -> None:
    (folder / "nsynth-valid/examples.json").unlink()
    with pytest.raises(MissingDataError, match=r"nsynth-valid/examples\.json"):
        load(folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"a": {"instrument_family": 11}}', '{"a": 3}'])
def test_a_bad_json_file_is_refused(folder: Path, text: str) -> None:
    (folder / "nsynth-test/examples.json").write_text(text)
    with pytest.raises(BadInputError, match=r"nsynth-test/examples\.json"):
        load(folder)


def test_notes_are_grouped_by_instrument(folder: Path) -> None:
    for item in load(folder).items:
        assert item.groups == {"instrument": item.id.partition("-")[0]}
