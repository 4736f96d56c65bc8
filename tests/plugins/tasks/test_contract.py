"""What every installed task must keep to, bundled or not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mscol_cli.api import MissingDataError
from mscol_cli.host import Part, load_registry
from mscol_cli.host.registry import Entry
from mscol_cli.probe.tasks import build_task

ENTRIES = load_registry().of_kind("task")
every_task = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.card.name)


def test_the_bundled_tasks_are_installed() -> None:
    assert {"mtat", "nsynth", "fma", "folder", "stems"} <= {entry.card.name for entry in ENTRIES}


@every_task
def test_the_card_says_what_it_is_in_one_line(entry: Entry) -> None:
    assert entry.card.summary
    assert "\n" not in entry.card.summary + entry.card.reference
    assert not entry.card.summary.endswith(".")


@every_task
def test_the_protocol_can_be_trained_and_scored(entry: Entry) -> None:
    protocol = build_task(Part(entry, entry.card.options())).protocol
    assert min(protocol.epochs, protocol.patience, protocol.batch_size) >= 1
    assert 0 < protocol.learning_rate < 1


@every_task
def test_an_empty_folder_is_refused_in_one_line_that_names_it(entry: Entry, tmp_path: Path) -> None:
    task = build_task(Part(entry, entry.card.options()))
    with pytest.raises(MissingDataError, match=str(tmp_path)) as caught:
        task.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_declaring_the_cards_imports_neither_torch_nor_numpy() -> None:
    code = "import sys, mscol_tasks.plugin; print({'torch', 'numpy'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
