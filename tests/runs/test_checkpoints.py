"""Checkpoints of a run: which folders count, in which order, and which are pruned."""

import shutil
from pathlib import Path

from mscol_cli.runs.checkpoint import latest_checkpoint, prune
from mscol_cli.runs.layout import checkpoint_folder, checkpoint_folders


def test_a_copy_of_a_checkpoint_is_neither_the_latest_nor_pruned(
    trained: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run", symlinks=True))
    newest = checkpoint_folder(run, 6)
    older = shutil.copytree(newest, checkpoint_folder(run, 5))
    copies = [newest.with_name(name) for name in ("step-00000001-mine", "step-00000006.bak")]
    for copy in copies:
        shutil.copytree(newest, copy)
    checkpoint = latest_checkpoint(run)
    assert checkpoint is not None
    assert checkpoint.folder == newest
    prune(run, keep=1)
    assert not older.exists()
    assert all(folder.is_dir() for folder in (newest, *copies))


def test_checkpoints_are_sorted_by_step(tmp_path: Path) -> None:
    folders = [checkpoint_folder(tmp_path, step) for step in (9, 99_999_999, 100_000_000)]
    for folder in folders:
        folder.mkdir(parents=True)
    assert checkpoint_folders(tmp_path) == folders
