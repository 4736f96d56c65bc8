"""Files that were made to harm: nothing in them is executed, and each is refused in one line."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.lib.format import MAGIC_PREFIX

from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.runs.checkpoint import read_weights
from tests.conftest import Command
from tests.helpers.counts import UNEXPECTED
from tests.helpers.folders import write_vectors

Capture = pytest.CaptureFixture[str]
MARK = "executed"
MARKUP = "<img src=x onerror=alert(1)>"


class Payload:
    """Makes a file in the current folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (MARK,)


def header(content: object, length: int | None = None) -> bytes:
    """The start of a safetensors file with this header, which may state another length."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text


def tensor(shape: list[int], start: int, end: int, kind: str = "F32") -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


def torch_pickle(path: Path) -> None:
    torch.save({"a": Payload()}, path)


SAFETENSORS: Mapping[str, bytes] = {
    "empty": b"",
    "pickle": pickle.dumps(Payload()),
    "length beyond the file": header(b"{}", 1 << 62),
    "length of 100 TB": header(b"{}", 10**14),
    "negative length": b"\xff" * 8 + b"{}",
    "data beyond the file": header({"a": tensor([4], 0, 16)}),
    "shape beyond its data": header({"a": tensor([10**9], 0, 4)}) + bytes(4),
    "shape that overflows": header({"a": tensor([2**40, 2**40], 0, 4)}) + bytes(4),
    "negative shape": header({"a": tensor([-1], 0, 4)}) + bytes(4),
    "overlapping": header({"a": tensor([1], 0, 4), "b": tensor([1], 2, 6)}) + bytes(6),
    "reversed offsets": header({"a": tensor([1], 4, 0)}) + bytes(4),
    "gap": header({"a": tensor([1], 4, 8)}) + bytes(8),
    "unknown type": header({"a": tensor([1], 0, 4, "PICKLE")}) + bytes(4),
    "deep": header(b"[" * 100_000),
    "not UTF-8": header(b'{"\xff": 1}'),
    "no object": header([1, 2]),
    "other tensors": header({"../../x": tensor([1], 0, 4)}) + bytes(4),
}


def npy(description: bytes, version: tuple[int, int] = (1, 0)) -> bytes:
    """A .npy file with this header."""
    return MAGIC_PREFIX + bytes(version) + struct.pack("<H", len(description)) + description


def arrays(description: str = "<i2", shape: str = "(4,)") -> bytes:
    text = f"{{'descr': '{description}', 'fortran_order': False, 'shape': {shape}}}\n"
    return npy(text.encode()) + bytes(8)


def object_array(folder: Path) -> bytes:
    path = folder / "objects.npy"
    np.save(path, np.array([Payload()], object), allow_pickle=True)
    return path.read_bytes()


NPY: Mapping[str, bytes] = {
    "empty": b"",
    "pickle": pickle.dumps(Payload()),
    "shape beyond the file": arrays(shape="(10**15,)".replace("10**15", "1" + "0" * 15)),
    "shape that overflows": arrays(shape=f"({2**40}, {2**40})"),
    "negative shape": arrays(shape="(-1,)"),
    "code in the header": npy(b"__import__('os').mkdir('executed')\n"),
    "call in the header": npy(b"{'descr': __import__('os').mkdir('executed')}\n"),
    "type of objects": arrays("|O"),
    "unknown version": npy(b"{}\n", (9, 9)),
    "deep header": npy(b"(" * 9000 + b"\n"),
    "more dimensions": arrays(shape="(1, 1, 4)"),
}


@pytest.mark.parametrize("kind", [*SAFETENSORS, "torch"])
def test_weights_that_lie_are_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    if kind == "torch":
        torch_pickle(path)
    else:
        path.write_bytes(SAFETENSORS[kind])
    if kind == "other tensors":
        assert read_weights(tmp_path, "encoder").keys() == {"../../x"}
        return
    with pytest.raises(UsageError, match=r"encoder\.safetensors is damaged"):
        read_weights(tmp_path, "encoder")
    assert not Path(MARK).exists()


@pytest.mark.parametrize("kind", ["pickle", "other tensors", "length of 100 TB"])
def test_a_model_with_such_weights_is_one_line(
    mscol: Command, trained: Path, tmp_path: Path, kind: str, capsys: Capture
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(trained / "checkpoints" / "best", folder)
    (folder / "encoder.safetensors").write_bytes(SAFETENSORS[kind])
    (tmp_path / "a.wav").write_bytes(b"")
    assert mscol("embed", "a.wav", "--model", folder, "--device", "cpu") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / MARK).exists()


@pytest.mark.parametrize("name", ["shards/00000.npy", "levels.npy"])
@pytest.mark.parametrize("kind", [*NPY, "objects"])
def test_arrays_of_a_store_that_lie_are_refused(
    mscol: Command, store: Path, tmp_path: Path, name: str, kind: str, capsys: Capture
) -> None:
    copy = shutil.copytree(store, tmp_path / "a.store")
    (copy / name).write_bytes(object_array(tmp_path) if kind == "objects" else NPY[kind])
    commands = [["store", "verify", copy]]
    if name != "levels.npy":
        commands.append(["store", "export", copy, "--all", "--source", "vocals", "-o", "out"])
    else:
        commands.append(["pretrain", copy, "--objective", "mws", "--encoder", "small", "--dry-run"])
    for command in commands:
        code = mscol(*command)
        error = capsys.readouterr().err
        assert code in range(1, 5), command
        assert not UNEXPECTED.search(error), error
        assert "error: " in error
    assert not (tmp_path / MARK).exists()


@pytest.mark.slow
@pytest.mark.usefixtures("draft_pictures")
def test_settings_of_a_run_are_no_markup_in_a_report(
    mscol: Command, trained: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(trained, tmp_path / "runs" / "a", symlinks=True)
    for folder in (run, run / "checkpoints" / "step-00000006"):
        info = json.loads((folder / "run.json").read_text())
        info |= {"git": MARKUP, "mscol": MARKUP, "torch": MARKUP, "recipe": MARKUP}
        info["store"]["path"] = f"/music/{MARKUP}"
        info["objective"]["parts"][0]["options"]["similarity"] = MARKUP
        info["init"] = {"reference": MARKUP, "hash": MARKUP}
        (folder / "run.json").write_text(json.dumps(info))
    state = json.loads((run / "state.json").read_text())
    (run / "state.json").write_text(json.dumps({**state, "state": "failed", "reason": MARKUP}))
    assert mscol("report", run, "-o", "page", "--neighbours", 0, "--title", MARKUP) in (0, 3)
    html = (tmp_path / "page" / "report.html").read_text()
    assert MARKUP not in html
    assert html.count("&lt;img src=x") >= 4
    # Blocks of code, which are not markup, hold commands as they are.
    markdown = (tmp_path / "page" / "report.md").read_text()
    assert MARKUP not in re.sub("^```.*?^```", "", markdown, flags=re.DOTALL | re.MULTILINE)


def test_a_missing_file_is_not_damaged(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError):
        read_weights(tmp_path, "encoder")


def test_title_and_groups_of_a_map_are_no_markup(mscol: Command, tmp_path: Path) -> None:
    write_vectors(tmp_path / "v", {"a": [1, 2, 3], "b": [3, 2, 1], "c": [1, 1, 1]})
    (tmp_path / "tags.csv").write_text(f"id,{MARKUP}\na,{MARKUP}\nb,</script>{MARKUP}\nc,x\n")
    assert mscol("map", "v", "--title", MARKUP, "--color", "tags.csv", "--clusters", 2) == 0
    html = (tmp_path / "map.html").read_text()
    assert MARKUP not in html
    assert html.count("</script>") == html.count("<script")
