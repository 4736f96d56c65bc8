"""Parity with numbers that the authors' code computed, and with the real metadata.

They are not distributed with mscol: MSCOL_REFERENCE names the folder that holds them.
"""

import csv
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mscol_cli.api import TOP_TAGS, NoOptions, TaskData
from mscol_encoders.logmel import LogMel, mel_matrix
from mscol_objectives.association import association_logits
from mscol_objectives.similarity import BilinearSimilarity
from mscol_tasks.mtat import MagnaTagATune
from tests.helpers.tasks import touch

REFERENCE = Path(os.environ.get("MSCOL_REFERENCE", "no reference"))
pytestmark = pytest.mark.skipif(not REFERENCE.is_dir(), reason="MSCOL_REFERENCE is not set")
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def fixture(name: str) -> dict[str, Any]:
    with np.load(REFERENCE / "fixtures" / f"{name}.npz") as found:
        return dict(found)


@pytest.mark.parametrize("device", DEVICES)
def test_the_log_mel_is_the_published_one(device: str) -> None:
    golden = fixture("logmel")
    waveform = golden["waveform"] / (np.linalg.norm(golden["waveform"]) + 1e-9)
    front_end = LogMel().to(device)
    computed = front_end(torch.from_numpy(waveform)[None].to(device))[0].cpu().numpy()
    assert np.abs(computed - golden["log_mel"]).max() < 1e-4
    assert np.abs(mel_matrix() - golden["mel_matrix"]).max() < 1e-4


@pytest.mark.parametrize("case", ["none", "some", "all"])
def test_loss_and_accuracy_are_the_published_ones(case: str) -> None:
    golden = fixture(f"loss_{case}_silent")
    similarity = BilinearSimilarity(std=0.05)
    similarity.weight.data = torch.from_numpy(golden["bilinear_weight"])
    rows = [torch.from_numpy(golden[f"{view}_embeddings"]) for view in ("anchor", "positive")]
    silent = torch.from_numpy(golden["silent"])
    logits, targets = association_logits(rows[0], rows[1], silent, similarity)
    accuracy = (logits.argmax(1) == targets).float().mean().item()
    assert F.cross_entropy(logits, targets).item() == pytest.approx(float(golden["loss"]), abs=1e-5)
    assert accuracy == pytest.approx(float(golden["accuracy"]), abs=1e-5)


@pytest.fixture(scope="module")
def mtat(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    """All 25,863 paths with the labels that are known: those of validation and test clips. A
    training clip is given one tag."""
    folder = tmp_path_factory.mktemp("mtat")
    order = re.findall(r"'([^']+)'", (REFERENCE / "mtat/output_labels_mtt.txt").read_text())
    labels = {**_labels("val"), **_labels("test")}
    with (folder / "annotations_final.csv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(["clip_id", *order, "mp3_path"])
        for clip, path in _index():
            own = labels.get(clip, [1.0, *[0.0] * 49])
            writer.writerow([clip, *(int(value) for value in own), path])
            touch(folder / path)
    return MagnaTagATune(NoOptions()).load(folder)


def _index() -> Iterator[tuple[str, str]]:
    for line in (REFERENCE / "mtat/index_mtt.tsv").read_text().splitlines():
        clip, _, path = line.partition("\t")
        yield clip, path


def _labels(split: str) -> dict[str, list[float]]:
    lines = (REFERENCE / f"mtat/{split}_gt_mtt.tsv").read_text().splitlines()
    return {line.partition("\t")[0]: json.loads(line.partition("\t")[2]) for line in lines}


def _listed(name: str) -> set[str]:
    text = (REFERENCE / f"mtat/{name}_list_pub.cP").read_text()
    return set(re.findall(r"S'([^']+)\.npy'", text))


def test_every_path_parses_and_the_rule_gives_the_published_counts(mtat: TaskData) -> None:
    splits = [item.split for item in mtat.items]
    assert len(list(_index())) == 25_863
    assert splits.count("train") == 18_709 - 3  # three corrupt clips
    assert splits.count("valid") == 1_529
    assert {name: len(members) for name, members in mtat.test_sets.items()} == {
        "filtered": 4_332,
        "unfiltered": 5_329,
    }


@pytest.mark.parametrize("split", ["valid", "test"])
def test_the_filtered_clips_are_those_of_the_published_lists(mtat: TaskData, split: str) -> None:
    filtered = {
        f"{item.path.parent.name}/{item.path.stem}"
        for item in mtat.items
        if item.split == split and item.labels
    }
    assert filtered == _listed(split)


def test_the_tags_are_in_the_published_order() -> None:
    listed = (REFERENCE / "mtat/top50_tags.txt").read_text().splitlines()
    ours = [tag.replace(" ", "") for tag in TOP_TAGS]
    assert [tag.strip().lower() for tag in listed if tag.strip()] == ours
