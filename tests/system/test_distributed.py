"""Many processes compute what one computes: values, gradients, batch statistics."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # it has no __all__

from mscol_cli.system.distributed import gather, share
from tests.processes.gradients import GROUPS

SCRIPT = Path(__file__).parents[1] / "processes" / "gradients.py"


@pytest.fixture(scope="module")
def updates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each group of processes has computed, in a file each."""
    folder = tmp_path_factory.mktemp("updates")
    # A port that is chosen and then opened by another process may be taken in between.
    stores = [TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False) for _ in GROUPS]
    ports = [str(store.port) for store in stores]
    command = [sys.executable, str(SCRIPT), str(folder), *ports]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize(("dtype", "processes"), [group for group in GROUPS if group[1] > 1])
def test_loss_gradients_and_statistics_equal_those_of_one_process(
    updates: Path, dtype: str, processes: int
) -> None:
    one = load_file(updates / f"{dtype}-1.safetensors")
    many = load_file(updates / f"{dtype}-{processes}.safetensors")
    assert many.keys() == one.keys()
    assert {name.partition("/")[0] for name in many} >= {
        "clmr",
        "cola",
        "msa",
        "msa symmetric",
        "multi-positive",
        "multi-positive symmetric",
        "mws",
        "random-mask",
        "submixtures",
    }
    assert len(many["msa+mws/embeddings of positive"]) == 64
    assert torch.equal(many["without project/loss"], many["cola/loss"])
    assert torch.equal(many["leaving out/loss"], many["cola/loss"])
    assert "leaving out/objective.extra.weight" not in many  # it has no gradient, as in one process
    for name, value in many.items():
        assert value.dtype == getattr(torch, dtype) or "accuracy" in name
        if "/accuracy/" in name and value.isnan():  # a source that was not drawn
            assert one[name].isnan(), name
            continue
        gap = float((value - one[name]).abs().max())
        allowed = TOLERANCE[dtype](name) * float(one[name].abs().max())
        assert gap <= allowed, f"{name} differs by {gap}"


def in_float64(name: str) -> float:
    """Embeddings of clmr's filtered crops magnify rounding more than the loss does."""
    return 1e-8 if "embeddings" in name else 1e-9


def in_float32(name: str) -> float:
    """What comes out is the same; weights of convolutions have gradients that are small differences
    of large sums, the first one most of all, since silent positives are constants."""
    if name.endswith("stem.0.weight"):
        return 1e-2
    if name.endswith("/loss"):
        return 1e-6
    return 3e-4 if "blocks" in name and name.endswith("0.weight") else 2e-5


TOLERANCE = {"float64": in_float64, "float32": in_float32}


def test_one_process_needs_no_group() -> None:
    rows = torch.arange(6.0, requires_grad=True)
    assert gather(rows) is rows
    assert share(6) == slice(0, 6)
