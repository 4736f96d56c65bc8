"""Cells of metadata: read where they are clear, refused with their place where they are not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mscol_cli.api import BadInputError, MissingDataError, NoOptions, TaskData
from mscol_tasks.fma import FmaSmall
from mscol_tasks.mtat import MagnaTagATune
from mscol_tasks.nsynth import NSynth
from tests.conftest import Command
from tests.helpers.tasks import touch

TAGS = "clip_id\tguitar\trock\tmp3_path\n"
FMA = ",set,set,track\n,split,subset,genre_top\ntrack_id,,,\n"
NOTE = "bass_electronic_000-030-100"


def load_mtat(folder: Path, rows: str, header: str = TAGS) -> TaskData:
    (folder / "annotations_final.csv").write_bytes((header + rows).encode())
    for name in ("0/a.mp3", "0/b.mp3", "c/c.mp3"):
        touch(folder / name)
    return MagnaTagATune(NoOptions()).load(folder)


def load_fma(folder: Path, rows: str, header: str = FMA) -> TaskData:
    touch(folder / "fma_metadata" / "tracks.csv").write_bytes((header + rows).encode())
    touch(folder / "fma_small/000/000002.mp3")
    touch(folder / "fma_small/000/000005.mp3")
    return FmaSmall(NoOptions()).load(folder)


def load_nsynth(folder: Path, train: str, valid: str = "{}") -> TaskData:
    for split, text in (("train", train), ("valid", valid), ("test", "{}")):
        touch(folder / f"nsynth-{split}" / "examples.json").write_text(text)
    touch(folder / f"nsynth-train/audio/{NOTE}.wav")
    return NSynth(NoOptions()).load(folder)


def labels(data: TaskData) -> dict[str, set[str]]:
    return {item.id: {data.classes[row] for row in item.labels} for item in data.items}


@pytest.mark.parametrize(
    "rows",
    [
        "2\t1\t0\t0/a.mp3\n6\t0\t1\t0/b.mp3\n",
        "2.0\t1.0\t0.0\t0/a.mp3\n6.0\t0.0\t1.0\t0/b.mp3\n",
        "2\t1.000e+00\t 0\t0/a.mp3\n6\t0\t1.\t 0/b.mp3\n",
        '"2"\t"1"\t"0"\t"0/a.mp3"\n"6"\t0\t1\t"0/b.mp3"\n',
        "2\t1\t0\t0/a.mp3\r\n6\t0\t1\t0/b.mp3\r\n",
        "\n2\t1\t0\t0/a.mp3\n\n\t\t\t\n6\t0\t1\t0/b.mp3\n\n\n",
        "2\t1\t0\t0/a.mp3\n6\t0\t1\t0/b.mp3\n2\t1.0\t0\t0/a.mp3\n",
    ],
    ids=["plain", "floats", "exponents", "quoted", "crlf", "blank-lines", "repeated-row"],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["", "bom"])
def test_annotations_that_mean_the_same_are_read_as_the_same(
    tmp_path: Path, mark: str, rows: str
) -> None:
    assert labels(load_mtat(tmp_path, rows, mark + TAGS)) == {"2": {"guitar"}, "6": {"rock"}}


@pytest.mark.parametrize("cell", ["yes", "", "2", "0.5", "-1", "nan", "True", "1,0"])
def test_a_label_that_is_neither_0_nor_1_is_refused_with_its_place(
    tmp_path: Path, cell: str
) -> None:
    rows = f"2\t1\t0\t0/a.mp3\n\n6\t0\t{cell}\t0/b.mp3\n"
    where = r"annotations_final\.csv, line 4, column 'rock'"
    with pytest.raises(BadInputError, match=f"{where}: '{cell}'"):
        load_mtat(tmp_path, rows)


@pytest.mark.parametrize("cell", ["", "2.5", "-2", "a", "1e3", "9" * 30])
def test_an_id_that_is_not_a_whole_number_is_refused_with_its_place(
    tmp_path: Path, cell: str
) -> None:
    with pytest.raises(BadInputError, match=r"line 2, column 'clip_id': "):
        load_mtat(tmp_path, f"{cell}\t1\t0\t0/a.mp3\n")
    with pytest.raises(BadInputError, match=r"line 4, column 'track_id': "):
        load_fma(tmp_path, f"{cell},training,small,Rock\n")


def test_an_id_with_other_values_than_before_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"line 3, column 'clip_id': 2 .*line 2"):
        load_mtat(tmp_path, "2\t1\t0\t0/a.mp3\n2.0\t0\t1\t0/a.mp3\n")
    rows = "2,training,small,Rock\n2,test,small,Rock\n"
    with pytest.raises(BadInputError, match=r"line 5, column 'track_id': 000002 .*line"):
        load_fma(tmp_path, rows)


@pytest.mark.parametrize(
    "path", ["0/../../a.mp3", "/0/a.mp3", "0", "0//a.mp3", "0/a\0.mp3", "g/a.mp3"]
)
def test_a_clip_outside_the_folders_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(BadInputError, match=r"line 2.*(outside folders 0 to f|NUL)"):
        load_mtat(tmp_path, f"2\t1\t0\t{path}\n")


def test_a_quote_that_is_never_closed_swallows_no_rows(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="line 2: "):
        load_mtat(tmp_path, '2\t1\t0\t"0/a.mp3\n6\t0\t1\t0/b.mp3\n')


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"columns .*'rock'"):
        load_mtat(tmp_path, "", "clip_id\trock\trock\tmp3_path\n")


@pytest.mark.parametrize(("delimiter", "name"), [(",", "commas"), (";", "semicolons")])
def test_annotations_with_another_delimiter_are_refused(
    tmp_path: Path, delimiter: str, name: str
) -> None:
    rows = "2\t1\t0\t0/a.mp3\n".replace("\t", delimiter)
    with pytest.raises(BadInputError, match=rf"csv, line 1: .* by {name}, not by tabs: unpack"):
        load_mtat(tmp_path, rows, TAGS.replace("\t", delimiter))


@pytest.mark.parametrize(("delimiter", "name"), [("\t", "tabs"), (";", "semicolons")])
def test_tracks_with_another_delimiter_are_refused(
    tmp_path: Path, delimiter: str, name: str
) -> None:
    table = (FMA + "2,training,small,Rock\n").replace(",", delimiter)
    with pytest.raises(BadInputError, match=rf"csv, line 1: .* by {name}, not by commas: unpack"):
        load_fma(tmp_path, table, "")


def test_quoted_cells_with_another_delimiter_are_refused_in_the_same_words(tmp_path: Path) -> None:
    header = '"clip_id","guitar","rock","mp3_path"\n'
    with pytest.raises(BadInputError, match=r"csv, line 1: .* by commas, not by tabs"):
        load_mtat(tmp_path, '"2","1","0","0/a.mp3"\n', header)


def test_text_in_another_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    load_mtat(tmp_path, "2\t1\t0\t0/a.mp3\n")
    table = tmp_path / "annotations_final.csv"
    table.write_bytes(table.read_bytes() + b"6\t0\t1\t0/b\xe9.mp3\n")
    with pytest.raises(BadInputError, match=r"csv, line 3, byte 10: not text in UTF-8"):
        MagnaTagATune(NoOptions()).load(tmp_path)
    load_nsynth(tmp_path, json.dumps({NOTE: {"instrument_family": 3}}))
    (tmp_path / "nsynth-train/examples.json").write_text("{}", encoding="utf-16")
    with pytest.raises(BadInputError, match=r"json, line 1, byte 1: not text in UTF-8"):
        NSynth(NoOptions()).load(tmp_path)


@pytest.mark.parametrize("name", ["index", "Unnamed: 0"])
def test_tracks_without_ids_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingDataError, match="no columns track_id: unpack"):
        load_fma(tmp_path, "2,training,small,Rock\n", name + FMA)


def test_a_subset_that_is_unknown_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"line 4, column 'set\.subset': 'Small'"):
        load_fma(tmp_path, "2,training,Small,Rock\n")


@pytest.mark.parametrize(
    "table",
    [
        FMA + "2,training,small,Rock\n5,test,small,Folk\n",
        FMA + "2.0,training,small,Rock\n5.0,test,small,Folk\n",
        FMA.replace("track_id,,,\n", "") + "000002,training,small,Rock\n5,test,small,Folk\n",
        "\ufeff"
        + (FMA + "2,training,small,Rock\n\n5,test,small,Folk\n,,,\n").replace("\n", "\r\n"),
    ],
    ids=["plain", "floats", "without-index-name", "bom-crlf-blank-lines"],
)
def test_tracks_that_mean_the_same_are_read_as_the_same(tmp_path: Path, table: str) -> None:
    assert labels(load_fma(tmp_path, table, "")) == {"000002": {"Rock"}, "000005": {"Folk"}}


def test_a_family_may_be_a_float_that_is_whole(tmp_path: Path) -> None:
    (tmp_path / "nsynth-train").mkdir()
    text = json.dumps({NOTE: {"instrument_family": 3.0}})
    assert labels(load_nsynth(tmp_path, "\ufeff" + text)) == {NOTE: {"guitar"}}


@pytest.mark.parametrize("family", [3.5, True, None, -1, 11, [3]])
def test_a_family_that_is_not_whole_is_refused(tmp_path: Path, family: object) -> None:
    notes = {NOTE: {"pitch": 60, "instrument_family": family}}
    with pytest.raises(BadInputError, match=r"json, line 4, column 3: note 'bass.*_family"):
        load_nsynth(tmp_path, json.dumps(notes, indent=1))


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("instrument_family_str", "vocal", "instrument_family 0, which is bass, and .* 'vocal'"),
        ("instrument_family_str", 0, "instrument_family 0, which is bass, .*_str 0:"),
        ("instrument_str", None, "instrument_str None, not a name"),
        ("instrument_str", ["a"], "instrument_str .*, not a name"),
        ("instrument_str", "", "instrument_str '', not a name"),
    ],
)
def test_a_field_that_contradicts_or_is_not_text_is_refused(
    tmp_path: Path, field: str, value: object, reason: str
) -> None:
    note = {"instrument_family": 0, "instrument_family_str": "bass", field: value}
    with pytest.raises(BadInputError, match=f"note '{NOTE}' has {reason}"):
        load_nsynth(tmp_path, json.dumps({NOTE: note}))


def test_a_note_without_a_family_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=f"note '{NOTE}' lacks instrument_family"):
        load_nsynth(tmp_path, json.dumps({NOTE: {"pitch": 60}}))


@pytest.mark.parametrize("key", ["../x", "/etc/x", "a/b", "x\0"])
def test_a_note_outside_its_folder_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(BadInputError, match="folder audio"):
        load_nsynth(tmp_path, json.dumps({key: {"instrument_family": 0}}))


def test_a_note_that_is_there_twice_is_refused_unless_both_are_the_same(tmp_path: Path) -> None:
    note = f'"{NOTE}": {{"instrument_family": %d}}'
    assert len(load_nsynth(tmp_path, f"{{{note % 0}, {note % 0}}}").items) == 1
    with pytest.raises(BadInputError, match=r"json, line 2, column 1: .*twice"):
        load_nsynth(tmp_path, f"{{{note % 0},\n{note % 1}}}")
    with pytest.raises(BadInputError, match="is in two splits"):
        load_nsynth(tmp_path, f"{{{note % 0}}}", f"{{{note % 0}}}")


def test_a_damaged_cell_ends_a_probe_with_one_line(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_mtat(tmp_path, "2\t1\t0\t0/a.mp3\n")
    with (tmp_path / "annotations_final.csv").open("a") as file:
        file.write("6\tyes\t0\t0/b.mp3\n")
    probe = ["probe", "mtat", "--data", tmp_path, "--model", "untrained", "--encoder", "small"]
    assert mscol(*probe, "-o", "out") == 1
    error = capsys.readouterr().err.splitlines()
    assert "line 3, column 'guitar': 'yes'" in error[-1]


def test_float_labels_are_probed_like_whole_ones(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table as pandas writes it once a column held NaN: no clip is lost, no tag is empty."""
    rng = np.random.default_rng(0)
    rows = []
    for clip, split in enumerate("000000ccccdddd"):
        path = tmp_path / split / f"{clip}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal(16_000), 16_000)
        rows.append(f"{clip}.0\t{clip % 2}.0\t{(clip + 1) % 2}.0\t{split}/{clip}.mp3\n")
    (tmp_path / "annotations_final.csv").write_text(TAGS + "".join(rows))
    probe = ["probe", "mtat", "--data", tmp_path, "--model", "untrained", "--encoder", "small"]
    assert mscol(*probe, "--seeds", 1, "--protocol", "epochs=1", "-o", "out") == 0
    report = json.loads(Path("out/probe.json").read_text())
    assert report["counts"] == {"train": 6, "valid": 4, "test": 4}
    assert not any("clip of:" in note for note in report["notes"])
