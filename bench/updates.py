"""CPU time of training updates: this tree against another one and against a plain loop.

    git worktree add ../before c218de4
    python bench/updates.py --against ../before --encoders efficientnet_b0 small [--write]

One thread, MSA, synthesised crops, without reading a store. The variants run in processes of their
own and alternate, and times are CPU seconds, so that other programs change them little; a ratio is
the median over rounds. The plain loop is eager float32 with the encoder of this tree, Adam and
torch's batch normalisation, and returns freed memory to the system.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import median

sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench.table import Row, add_write, measured, report
from bench.timing import Server, alternate, serve

HERE = Path(__file__).resolve().parent.parent
PAIRS = {"efficientnet_b0": 32, "small": 128}
CROP = 15_920


def serve_updates(tree: str, name: str, kind: str) -> None:
    """Compute an update for each request."""
    sys.path[:0] = [tree, f"{tree}/plugins"]
    import torch

    import mscol_cli
    from mscol_cli.engine.devices import keep_freed_memory

    assert Path(mscol_cli.__file__).is_relative_to(tree), mscol_cli.__file__
    torch.set_num_threads(1)
    with nullcontext() if kind == "plain" else keep_freed_memory():
        update = build_update(name, kind)
        update()
        serve(lambda _: update())


def build_update(name: str, kind: str) -> Callable[[], object]:
    """An update with the encoder of the imported tree: `fp32`, `bf16` or `plain`."""
    import torch

    from mscol_cli.engine import optimizer as optimizers
    from mscol_cli.engine.batch_norm import globalise_batch_norm
    from mscol_cli.engine.models import build_encoder, build_objective
    from mscol_cli.host import find_objective, find_part, load_registry
    from mscol_cli.pretrain.step import Pretraining

    registry, cpu = load_registry(), torch.device("cpu")
    encoder = build_encoder(find_part(registry, "encoder", name), seed=0)
    objective = build_objective(find_objective(registry, "msa"), encoder, seed=0)
    model = Pretraining(encoder, objective, torch.bfloat16 if kind == "bf16" else torch.float32)
    if kind != "plain":
        globalise_batch_norm(model, cpu)
    model.train()
    # Older trees have torch's Adam, too.
    adam = None if kind == "plain" else getattr(optimizers, "adam", None)
    optimizer = adam(model, cpu) if adam else torch.optim.Adam(model.parameters())
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


def race(name: str, before: Path, rounds: int) -> dict[str, list[float]]:
    """Alternate updates of all variants; returns the CPU seconds of each."""
    kinds = {"before": "fp32", "plain": "plain", "fp32": "fp32", "bf16": "bf16"}
    variants = {}
    for label, kind in kinds.items():
        tree = before if label == "before" else HERE
        variants[label] = Server(__file__, "--serve", tree.resolve(), name, kind)
    times = alternate({label: variant.seconds for label, variant in variants.items()}, rounds)
    for variant in variants.values():
        variant.stop()
    return times


def rows(name: str, times: dict[str, list[float]]) -> list[Row]:
    """Rows of the table: float32 and bf16 against the tree before and the plain loop."""
    found = []
    for kind in ("fp32", "bf16"):
        for other, label in (
            ("before", "tree of c218de4, fp32"),
            ("plain", "same encoder in a plain loop, fp32"),
        ):
            ours, theirs = times[kind], times[other]
            speed, speed_before = (PAIRS[name] / median(side) for side in (ours, theirs))
            row = measured(
                f"training update, {name}, {kind}: {speed:.0f} pairs per CPU second",
                f"{label}: {speed_before:.0f}",
                median(before / now for now, before in zip(ours, theirs, strict=True)),
                f"bench/updates.py --against TREE --encoders {name}",
            )
            found.append(row)
    return found


def main(words: Sequence[str] | None = None) -> None:
    """Measure, or serve a measurement."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--against", type=Path, help="source tree of mscol to compare with")
    parser.add_argument("--encoders", nargs="+", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--rounds", type=int, default=7)
    add_write(parser, "updates")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.serve:
        serve_updates(*options.serve)
        return
    if options.against is None:
        parser.error("--against needs a source tree")
    for name in options.encoders:
        found = rows(name, race(name, options.against, options.rounds))
        report("updates", found, write=options.write)


if __name__ == "__main__":
    main()
