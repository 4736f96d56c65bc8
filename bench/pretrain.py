"""Speed of pre-training in the published setting, compared with a plain training loop.

    python bench/pretrain.py STORE                   # mscol and the plain loop, alternately
    python bench/pretrain.py STORE --switches        # every option separately
    python bench/pretrain.py STORE --roofline        # FLOPs and bytes per pair, limits, a profile
    python bench/pretrain.py STORE --device cuda --seconds 120 --batches 128,512,2048,4096

Without STORE a small store is synthesised. The published setting is EfficientNet-B0 with 128 pairs
of MSA. The plain loop is a straightforward implementation: a DataLoader of torch with workers, one
float32 .npy file per crop, the unmodified network of timm, eager float32 and Adam. On a GPU the
script also prints a roofline and a profile. On a CPU the duration of a step is the CPU time of its
process in all threads, which leaves out the workers of the plain loop.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.table import Row, add_write, measured, processor, report
from mscol_cli.engine.devices import pick_device
from mscol_cli.engine.models import build_encoder, build_objective
from mscol_cli.host import find_objective, find_part, load_registry
from mscol_cli.pretrain import training
from mscol_cli.pretrain.batches import Batch, CropSource
from mscol_cli.pretrain.training import Training
from mscol_cli.recipes.options import TrainingSettings
from mscol_cli.store import Store

ENCODER = "efficientnet_b0"
CROP = 15_920
"""Crop length in samples, 0.995 s."""
WARM_UP = 2
"""Training steps of each variant that are not measured."""
Update = Callable[[], float]
"""Runs one training step; returns the seconds it waited for data."""
PROCESS = ExitStack()
"""Settings of the process, until it ends."""


def main() -> None:
    """Measure, and print the results."""
    options = _options()
    device = pick_device(options.device)
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(options.store or _synthesise(Path(folder)))
        print(machine(device))
        rows: list[Row] = []
        if options.switches:
            rows += rows_of(race(switches(store, options, device), options), options)
        elif options.batches:
            for size in options.batches.split(","):
                in_own_process(sustained, store.path, options, device, int(size))
        elif not options.roofline or device.type == "cuda":
            rows += rows_of(against_plain(store, options, device, Path(folder)), options)
        if device.type == "cuda" or options.roofline:
            rows += bound_rows(roofline(store, options, device))
    report("pretrain", rows, write=options.write)


def rows_of(results: dict[str, dict[str, float]], options: argparse.Namespace) -> list[Row]:
    """A row for each variant, against the last one."""
    *names, other = results
    rates = {name: result["pairs_per_second"] for name, result in results.items()}
    option = " --switches" if options.switches else ""
    second = "CPU second" if options.device == "cpu" else "second"
    return [
        measured(
            f"pretrain, {options.batch} pairs, {name}: {rates[name]:.1f} pairs per {second}",
            f"{other}: {rates[other]:.1f}",
            rates[name] / rates[other],
            f"bench/pretrain.py{option}",
            torch.get_num_threads(),
        )
        for name in names
    ]


def bound_rows(found: dict[str, float]) -> list[Row]:
    """What a pair needs, and the limits that follow from it."""
    needs = (
        ("flops", f"{found['gflop_per_pair']:.2f} GFLOP", "matmul_tflops", "TFLOP/s"),
        (
            "bytes",
            f"{found['activation_megabytes_per_pair']:.1f} MB of activations, moved five times",
            "copy_gigabytes_per_second",
            "GB/s",
        ),
    )
    return [
        measured(
            f"pretrain, a pair needs by {name}: {need}",
            f"limit: {found[f'pairs_per_second_by_{name}']:.0f} pairs per second"
            f" at {found[rate]:.3g} {unit}",
            None,
            "bench/pretrain.py --roofline",
            torch.get_num_threads(),
        )
        for name, need, rate, unit in needs
    ]


def machine(device: torch.device) -> dict[str, Any]:
    """Describe the machine."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
    }


def against_plain(
    store: Store, options: argparse.Namespace, device: torch.device, folder: Path
) -> dict[str, dict[str, float]]:
    """Compare mscol at its defaults with the plain loop."""
    _write_crops(
        _training(store, _settings(options), device, options.encoder).source, folder / "crops"
    )
    racers = {
        "mscol": Racer(mscol, store.path, options),
        "plain loop": Racer(plain, folder / "crops", options),
    }
    return race(racers, options)


