"""CPU time of training updates: this tree against another one and against a plain loop.

    git worktree add ../before c218de4
    python bench/updates.py --against ../before --encoders efficientnet_b0 small [--write]
    python bench/updates.py --convolutions efficientnet_b0    # each convolution with its bound

One thread, MSA, synthesised crops, without reading a store. The variants run in processes of their
own and alternate, and times are CPU seconds, so that other programs change them little; a ratio is
the median over rounds. The plain loop is eager float32 with the encoder of this tree, Adam and
torch's batch normalisation, and returns freed memory to the system.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench.table import Row, machine, today, write_rows
from bench.timing import best_cpu_seconds

HERE = Path(__file__).resolve().parent.parent
PAIRS = {"efficientnet_b0": 32, "small": 128}
CROP = 15_920


class Variant:
    """A process that computes one update on request."""

    def __init__(self, name: str, tree: Path, encoder: str, kind: str) -> None:
        self.name, self.times = name, list[float]()
        words = [sys.executable, __file__, "--serve", str(tree.resolve()), encoder, kind]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(words, text=True, bufsize=1, stdin=pipe, stdout=pipe)

    def update(self) -> float:
        """CPU seconds of one update."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        return float(self._process.stdout.readline())

    def stop(self) -> None:
        """End the process."""
        self._process.communicate()


def serve(tree: str, name: str, kind: str) -> None:
    """Compute an update for each line of stdin, and print its CPU seconds."""
    sys.path[:0] = [tree, f"{tree}/plugins"]
    import torch

    import mscol_cli
    from mscol_cli.engine.devices import keep_freed_memory

    assert Path(mscol_cli.__file__).is_relative_to(tree), mscol_cli.__file__
    torch.set_num_threads(1)
    with nullcontext() if kind == "plain" else keep_freed_memory():
        update = build_update(name, kind)
        update()
        for _ in sys.stdin:
            begun = time.process_time()
            update()
            print(time.process_time() - begun, flush=True)


def build_update(name: str, kind: str) -> Callable[[], object]:
    """An update with the encoder of the imported tree: `fp32`, `bf16` or `plain`."""
    import torch

    from mscol_cli.engine.batch_norm import globalise_batch_norm
    from mscol_cli.engine.models import build_encoder, build_objective
    from mscol_cli.host import find_objective, find_part, load_registry
    from mscol_cli.pretrain.step import Pretraining

    registry = load_registry()
    encoder = build_encoder(find_part(registry, "encoder", name), seed=0)
    objective = build_objective(find_objective(registry, "msa"), encoder, seed=0)
    model = Pretraining(encoder, objective, torch.bfloat16 if kind == "bf16" else torch.float32)
    if kind != "plain":
        globalise_batch_norm(model, torch.device("cpu"))
    model.train()
    optimizer = torch.optim.Adam(model.parameters())
    noise = torch.Generator().manual_seed(0)
    views = ("anchor", "positive")
    crops = {view: torch.randn(PAIRS[name], CROP, generator=noise) / 100 for view in views}
    labels = {"silent": torch.zeros(PAIRS[name], dtype=torch.bool)}

    def update() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss, _ = model(crops, labels)
        loss.backward()
        optimizer.step()

    return update


def race(name: str, before: Path, rounds: int) -> dict[str, Variant]:
    """Alternate updates of all variants."""
    variants = {
        "before": Variant("before", before, name, "fp32"),
        "plain": Variant("plain", HERE, name, "plain"),
        "fp32": Variant("fp32", HERE, name, "fp32"),
        "bf16": Variant("bf16", HERE, name, "bf16"),
    }
    for number in range(rounds + 1):
        for variant in variants.values():
            seconds = variant.update()
            if number:  # the first round fills caches
                variant.times.append(seconds)
    for variant in variants.values():
        variant.stop()
    return variants


def rows(name: str, variants: dict[str, Variant]) -> list[Row]:
    """Rows of the table: float32 and bf16 against the tree before and the plain loop."""
    found = []
    for kind in ("fp32", "bf16"):
        for other, label in (
            ("before", "tree of c218de4, fp32"),
            ("plain", "same encoder in a plain loop, fp32"),
        ):
            ours, theirs = variants[kind].times, variants[other].times
            speed, speed_before = (PAIRS[name] / median(times) for times in (ours, theirs))
            ratio = median(before / now for now, before in zip(ours, theirs, strict=True))
            row = Row(
                what=f"training update, {name}, {kind}: {speed:.0f} pairs per CPU second",
                against=f"{label}: {speed_before:.0f}",
                ratio=round(ratio, 2),
                date=today(),
                machine=machine(1),
                command=f"bench/updates.py --against TREE --encoders {name}",
            )
            found.append(row)
    return found


