"""Communication of distributed pre-training: bytes per training step, by kind of tensor.

    torchrun --standalone --nproc-per-node=4 bench/wire.py [--encoder NAME] [--objective NAME]

Tensors with one axis are gradient buckets and labels; float32 tensors with two axes are projections
and their gradients; float64 tensors are batch normalisation statistics, which are float32 on GPUs.

The script counts the tensors passed to collectives in one step on CPUs, and computes the bytes that
each process sends if collectives are rings, as those of NCCL are for large tensors. It also prints
the bytes received by the loopback device, which are meaningful if nothing else uses it, as in a
separate network namespace (`unshare --net`). Gloo also uses rings, but implements reduce-scatter by
all-reduce.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.table import add_write, measured, report
from mscol_cli.api import StoreIndex
from mscol_cli.engine.batch_norm import globalise_batch_norm
from mscol_cli.engine.devices import pick_device, process_group
from mscol_cli.engine.models import build_encoder, build_objective
from mscol_cli.host import find_objective, find_part, load_registry
from mscol_cli.pretrain.step import Pretraining, data_parallel
from mscol_cli.system import distributed

GATHER, SCATTER, REDUCE = "all-gather", "reduce-scatter", "all-reduce"
COUNTED = {
    "all_gather_single": GATHER,
    "all_gather_into_tensor": GATHER,
    "reduce_scatter_single": SCATTER,
    "reduce_scatter_tensor": SCATTER,
    "all_reduce": REDUCE,
}
Sent = Counter[tuple[str, str]]


def full_tensor(kind: str, tensors: tuple[Any, ...]) -> torch.Tensor:
    """The argument of a collective that contains the shares of all processes."""
    tensor: torch.Tensor = tensors[1] if kind == SCATTER else tensors[0]
    return tensor


def sent_in_ring(kind: str, size: int, processes: int) -> float:
    """Bytes that each process sends for a tensor of `size` bytes."""
    return (2 if kind == REDUCE else 1) * (processes - 1) / processes * size


def count(sent: Sent, times: Counter[tuple[str, str]]) -> None:
    """Count bytes and calls of all later collectives, by kind, data type and number of axes."""

    def counting(kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*tensors: Any, **options: Any) -> Any:
            tensor = full_tensor(kind, tensors)
            key = kind, f"{str(tensor.dtype).removeprefix('torch.')}, {tensor.dim()} axes"
            sent[key] += tensor.numel() * tensor.element_size()
            times[key] += 1
            return call(*tensors, **options)

        return counted

    for name, kind in COUNTED.items():
        if hasattr(dist, name):
            setattr(dist, name, counting(kind, getattr(dist, name)))


def make_index() -> StoreIndex:
    """Index of an imaginary store of forty tracks."""
    level = np.full((40, 3), 0.1, np.float32)
    return StoreIndex(
        sources=("mixture", "drums", "vocals"),
        sample_rate=16_000,
        track_ids=tuple(f"t{track}" for track in range(40)),
        track_samples=np.full(40, 70_000),
        segment_track=np.arange(40),
        segment_start=np.zeros(40, np.int64),
        segment_samples=np.full(40, 62_960),
        segment_level=level,
        published_level=level,
    )


def loopback() -> int:
    """Bytes received by the loopback device so far."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.strip().startswith("lo:"))


def main() -> None:
    """Measure, and print the results in the first process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--encoder", default="efficientnet_b0")
    parser.add_argument("--objective", default="msa")
    parser.add_argument("--batch", type=int, default=16, help="pairs of all processes")
    add_write(parser, "wire")
    arguments = parser.parse_args()
    registry = load_registry()
    with process_group(pick_device("cpu")):
        network = build_encoder(find_part(registry, "encoder", arguments.encoder), seed=0)
        task = build_objective(find_objective(registry, arguments.objective), network, seed=0)
        plan = task.plan(make_index(), np.random.default_rng(0), arguments.batch)
        share = distributed.share(arguments.batch)
        rows = share.stop - share.start
        labels = {name: torch.from_numpy(label) for name, label in plan.rows(share).labels.items()}
        waveforms = {view: torch.randn(rows, network.crop_samples) * 0.01 for view in plan.views}
        model = Pretraining(network, task)
        step = data_parallel(globalise_batch_norm(model, torch.device("cpu")))
        sent, times = Sent(), Sent()
        if isinstance(step, DistributedDataParallel):
            # Its built-in reduction bypasses the counted functions.
            step.register_comm_hook(None, allreduce_hook)
        count(sent, times)
        dist.barrier()
        before = loopback()
        step(waveforms, labels)[0].backward()
        dist.barrier()
        on_loopback = (loopback() - before) / distributed.world_size()
        if distributed.rank() == 0:
            size = print_counts(sent, times)
            what = f"wire, {arguments.encoder}, {arguments.objective}, {arguments.batch} pairs in"
            row = measured(
                f"{what} {distributed.world_size()} processes: each sends {size / 1e6:.2f} MB",
                f"loopback device: {on_loopback / 1e6:.2f} MB",
                None,
                "torchrun bench/wire.py",
                torch.get_num_threads(),
            )
            report("wire", [row], write=arguments.write)


def print_counts(sent: Sent, times: Sent) -> float:
    """Print calls and bytes; returns the bytes that each process sends."""
    processes, total = distributed.world_size(), 0.0
    for (kind, what), size in sent.items():
        each = sent_in_ring(kind, size, processes)
        total += each
        print(f"{kind:15} {what:20} {times[kind, what]:4} x {size:12,} bytes; sends {each:14,.0f}")
    return total


if __name__ == "__main__":
    main()