def switches(store: Store, options: argparse.Namespace, device: torch.device) -> dict[str, Racer]:
    """mscol with one option changed each, and at its defaults."""
    changes: dict[str, dict[str, str]] = {
        "store on the device": {"store_on": "device"},
        "store on the host": {"store_on": "host"},
        "fp32": {"precision": "fp32"},
        "bf16": {"precision": "bf16"},
        "not compiled": {"compile": "off"},
    }
    if device.type == "cpu":
        changes = {"memory given back": {"memory": "give"}, **changes}
        del changes["store on the host"], changes["fp32"], changes["not compiled"]
    if device.type == "cuda" or options.compile:
        changes["compiled"] = {"compile": "on"}
    changes["defaults"] = {}
    return {name: Racer(mscol, store.path, options, **change) for name, change in changes.items()}


class Racer:
    """Runs the training steps of one variant in a separate process."""

    def __init__(
        self, build: Callable[..., Update], data: Path, options: argparse.Namespace, **settings: str
    ) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        arguments = (theirs, build, data, options, settings)
        self._process = spawn.Process(target=_serve, args=arguments)
        self._process.start()

    def update(self) -> tuple[float, float]:
        """Run one step; returns its duration and the time it waited for data, in seconds."""
        self._pipe.send(True)
        times: tuple[float, float] = self._pipe.recv()
        return times

    def stop(self) -> None:
        """End the process."""
        self._pipe.send(False)
        self._process.join(30)
        self._process.kill()


def _serve(
    pipe: Connection,
    build: Callable[..., Update],
    data: Path,
    options: argparse.Namespace,
    settings: dict[str, str],
) -> None:
    device = pick_device(options.device)
    torch.set_num_threads(options.threads)
    update = build(data, options, device, **settings)
    while pipe.recv():
        pipe.send(timed(update, device))
    os._exit(0)