def convolutions_row(name: str, batch: int = 64) -> Row:
    """Convolutions of an update against their bounds."""
    spent, bound = print_convolutions(name, batch)
    return Row(
        what=f"convolutions of an update, {name}, fp32: {spent:.0f} CPU ms for {batch} rows",
        against=f"bound by FLOPs and bytes: {bound:.0f}",
        ratio=round(bound / spent, 2),
        date=today(),
        machine=machine(1),
        command=f"bench/updates.py --convolutions {name}",
    )


def print_convolutions(name: str, batch: int) -> tuple[float, float]:
    """Print CPU milliseconds of each convolution, forward and backward, with bounds; return sums.

    The bound is the larger of FLOPs at the speed of a matrix product and bytes at that of a copy.
    """
    import torch

    from mscol_cli.engine.devices import keep_freed_memory

    torch.set_num_threads(1)
    spent = bounds = 0.0
    with keep_freed_memory():
        matrix, source = torch.randn(1024, 1024), torch.ones(2**26)
        target = torch.empty_like(source)
        flops = 2 * 1024**3 / best_cpu_seconds(lambda: matrix @ matrix)
        speed = 8 * len(source) / best_cpu_seconds(lambda: target.copy_(source))
        print(f"{flops / 1e9:.0f} GFLOP/s of a matrix product, {speed / 1e9:.0f} GB/s of a copy")
        for (shape, _), (conv, count) in _convolutions(name, batch).items():
            x = torch.randn(shape).contiguous(memory_format=torch.channels_last)
            x.requires_grad_(shape[1] != 1)
            y = conv(x)
            forward = best_cpu_seconds(partial(conv, x))
            backward = best_cpu_seconds(
                partial(torch.autograd.backward, y, y.detach(), retain_graph=True)
            )
            moved = 4 * (x.numel() + y.numel() + conv.weight.numel())
            bound = max(2 * y.numel() * conv.weight[0].numel() / flops, moved / speed)
            spent, bounds = spent + count * (forward + backward), bounds + 3 * count * bound
            print(
                f"{count} x {shape} {tuple(conv.weight.shape)}: forward {1e3 * forward:.2f},"
                f" backward {1e3 * backward:.2f}, bound {1e3 * bound:.2f} and {2e3 * bound:.2f} ms"
            )
    return 1e3 * spent, 1e3 * bounds


def _convolutions(name: str, batch: int) -> dict[Any, tuple[Any, int]]:
    """One convolution of each kind in an encoder, by its shapes, and their number."""
    import torch
    from torch import nn

    from mscol_cli.engine.models import build_encoder
    from mscol_cli.host import find_part, load_registry

    encoder = build_encoder(find_part(load_registry(), "encoder", name), seed=0).train()
    convolutions: dict[Any, tuple[Any, int]] = {}

    def record(conv: nn.Module, inputs: tuple[torch.Tensor, ...], _output: object) -> None:
        key = tuple(inputs[0].shape), str(conv)
        convolutions[key] = conv, convolutions.get(key, (conv, 0))[1] + 1

    convs = [module for module in encoder.modules() if isinstance(module, nn.Conv2d)]
    handles = [conv.register_forward_hook(record) for conv in convs]
    encoder(torch.randn(batch, 98, 64))
    for handle in handles:
        handle.remove()
    return convolutions


def main(words: Sequence[str] | None = None) -> None:
    """Measure, or serve a measurement."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--against", type=Path, help="source tree of mscol to compare with")
    parser.add_argument("--encoders", nargs="+", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--convolutions", choices=list(PAIRS), help="profile one encoder instead")
    parser.add_argument("--write", action="store_true", help="write bench/results/updates.json")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.serve:
        serve(*options.serve)
        return
    if options.convolutions:
        measured = [convolutions_row(options.convolutions)]
        _write(measured, wanted=options.write)
        return
    if options.against is None:
        parser.error("--against needs a source tree, or choose --convolutions")
    for name in options.encoders:
        _write(rows(name, race(name, options.against, options.rounds)), wanted=options.write)


def _write(measured: Sequence[Row], *, wanted: bool) -> None:
    for row in measured:
        print(row.what, "|", row.against, "|", row.ratio)
    if wanted:
        write_rows("updates", measured)


if __name__ == "__main__":
    main()
