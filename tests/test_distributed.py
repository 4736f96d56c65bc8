"""Many processes compute what one computes: values, gradients, batch statistics."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mscol_cli.distributed import GlobalBatchNorm, gather, share

SCRIPT = Path(__file__).parent / "processes" / "gradients.py"


def run(script: Path, processes: int, output: Path) -> dict[str, Tensor]:
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *(torchrun if processes > 1 else []), str(script), str(output)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if "Signal" in done.stderr:
        # Rarely a process of several is lost to a signal; what is computed is checked all the same.
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return load_file(output)


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    return run(SCRIPT, 1, tmp_path_factory.mktemp("one") / "found.safetensors")


@pytest.mark.parametrize("processes", [2, 4])
def test_loss_gradients_and_statistics_equal_those_of_one_process(
    one_process: dict[str, Tensor], processes: int, tmp_path: Path
) -> None:
    many = run(SCRIPT, processes, tmp_path / "found.safetensors")
    assert many.keys() == one_process.keys()
    assert {name.partition("/")[0] for name in many} >= {
        "clmr",
        "cola",
        "msa",
        "mws",
        "random-mask",
    }
    for name, value in many.items():
        assert value.dtype == torch.float64 or "accuracy" in name
        gap = float((value - one_process[name]).abs().max())
        assert gap < 1e-9, f"{name} differs by {gap}"


def test_one_process_needs_no_group() -> None:
    rows = torch.arange(6.0, requires_grad=True)
    assert gather(rows) is rows
    assert share(6) == slice(0, 6)


def test_global_batch_norm_keeps_names_values_and_what_comes_after() -> None:
    plain = nn.BatchNorm2d(3)
    plain.act = nn.ReLU()
    wrapped = GlobalBatchNorm(plain)
    images = torch.randn(4, 3, 5, 5)
    assert wrapped.state_dict().keys() == plain.state_dict().keys()
    torch.testing.assert_close(wrapped(images), plain(images).relu())