def race(racers: dict[str, Racer], options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Alternate steps of all variants; returns medians over the rounds."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in racers}
    for update in range(WARM_UP + options.rounds):
        for name, racer in racers.items():
            step_times = racer.update()
            if update >= WARM_UP:
                times[name].append(step_times)
    for racer in racers.values():
        racer.stop()
    results = {name: _summary(rounds, options.batch) for name, rounds in times.items()}
    for name, values in results.items():
        print(f"{name:20} {values}")
    return results


def _summary(times: list[tuple[float, float]], batch: int) -> dict[str, float]:
    median = statistics.median(seconds for seconds, _ in times)
    waited = sum(idle for _, idle in times) / sum(seconds for seconds, _ in times)
    return {
        "milliseconds": round(1000 * median, 1),
        "fastest": round(1000 * min(times)[0], 1),
        "pairs_per_second": round(batch / median, 1),
        "data_wait": round(waited, 4),
    }


def timed(update: Update, device: torch.device) -> tuple[float, float]:
    """Duration of a step, on a CPU its CPU time, and the time it waited for data, in seconds."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    finish(device)
    started = clock()
    waited = update()
    finish(device)
    return clock() - started, waited


def mscol(
    path: Path, options: argparse.Namespace, device: torch.device, memory: str = "", **settings: Any
) -> Update:
    """Training step of `mscol pretrain`."""
    if memory:
        vars(training)["process_settings"] = nullcontext
    settings = {**vars(_settings(options)), **settings}
    trainer = _training(Store.open(path), TrainingSettings(**settings), device, options.encoder)
    batches = trainer.source.batches(0, trainer.settings.steps, device)
    return _updates(batches, lambda batch: trainer._update(trainer.model, batch))


def plain(crops: Path, options: argparse.Namespace, device: torch.device) -> Update:
    """Training step of the plain loop."""
    loader = DataLoader(
        _Files(crops),
        batch_size=options.batch,
        shuffle=True,
        num_workers=options.workers,
        drop_last=True,
        persistent_workers=options.workers > 0,
        pin_memory=device.type == "cuda",
    )
    model = Plain().to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch: tuple[Tensor, Tensor]) -> None:
        optimizer.zero_grad()
        loss = model(*(rows.to(device, non_blocking=True) for rows in batch))
        loss.backward()
        optimizer.step()

    return _updates(_epochs(loader), step)


class Plain(nn.Module):
    """The published network and loss, built from timm and torch."""

    mel: Tensor
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        from torchaudio.functional import melscale_fbanks

        mel = melscale_fbanks(513, 60.0, 7800.0, 64, 16_000)
        self.register_buffer("mel", mel)
        self.register_buffer("window", torch.hann_window(400))
        self.network = timm.create_model(
            "tf_efficientnet_b0", in_chans=1, num_classes=0, global_pool="max", drop_path_rate=0.2
        )
        self.head = nn.Sequential(nn.Linear(1280, 512), nn.LayerNorm(512), nn.Tanh())
        self.similarity = nn.Parameter(torch.randn(512, 512) * 0.05)

    def forward(self, anchor: Tensor, positive: Tensor) -> Tensor:
        """Loss of both views, waveforms (batch, samples) each."""
        spectra = torch.stft(
            torch.cat([anchor, positive]),
            n_fft=1024,
            hop_length=160,
            win_length=400,
            window=self.window,
            center=True,
            return_complex=True,
        ).abs()
        log_mel = (spectra.transpose(1, 2)[:, :98] @ self.mel).clamp(min=1e-5).log()
        first, second = self.head(self.network(log_mel[:, None] / 255)).chunk(2)
        logits = first @ self.similarity @ second.T
        return F.cross_entropy(logits, torch.arange(len(anchor), device=anchor.device))


class _Files(Dataset[tuple[Tensor, Tensor]]):
    """Pairs of crops, (samples,) each, from two .npy files per item."""

    def __init__(self, folder: Path) -> None:
        self.anchors = sorted(folder.glob("anchor-*.npy"))

    def __len__(self) -> int:
        return len(self.anchors)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        anchor = self.anchors[item]
        positive = anchor.with_name(anchor.name.replace("anchor", "positive"))
        return torch.from_numpy(np.load(anchor)), torch.from_numpy(np.load(positive))


def _write_crops(source: CropSource, folder: Path) -> Path:
    folder.mkdir()
    for step, batch in enumerate(source.batches(0, 8, torch.device("cpu"))):
        for view, rows in batch.waveforms.items():
            for row, waveform in enumerate(rows.numpy()):
                np.save(folder / f"{view}-{step}-{row:04}.npy", waveform)
    return folder


def _epochs(loader: DataLoader[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from loader


def _updates(batches: Iterator[Any], step: Callable[[Any], Any]) -> Update:
    def update() -> float:
        begun = time.perf_counter()
        batch = next(batches)
        waited = time.perf_counter() - begun
        step(batch)
        return waited

    return update


def in_own_process(measure: Callable[..., dict[str, Any]], *arguments: object) -> dict[str, Any]:
    """Measure in a separate process.

    Memory fragmented by one batch size slows down the next one, by a third on a CPU.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(measure, *arguments).result()


def sustained(
    store: Path, options: argparse.Namespace, device: torch.device, size: int, **settings: Any
) -> dict[str, Any]:
    """Sustained pairs per second at one batch size."""
    options = argparse.Namespace(**{**vars(options), "batch": size})
    update = mscol(store, options, device, **settings)
    for _ in range(3):
        timed(update, device)
    started, count, waited = time.perf_counter(), 0, 0.0
    while time.perf_counter() - started < options.seconds:
        waited += update()
        count += 1
        # Otherwise the host would queue steps ahead of the GPU.
        if count % 10 == 0:
            finish(device)
    finish(device)
    seconds = time.perf_counter() - started
    result = {
        "batch": size,
        "updates": count,
        "seconds": round(seconds, 1),
        "pairs_per_second": round(count * size / seconds, 1),
        "data_wait": round(waited / seconds, 4),
    }
    print(result)
    return result


def roofline(store: Store, options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """FLOPs and bytes per pair, speed of a matrix product and a copy, and a profile."""
    eager = replace(_settings(options), compile="off")
    trainer = _training(store, eager, device, options.encoder)
    batch = next(trainer.source.batches(0, 1, device))
    # The backward pass costs twice the forward pass. The counter of torch overestimates the
    # backward pass of grouped convolutions.
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        trainer.model(batch.waveforms, batch.labels)
    result = {
        "gflop_per_pair": 3 * counter.get_total_flops() / options.batch / 1e9,
        "activation_megabytes_per_pair": _saved_bytes(trainer, batch) / options.batch / 1e6,
        "matmul_tflops": matmul_flops(device) / 1e12,
        "copy_gigabytes_per_second": copy_bytes(device) / 1e9,
    }
    compute = 1e12 * result["matmul_tflops"] / (1e9 * result["gflop_per_pair"])
    # Each saved activation is written once and read by the next layer and the backward pass, and
    # its gradient is written and read: five passes, the minimum without fusion.
    moved = 5e6 * result["activation_megabytes_per_pair"]
    result["pairs_per_second_by_flops"] = compute
    result["pairs_per_second_by_bytes"] = 1e9 * result["copy_gigabytes_per_second"] / moved
    print({name: round(value, 3) for name, value in result.items()})
    _profile(trainer, batch)
    return result


def _saved_bytes(trainer: Training, batch: Batch) -> int:
    sizes: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        sizes[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss, _ = trainer.model(batch.waveforms, batch.labels)
    del loss
    return sum(sizes.values())


def _profile(trainer: Training, batch: Batch) -> None:
    from torch.profiler import ProfilerActivity, profile

    kinds = [ProfilerActivity.CPU]
    if trainer.device.type == "cuda":
        kinds.append(ProfilerActivity.CUDA)
    with profile(activities=kinds) as profiler:
        trainer._update(trainer.model, batch)
        finish(trainer.device)
    order = "self_cuda_time_total" if len(kinds) > 1 else "self_cpu_time_total"
    print(profiler.key_averages().table(sort_by=order, row_limit=20))


def matmul_flops(
    device: torch.device, kind: torch.dtype | None = None, size: int | None = None
) -> float:
    """FLOP/s of a product of random matrices, on a GPU in bf16 unless `kind` is another type."""
    size = size or (8192 if device.type == "cuda" else 1024)
    kind = kind or (torch.bfloat16 if device.type == "cuda" else torch.float32)
    left, right = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    return 2 * size**3 / _median(lambda: left @ right, device)


def copy_bytes(device: torch.device, count: int | None = None) -> float:
    """Bytes per second that a copy reads and writes, of `count` float32 numbers."""
    source = torch.ones(count or (2**29 if device.type == "cuda" else 2**26), device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() * 4 / _median(lambda: target.copy_(source), device)


def _median(work: Callable[[], Any], device: torch.device) -> float:
    def update() -> float:
        work()
        return 0.0

    return statistics.median(timed(update, device)[0] for _ in range(20))


def _training(
    store: Store, settings: TrainingSettings, device: torch.device, name: str
) -> Training:
    registry = load_registry()
    encoder = build_encoder(find_part(registry, "encoder", name), seed=0)
    objective = build_objective(find_objective(registry, "msa"), encoder, seed=0)
    source = CropSource(
        store,
        objective,
        settings.batch_size,
        CROP,
        encoder.level,
        seed=0,
        store_on=settings.store_on,
    )
    PROCESS.enter_context(training.process_settings(device))
    return Training(Path("unused"), {}, settings, encoder, objective, source, device)


def _settings(options: argparse.Namespace) -> TrainingSettings:
    return TrainingSettings(batch_size=options.batch, steps=1_000_000, device=options.device)


def _synthesise(folder: Path) -> Path:
    from mscol_cli.app import run
    from mscol_cli.synthetic import write_collection

    data = write_collection(folder / "data", songs=40, seconds=30, notes=40)
    store = folder / "stems.store"
    if run(["separate", str(data.stems), "--separator", "stems", "-o", str(store)]) != 0:
        raise SystemExit("the store could not be synthesised: name one")
    return store


def finish(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("store", nargs="?", type=Path, help="a sealed store")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=128, help="pairs")
    parser.add_argument("--rounds", type=int, default=7, help="training steps of each variant")
    parser.add_argument("--workers", type=int, default=2, help="DataLoader workers of the loop")
    parser.add_argument("--switches", action="store_true", help="measure each option separately")
    parser.add_argument("--compile", action="store_true", help="include --compile on")
    parser.add_argument("--roofline", action="store_true", help="print a roofline and a profile")
    parser.add_argument("--batches", help="batch sizes for the sustained rate, a,b,c")
    parser.add_argument("--seconds", type=float, default=120, help="duration per batch size")
    parser.set_defaults(encoder=ENCODER)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    add_write(parser, "pretrain")
    options = parser.parse_args()
    if options.write and options.device != "cpu":
        parser.error("--write is for a CPU; on_gpu.py writes the table of a GPU")
    torch.set_num_threads(options.threads)
    return options


if __name__ == "__main__":
    main()
