"""The scripts of docs/clusters.md, as they stand there, with what they read."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "clusters.md"
_SCRIPT = re.compile(r"^### (\S+\.\w+)\n.*?^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def scripts() -> dict[str, str]:
    """Every script of the page, by its heading."""
    return dict(_SCRIPT.findall(PAGE.read_text(encoding="utf-8")))


def write_job_folder(folder: Path, music: Path, store: Path) -> Path:
    """Write a folder with the scripts and hard links to music and a store; returns it."""
    shutil.copytree(music, folder / "music", copy_function=os.link)
    shutil.copytree(store, folder / "music.store", copy_function=os.link)
    for name, text in scripts().items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder
