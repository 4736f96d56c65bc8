"""One update of every objective, in groups of processes of several sizes.

Each group writes its losses, gradients and embeddings, in float64, where rounding cannot hide a
difference, and in float32, as in training. The processes are forked from one that has imported
everything and computed nothing: importing takes longer than the update.

    python gradients.py FOLDER PORT...

One port for each group of GROUPS, where a store listens: writes FOLDER/float64-1.safetensors, ...
"""

import faulthandler
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch._dynamo  # batch normalisation of several processes loads it, here once for all of them
from safetensors.torch import save_file
from torch import Tensor

from mscol_cli.api import Encoder, Objective, StoreIndex
from mscol_cli.engine.batch_norm import globalise_batch_norm
from mscol_cli.engine.devices import keep_freed_memory, pick_device, process_group
from mscol_cli.engine.models import build_encoder, build_objective
from mscol_cli.host import Part, find_objective, find_part, load_registry
from mscol_cli.pretrain.step import Pretraining, data_parallel
from mscol_cli.system import distributed
from mscol_cli.system.launcher import end_process
from mscol_objectives.cola import Cola

GROUPS = [("float64", 1), ("float64", 2), ("float64", 4), ("float32", 1), ("float32", 2)]
ROWS = 64
VARIANTS = {
    "msa+mws": (),
    "msa+remix": (),
    "msa symmetric": ("similarity=cosine", "symmetric=true", "excerpts=2"),
    "multi-positive symmetric": ("similarity=cosine", "symmetric=true", "negatives=same-source"),
}
"""Options by the name of an objective and a word of explanation."""
SEED = 6
"""With it msa draws silent positives, and clmr each of its steps, the rare noise as well."""


def make_index() -> StoreIndex:
    level = np.full((40, 3), 0.1, np.float32)
    level[::2, 1:] = 0
    starts = np.zeros(40, np.int64)
    return StoreIndex(
        sources=("mixture", "drums", "vocals"),
        sample_rate=16_000,
        track_ids=tuple(f"t{track}" for track in range(40)),
        track_samples=np.full(40, 70_000),
        segment_track=np.arange(40),
        segment_start=starts,
        segment_samples=np.full(40, 62_960),
        segment_level=level,
        published_level=level,
    )


class WithoutProject(Cola):
    """An objective that does everything in its loss."""

    project = Objective.project  # type: ignore[assignment]

    def loss(
        self, embeddings: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return super().loss(Cola.project(self, embeddings), labels)


class LeavingOut(Cola):
    """An objective that leaves a layer out of an update, but for a metric."""

    def loss(
        self, embeddings: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        loss, metrics = super().loss(embeddings, labels)
        extra = self.get_submodule("extra")
        return loss, {**metrics, "extra": extra(embeddings["anchor"]).square().mean()}


def update(
    label: str, objective: Sequence[Part], encoder: Part, dtype: torch.dtype
) -> dict[str, Tensor]:
    network = build_encoder(encoder, seed=0)
    task = build_objective(objective, network, seed=0)
    return {f"{label}/{name}": value for name, value in compute(network, task, dtype).items()}


def without_project(encoder: Part, dtype: torch.dtype, cola: Part) -> dict[str, Tensor]:
    network = build_encoder(encoder, seed=0)
    task = build_objective([cola], network, seed=0)
    task.__class__ = WithoutProject
    found = compute(network, task, dtype)
    return {f"without project/{name}": value for name, value in found.items()}


def leaving_out(encoder: Part, dtype: torch.dtype, cola: Part) -> dict[str, Tensor]:
    network = build_encoder(encoder, seed=0)
    task = build_objective([cola], network, seed=0)
    task.__class__ = LeavingOut
    width = task.project({"anchor": torch.zeros(1, network.dim)})["anchor"].shape[1]
    torch.manual_seed(0)
    task.add_module("extra", torch.nn.Linear(width, 1))
    found = compute(network, task, dtype, uses_all=False)
    return {f"leaving out/{name}": value for name, value in found.items()}


def compute(
    network: Encoder, task: Objective, dtype: torch.dtype, *, uses_all: bool = True
) -> dict[str, Tensor]:
    plan = task.plan(make_index(), np.random.default_rng(SEED), ROWS)
    noise = torch.Generator().manual_seed(0)
    mine = distributed.share(ROWS)
    waveforms = {
        view: (torch.randn(ROWS, network.crop_samples, generator=noise).to(dtype) * 0.01)[mine]
        for view in plan.views
    }
    labels = {name: torch.from_numpy(label) for name, label in plan.rows(mine).labels.items()}
    pretraining = Pretraining(network, task).to(dtype)
    model = globalise_batch_norm(pretraining, torch.device("cpu"))
    step = data_parallel(model, uses_all=uses_all)
    loss, metrics = step(waveforms, labels)
    loss.backward()
    found = {"loss": loss.detach(), **metrics}
    found |= {f"embeddings of {view}": rows for view, rows in pretraining.embeddings().items()}
    named = pretraining.named_parameters()
    found |= {name: p.grad for name, p in named if p.grad is not None}
    found |= {name: buffer for name, buffer in network.state_dict().items() if "running" in name}
    return found


def write_updates(output: Path, dtype: torch.dtype) -> None:
    """Compute with the other processes of the group; the first one writes."""
    torch.set_num_threads(1)
    registry = load_registry()
    encoder = find_part(registry, "encoder", "small")
    names = [entry.card.name for entry in registry.of_kind("objective")]
    with keep_freed_memory(), process_group(pick_device("cpu")):
        found: dict[str, Tensor] = {}
        for label, options in [*((name, ()) for name in names), *VARIANTS.items()]:
            objective = find_objective(registry, label.partition(" ")[0], options)
            found |= update(label, objective, encoder, dtype)
        cola = find_objective(registry, "cola")[0]
        found |= without_project(encoder, dtype, cola) | leaving_out(encoder, dtype, cola)
        if distributed.rank() == 0:
            save_file({name: value.contiguous() for name, value in found.items()}, output)


def launcher_variables(rank: int, processes: int, port: str) -> dict[str, str]:
    """What torchrun tells one of several processes; the store at that port is there already."""
    place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return place | meeting | {"TORCHELASTIC_USE_AGENT_STORE": "True"}


def fork(variables: Mapping[str, str], output: Path, dtype: torch.dtype) -> int:
    """Start one process of a group; returns its id."""
    child = os.fork()
    if child == 0:
        os.environ |= variables
        write_updates(output, dtype)
        end_process(0)
    return child


def main(folder: Path, ports: Sequence[str]) -> None:
    faulthandler.enable()  # a process that a signal ends leaves its stack on stderr
    for (name, processes), port in zip(GROUPS, ports, strict=True):
        output = folder / f"{name}-{processes}.safetensors"
        dtype = getattr(torch, name)
        places = [launcher_variables(rank, processes, port) for rank in range(processes)]
        group = [fork(place if processes > 1 else {}, output, dtype) for place in places]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in group]
        if any(codes):
            sys.exit(f"{name}, {processes} processes: exit codes {codes}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
