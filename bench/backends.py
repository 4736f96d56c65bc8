"""Ways to run the network of an encoder on a CPU, against the folded copy that mscol uses.

    python bench/backends.py [--encoder efficientnet_b0] [--batches 8 64] [--compile] [--write]

One thread; log-mel features to vectors. ONNX Runtime, which must be installed, has all of its
optimisations. `torch.jit` freezes a trace of the folded copy. `--compile` adds torch.compile with
frozen weights, which fuses activations into convolutions of oneDNN; it takes a minute to compile.
All ways alternate, and each counts with its shortest CPU time.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.table import Row, add_write, measured, report
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.engine.devices import keep_freed_memory
from mscol_cli.engine.folding import TOLERANCE, folded
from mscol_cli.engine.models import untrained_model
from mscol_cli.host import find_part, load_registry

Network = Callable[[Tensor], Tensor]
ROUNDS = 15


class Forward(nn.Module):
    """The forward pass of an encoder as a module of its own."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder.eval()

    def forward(self, features: Tensor) -> Tensor:
        """Features to vectors."""
        return self.encoder.forward(features)


def onnx_runtime(encoder: Encoder, features: Tensor) -> Network:
    """A session of ONNX Runtime in one thread."""
    runtime, axes = importlib.import_module("onnxruntime"), {0: "batch"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            Forward(encoder).eval(),
            (features,),
            path,
            input_names=["features"],
            output_names=["vectors"],
            dynamic_axes={"features": axes, "vectors": axes},
            dynamo=False,
        )
        model = path.read_bytes()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"features": x.numpy()})[0])


def frozen_trace(encoder: Encoder, features: Tensor) -> Network:
    """A frozen trace of the folded copy."""
    jit: Any = torch.jit
    trace = jit.trace(Forward(folded(encoder)).eval(), features, check_trace=False)
    network: Network = jit.freeze(trace)
    return network


def compiled(encoder: Encoder, _features: Tensor) -> Network:
    """The network compiled with frozen weights."""
    network: Network = torch.compile(Forward(encoder).eval(), options={"freezing": True})
    return network


def rows(name: str, batch: int, networks: dict[str, Network], shape: torch.Size) -> list[Row]:
    """Milliseconds per window of each way."""
    features = torch.randn(batch, *shape)
    expected, best = networks["not folded"](features), dict.fromkeys(networks, float("inf"))
    for network in networks.values():
        vectors = network(features)
        assert (vectors - expected).abs().max() <= TOLERANCE * expected.abs().max()
    for _ in range(ROUNDS):
        for way, network in networks.items():
            begun = time.process_time()
            network(features)
            best[way] = min(best[way], 1e3 * (time.process_time() - begun) / batch)
    ours = best.pop("folded copy")
    what = f"network of {name}, {batch} windows, folded copy: {ours:.2f} ms per window"
    return [
        measured(what, f"{way}: {other:.2f}", other / ours, "bench/backends.py")
        for way, other in best.items()
    ]


def main() -> None:
    """Measure all ways."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--encoder", default="efficientnet_b0")
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--compile", action="store_true", help="include torch.compile")
    add_write(parser, "backends")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    part = find_part(load_registry(), "encoder", options.encoder)
    encoder = untrained_model(part, torch.device("cpu")).encoder
    with torch.no_grad(), keep_freed_memory():
        features = encoder.frontend(torch.randn(16, encoder.crop_samples) / 100)
        networks: dict[str, Network] = {"folded copy": folded(encoder), "not folded": encoder}
        networks["ONNX Runtime"] = onnx_runtime(encoder, features)
        networks["frozen torch.jit"] = frozen_trace(encoder, features)
        if options.compile:
            networks["torch.compile"] = compiled(encoder, features)
        for batch in options.batches:
            found = rows(options.encoder, batch, networks, features.shape[1:])
            report("backends", found, write=options.write)


if __name__ == "__main__":
    main()
