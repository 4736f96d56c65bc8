"""A real SLURM and two hosts; only with `pytest -m engines`, since they need root and programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import hosts, slurm
from tests.helpers.audio import tones, write_audio
from tests.helpers.clusters import write_job_folder


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these tests out unless they are asked for."""
    return None if "engines" in config.option.markexpr else True


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """What a user has exported before `sbatch`: the environment of mscol."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "OMP_NUM_THREADS": "1", "MSCOL_OFFLINE": "1"}


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty-four tracks of two seconds, in eight units of work."""
    folder = tmp_path_factory.mktemp("data") / "music"
    for number in range(64):
        write_audio(folder / f"{number:02}.wav", tones(2.0, seed=number))
    return folder


@pytest.fixture
def job_folder(tmp_path: Path, music: Path, store: Path) -> Path:
    """A folder with the scripts of docs/clusters.md and what they read."""
    return write_job_folder(tmp_path / "jobs", music, store)


@pytest.fixture(scope="session")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]
) -> Iterator[slurm.Cluster]:
    """A SLURM of two nodes."""
    if reason := hosts.missing(*slurm.PROGRAMS):
        pytest.skip(f"SLURM on this machine {reason}")
    with slurm.slurm(tmp_path_factory.mktemp("slurm"), environment) as running:
        yield running
