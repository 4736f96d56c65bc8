"""CPU time of each kind of operator on a CPU, beside its own bound.

    python bench/operators.py update --encoder efficientnet_b0 [--write]    # a training update
    python bench/operators.py embed --encoder efficientnet_b0 [--write]     # a batch of windows

One thread. The work is done several times, and each call counts with its shortest CPU time. The
bound of a call is the longer of its FLOPs at the speed of a matrix product and a copy that reads
and writes as many bytes as the call has inputs and outputs. Kinds that take less than a hundredth
of the time are summed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.table import Row, add_write, measured, report
from bench.timing import best_cpu_seconds
from bench.updates import PAIRS, build_update
from mscol_cli.engine.devices import keep_freed_memory
from mscol_cli.engine.folding import folded
from mscol_cli.engine.models import untrained_model
from mscol_cli.host import find_part, load_registry

WINDOWS = 32
SMALL = 0.01
"""Share of the time under which kinds of operators are summed."""
CONVOLUTIONS = ("convolution", "conv2d", "convolution_backward")
PRODUCTS = {"mm": 0, "bmm": 0, "matmul": 0, "linear": 0, "addmm": 1}
"""Matrix products, with the position of their left factor among the arguments."""


@dataclass(frozen=True)
class Call:
    """A call of an operator.

    Attributes:
        kind: Kind of operator.
        seconds: CPU time.
        flops: Floating-point operations of products and convolutions.
        moved: Bytes of inputs and outputs.
    """

    kind: str
    seconds: float
    flops: int
    moved: int


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # nor here
    """Records the calls of operators, but for views."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no types here
        self.calls: list[Call] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call an operator, and record it."""
        begun = time.thread_time()
        result = func(*args, **(kwargs or {}))
        seconds = time.thread_time() - begun
        if not any(r.alias_info and not r.alias_info.is_write for r in func._schema.returns):
            tensors = [leaf for leaf in tree_leaves((args, result)) if isinstance(leaf, Tensor)]
            moved = sum(min(t.nbytes, t.untyped_storage().nbytes()) for t in tensors)
            kind, flops = _described(func, args, result)
            self.calls.append(Call(kind, seconds, flops, moved))
        return result


def _described(func: Any, args: Any, result: Any) -> tuple[str, int]:
    """Kind of a call, and its FLOPs."""
    name = func._schema.name.removeprefix("aten::")
    if name in CONVOLUTIONS:
        backward = name.endswith("backward")
        output, weight = (args[0], args[2]) if backward else (result, args[1])
        passes = sum(args[-1][:2]) if backward else 1
        shape = "depthwise" if weight.shape[1] == 1 < len(weight) else "other"
        shape = "pointwise" if weight[0, 0].numel() == 1 < weight.shape[1] else shape
        flops = 2 * passes * output.numel() * weight[0].numel()
        return f"{shape} convolutions{', backward' * backward}", flops
    if name in PRODUCTS:
        return "matrix products", 2 * result.numel() * args[PRODUCTS[name]].shape[-1]
    return name, 0


def record(work: Callable[[], object], rounds: int) -> list[Call]:
    """The calls of a piece of work, each with its shortest time."""
    runs = []
    for _ in range(rounds + 1):
        with Recorder() as recorder:
            work()
        runs.append(recorder.calls)
    fastest = zip(*runs[1:], strict=True)
    return [min(calls, key=lambda call: call.seconds) for calls in fastest]


@cache
def copy_seconds(moved: int) -> float:
    """CPU time of a copy that reads and writes this many bytes in all."""
    source = torch.ones(max(1, moved // 8))
    target = torch.empty_like(source)
    return best_cpu_seconds(lambda: target.copy_(source), 25)


def rows(title: str, calls: list[Call], count: int, command: str) -> Iterator[Row]:
    """A row per kind of operator, in milliseconds per item of `count`, and their sum."""
    matrix = torch.randn(1024, 1024)
    flops = 2 * 1024**3 / best_cpu_seconds(lambda: matrix @ matrix, 25)
    total = sum(call.seconds for call in calls)
    kinds: dict[str, list[Call]] = {}
    for call in calls:
        kinds.setdefault(call.kind, []).append(call)
    groups: dict[str, list[Call]] = {"all operators": calls}
    for kind, group in sorted(kinds.items(), key=lambda item: -_seconds(item[1])):
        groups.setdefault(kind if _seconds(group) >= SMALL * total else "others", []).extend(group)
    for kind, group in groups.items():
        bound = sum(max(call.flops / flops, copy_seconds(call.moved)) for call in group)
        spent = _seconds(group)
        yield measured(
            f"{title}, {kind}: {1e3 * spent / count:.3f} ms, {100 * spent / total:.0f} %",
            f"bound: {1e3 * bound / count:.3f}",
            bound / spent,
            command,
        )


def _seconds(calls: list[Call]) -> float:
    return sum(call.seconds for call in calls)


def embedding(name: str) -> Callable[[], object]:
    """Embedding of a batch of windows with the folded copy of an encoder."""
    encoder = untrained_model(find_part(load_registry(), "encoder", name), torch.device("cpu"))
    network = folded(encoder.encoder)
    waveforms = torch.randn(WINDOWS, network.crop_samples) / 100

    def work() -> None:
        with torch.inference_mode():
            network(network.frontend(waveforms))

    return work


def main() -> None:
    """Measure the operators of an encoder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["update", "embed"])
    parser.add_argument("--encoder", default="efficientnet_b0", choices=list(PAIRS))
    parser.add_argument("--rounds", type=int, default=9)
    add_write(parser, "operators")
    options = parser.parse_args()
    torch.set_num_threads(1)
    name, is_update = options.encoder, options.what == "update"
    work = build_update(name, "fp32") if is_update else embedding(name)
    title = f"{'training update' if is_update else 'embed'}, {name}"
    command = f"bench/operators.py {options.what} --encoder {name}"
    with keep_freed_memory():
        calls = record(work, options.rounds)
        found = list(rows(title, calls, PAIRS[name] if is_update else WINDOWS, command))
    report("operators", found, write=options.write)


if __name__ == "__main__":
    main()
