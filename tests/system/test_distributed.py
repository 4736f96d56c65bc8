"""Many processes compute what one computes: values, gradients, batch statistics."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mscol_cli.system.distributed import gather, share

SCRIPT = Path(__file__).parents[1] / "processes" / "gradients.py"


def run(script: Path, processes: int, output: Path, *arguments: str) -> dict[str, Tensor]:
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [
        sys.executable,
        *(torchrun if processes > 1 else []),
        str(script),
        str(output),
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if "Signal" in done.stderr:
        # Rarely a process of several is lost to a signal; what is computed is checked all the same.
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return load_file(output)


@pytest.fixture(scope="module", params=["float64", "float32"])
def one_process(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, Tensor]]:
    """A floating-point type, and what one process computes in it."""
    output = tmp_path_factory.mktemp("one") / "found.safetensors"
    return request.param, run(SCRIPT, 1, output, request.param)


@pytest.mark.parametrize("processes", [2, 4])
def test_loss_gradients_and_statistics_equal_those_of_one_process(
    one_process: tuple[str, dict[str, Tensor]], processes: int, tmp_path: Path
) -> None:
    dtype, one = one_process
    many = run(SCRIPT, processes, tmp_path / "found.safetensors", dtype)
    assert many.keys() == one.keys()
    assert {name.partition("/")[0] for name in many} >= {
        "clmr",
        "cola",
        "msa",
        "mws",
        "random-mask",
    }
    assert len(many["msa+mws/embeddings of positive"]) == 64
    assert torch.equal(many["without project/loss"], many["cola/loss"])
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
