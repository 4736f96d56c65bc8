"""The parts of `on_gpu.py`, each run in a process of its own.

    python -m bench.on_gpu_parts NAME DEVICE FOLDER SECONDS [--smoke]

A part writes FOLDER/NAME.json whenever it has measured something.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.on_gpu_process import Bench, Command, metrics_of
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.progress import Silent
from mscol_cli.engine.batch_norm import globalise_batch_norm
from mscol_cli.engine.devices import forbid_tf32, pick_device, release_memory
from mscol_cli.engine.encoding import encode
from mscol_cli.engine.models import build_encoder, build_objective
from mscol_cli.host import find_objective, find_part, load_registry
from mscol_cli.pretrain.batches import Batch, CropSource
from mscol_cli.pretrain.modes import Mode
from mscol_cli.pretrain.step import Pretraining
from mscol_cli.pretrain.step_check import Step, StepCheck, compare
from mscol_cli.separate.request import SeparateRequest
from mscol_cli.separate.separator import build_separator
from mscol_cli.store import Store

REPOSITORY = Path(__file__).resolve().parent.parent
ENCODERS = ("efficientnet_b0", "small", "sample_cnn")
CPU = torch.device("cpu")
MEMORY = """
import sys, torch
torch.cuda.set_per_process_memory_fraction(float(sys.argv[1]))
from mscol_cli.app import run
sys.exit(run(sys.argv[2:]))
"""


def machine(bench: Bench) -> None:
    """Versions, and the rates of a matrix product and a copy."""
    from bench import pretrain

    device = pick_device(bench.device)
    described = pretrain.machine(device)
    bench.report(
        name=described["device"],
        torch=torch.__version__,
        cuda=torch.version.cuda,
        cpus=os.cpu_count(),
    )
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        bench.report(
            capability=[properties.major, properties.minor],
            memory_gigabytes=properties.total_memory / 1e9,
            cudnn=torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
            compiler=shutil.which("gcc") or shutil.which("clang"),
        )
    kinds = {"bf16": torch.bfloat16, "fp32": torch.float32}
    with forbid_tf32():
        rates = {
            name: pretrain.matmul_flops(device, kind, 256 if bench.smoke else None) / 1e12
            for name, kind in kinds.items()
        }
    copied = pretrain.copy_bytes(device, 1 << 20 if bench.smoke else None)
    bench.report(matmul_tflops=rates, copy_gigabytes_per_second=copied / 1e9)


def music(bench: Bench) -> None:
    """A collection of synthesised music, and a store of its true stems."""
    from mscol_cli.synthetic import write_collection

    songs, seconds, notes = (16, 2, 16) if bench.smoke else (64, 30, 64)
    workers = 1 if bench.smoke else os.cpu_count() or 1
    collection = write_collection(
        bench.data, songs=songs, tracks=16, seconds=seconds, notes=notes, workers=workers
    )
    bench.report(songs=songs, clip_s=seconds, synthesis_s=bench.elapsed)
    result = bench.run("separate", collection.stems, "--separator", "stems", "-o", bench.store)
    bench.report(store_exit_code=result.code)


def numerics(bench: Bench) -> None:
    """Front end, encoders, separation and objectives against the CPU; bf16 and compiled against
    fp32."""
    device, found = pick_device(bench.device), dict[str, float]()
    waveforms = 1e-2 * torch.randn(4 if bench.smoke else 64, 42_847)
    encoders = ENCODERS[1:] if bench.smoke else ENCODERS
    with torch.inference_mode():
        for name in encoders:
            encoder, exact = _encoder(name).eval(), dict[str, Tensor]()
            crops = waveforms[:, : encoder.crop_samples]
            exact["features"], exact["embeddings"] = encoder.frontend(crops), encode(encoder, crops)
            encoder, moved = encoder.to(device), crops.to(device)
            if name == "small":
                log_mel = encoder.frontend(moved).cpu()
                bench.report(log_mel=float((log_mel - exact["features"]).abs().max()))
            embeddings = encode(encoder, moved).cpu()
            found[name] = float((embeddings - exact["embeddings"]).norm() / embeddings.norm())
            bench.report(encoders=found)
    bench.report(separation=_separation(bench, device))
    objectives, modes = dict[str, Any](), dict[str, Any]()
    names = [entry.card.name for entry in load_registry().of_kind("objective")]
    for name in names[:2] if bench.smoke else names:
        objectives[f"small, {name}"] = _against_cpu(bench, "small", name, device)
        bench.report(objectives=objectives)
        modes[f"small, {name}, bf16"] = _in_mode(bench, "small", name, Mode(torch.bfloat16), device)
        bench.report(modes=modes)
    if bench.smoke:
        return
    objectives["efficientnet_b0, msa"] = _against_cpu(bench, "efficientnet_b0", "msa", device)
    bench.report(objectives=objectives)
    compiled = Mode(compiled=True)
    for encoder_name, mode in (
        ("small", compiled),
        ("small", replace(compiled, precision=torch.bfloat16)),
        ("efficientnet_b0", Mode(torch.bfloat16)),  # `pretrain` compares it compiled
    ):
        modes[f"{encoder_name}, msa, {mode}"] = _in_mode(bench, encoder_name, "msa", mode, device)
        bench.report(modes=modes)


def _separation(bench: Bench, device: torch.device) -> dict[str, float]:
    """Difference of each separated source from the CPU's, relative to its level."""
    noise = 0.1 * torch.randn(2, (2 if bench.smoke else 30) * 44_100)
    separated = []
    for place in (CPU, device):
        request = SeparateRequest((bench.data,), model="mini", device=str(place))
        separator, _ = build_separator(request, Silent())
        with forbid_tf32():
            separated.append(separator.separate({MIXTURE: noise}))
    exact, found = separated
    return {
        name: float((found[name].cpu() - exact[name]).norm() / exact[name].norm())
        for name in separator.sources
    }


def _encoder(name: str, drop_path: bool = True) -> Encoder:
    options = ("drop_path=0",) if name == "efficientnet_b0" and not drop_path else ()
    return build_encoder(find_part(load_registry(), "encoder", name, options), seed=0)


def _model_and_batch(
    bench: Bench, encoder_name: str, objective_name: str, pairs: int
) -> tuple[Pretraining, Batch]:
    encoder = _encoder(encoder_name, drop_path=False)
    objective = build_objective(find_objective(load_registry(), objective_name), encoder, seed=0)
    crop, level = encoder.crop_samples, encoder.level
    source = CropSource(Store.open(bench.store), objective, pairs, crop, level, 0, "host")
    return Pretraining(encoder, objective), next(source.batches(0, 1, CPU))


def _against_cpu(
    bench: Bench, encoder: str, objective: str, device: torch.device
) -> dict[str, float]:
    """Difference of a step in float32 from the same step on the CPU."""
    model, batch = _model_and_batch(bench, encoder, objective, 8 if bench.smoke else 64)
    weights = model.state_dict()
    steps = []
    for place in (CPU, device):
        model, _ = _model_and_batch(bench, encoder, objective, 2)
        model.load_state_dict(weights)
        if place == CPU:
            globalise_batch_norm(model, place)
        steps.append(_step(model.to(place).train(), _moved(batch, place)))
    return vars(compare(steps[1], steps[0]))


def _step(model: nn.Module, batch: Batch) -> Step:
    with forbid_tf32():
        loss, _ = model(batch.waveforms, batch.labels)
        loss.backward()
    gradients = [None if p.grad is None else p.grad.cpu() for p in model.parameters()]
    return Step(loss.item(), gradients)


def _in_mode(
    bench: Bench, encoder: str, objective: str, mode: Mode, device: torch.device
) -> dict[str, float]:
    """Difference of a step from eager float32 on the same device."""
    model, batch = _model_and_batch(bench, encoder, objective, 8 if bench.smoke else 64)
    model.to(device)
    with forbid_tf32():
        check = StepCheck(model, model, _moved(batch, device), 0, device)
        return vars(check.difference(mode)) if check.is_possible() else {}


def _moved(batch: Batch, device: torch.device) -> Batch:
    waveforms, labels = (
        {name: rows.to(device) for name, rows in tensors.items()}
        for tensors in (batch.waveforms, batch.labels)
    )
    return Batch(waveforms, labels)


def pretrain(bench: Bench) -> None:
    """`mscol pretrain` in the published setting, for two minutes."""
    encoder, pairs = ("small", 8) if bench.smoke else ("efficientnet_b0", 128)
    run, measured = bench.work / "published", 1 if bench.smoke else 120
    options = ["--encoder", encoder, "--batch-size", pairs, "--steps", 1_000_000]
    command = bench.start("pretrain", bench.store, "--objective", "msa", *options, "-o", run)

    def watch() -> None:
        lines = metrics_of(run)
        if len(lines) > 2:
            bench.report(**_sustained(lines, pairs))
            if lines[-1]["elapsed_s"] >= measured:
                command.interrupt()

    result = command.wait(bench.left - (1 if bench.smoke else 10), watch)
    bench.report(exit_code=result.code, compute=_compute(run))
    if result.code not in (0, 130):
        bench.report(message=result.message)


def _sustained(lines: list[dict[str, Any]], pairs: int) -> dict[str, Any]:
    # The first line includes what is done once.
    first, last = lines[0], lines[-1]
    seconds = last["elapsed_s"] - first["elapsed_s"]
    waits = [line["data_wait"] for line in lines[1:]]
    return {
        "pairs_per_second": (last["step"] - first["step"]) * pairs / seconds,
        "measured_s": seconds,
        "steps": last["step"],
        "data_wait": sum(waits) / len(waits),
        "memory_gigabytes": max(line["memory_bytes"] for line in lines) / 1e9,
        "settling_s": lines[0]["settling_s"],
        "losses": [first["loss"], last["loss"]],
    }


def _compute(run: Path) -> dict[str, Any]:
    path = run / "run.json"
    found: dict[str, Any] = json.loads(path.read_text()).get("compute", {}) if path.exists() else {}
    return found


def curve(bench: Bench) -> None:
    """Steps alone, without logging, at several batch sizes: eager, also with the store on the host
    and with kernels that cuDNN has timed, then compiled as `auto` does."""
    from bench import pretrain as training

    device, options = pick_device(bench.device), _options(bench)
    found: dict[str, dict[str, float]] = {}

    def report(size: int, mode: str, result: Mapping[str, Any]) -> None:
        found.setdefault(str(size), {})[mode] = result["pairs_per_second"]
        bench.report(pairs_per_second=found)

    for size in (8,) if bench.smoke else (128, 256, 512, 1024, 2048, 4096):
        eager = partial(training.sustained, bench.store, options, device, size, compile="off")
        report(size, "eager", eager())
        if bench.smoke or size in (128, 1024):
            report(size, "eager, store on the host", eager(store_on="host"))
            with torch.backends.cudnn.flags(benchmark=True):
                report(size, "eager, cuDNN benchmark", eager())
        release_memory()
    for size in () if bench.smoke else (4096, 1024, 512, 2048, 256, 128):
        # It takes longer to compile than to measure.
        if bench.left < 45:
            break
        arguments = bench.store, options, device, size
        report(size, "auto", training.in_own_process(training.sustained, *arguments))


def _options(bench: Bench) -> argparse.Namespace:
    encoder, batch = ("small", 8) if bench.smoke else ("efficientnet_b0", 128)
    seconds = 0.5 if bench.smoke else 3.0
    return argparse.Namespace(device=bench.device, batch=batch, seconds=seconds, encoder=encoder)


def roofline(bench: Bench) -> None:
    """What bounds a step, and a profile of one."""
    from bench import pretrain as training

    printed = io.StringIO()
    with redirect_stdout(printed):
        found = training.roofline(
            Store.open(bench.store), _options(bench), pick_device(bench.device)
        )
    lines = printed.getvalue().splitlines()
    bench.report(**found, profile=[line.rstrip()[:200] for line in lines[1:30]])


def embed(bench: Bench) -> None:
    """Windows per second from waveforms on the device, and of the command."""
    device, rates = pick_device(bench.device), dict[str, float]()
    clips = _copies(bench, 2 if bench.smoke else 512)
    for name in ENCODERS[1:2] if bench.smoke else ENCODERS:
        encoder = _encoder(name).eval().to(device)
        rows = 8 if bench.smoke else 1024 if name != "sample_cnn" else 256
        waveforms = 1e-2 * torch.randn(rows, encoder.crop_samples, device=device)
        with torch.inference_mode():
            work = partial(encode, encoder, waveforms)
            rates[name] = rows * _rate(work, device, bench)
            work = partial(_network, encoder, waveforms)  # `encode` refuses bf16
            with torch.autocast(bench.device, torch.bfloat16):
                rates[f"{name} in bf16"] = rows * _rate(work, device, bench)
        bench.report(windows_per_second=rates)
    encoder_name = "small" if bench.smoke else "efficientnet_b0"
    options = ["--model", "untrained", "--encoder", encoder_name, "-o", bench.work / "vectors"]
    result = bench.run("embed", clips, *options, "--json")
    if result.code == 0:
        windows, seconds = (result.json()[name] for name in ("windows", "seconds"))
        rates = {"windows": windows, "s": seconds, "windows_per_second": windows / seconds}
        bench.report(command=rates, command_with_start_s=result.seconds)


def _network(encoder: Encoder, waveforms: Tensor) -> Tensor:
    embeddings: Tensor = encoder(encoder.frontend(waveforms))
    return embeddings


def _rate(work: Callable[[], object], device: torch.device, bench: Bench) -> float:
    """Repetitions per second, after a few that warm up."""
    from bench import pretrain as training

    for _ in range(1 if bench.smoke else 2):
        work()
    training.finish(device)
    begun, count = time.perf_counter(), 0
    while (seconds := time.perf_counter() - begun) < (0.1 if bench.smoke else 2.0):
        for _ in range(1 if device == CPU else 10):
            work()
            count += 1
        training.finish(device)
    return count / seconds


def _copies(bench: Bench, count: int) -> Path:
    """A folder with this many clips, copies of those of the collection."""
    folder = bench.work / "clips"
    folder.mkdir(exist_ok=True)
    sources = sorted(bench.data.glob("fma/**/*.mp3"))
    for number in range(count):
        shutil.copy(sources[number % len(sources)], folder / f"{number:04}.mp3")
    return folder


def separate(bench: Bench) -> None:
    """Open-Unmix with random weights: batches of clips, and the command."""
    models = dict[str, Any]()
    clips = _copies(bench, 2 if bench.smoke else 256)
    for hidden in (16,) if bench.smoke else (512, 1024):
        model = _helper("openunmix").write_model(
            bench.work / f"umx{hidden}", ("vocals", "drums", "bass", "other"), hidden_size=hidden
        )
        models[str(hidden)] = {"clips": {}, "command": None}
        store = bench.work / f"umx{hidden}.store"
        result = bench.run("separate", clips, "--model", model, "-o", store, "--json")
        if result.code == 0:
            hours, seconds = (result.json()[name] for name in ("hours", "seconds"))
            models[str(hidden)]["command"] = {
                "hours": hours,
                "s": seconds,
                "with_start_s": result.seconds,
                "times_real_time": 3600 * hours / seconds,
            }
        bench.report(models=models)
        for count in (1,) if bench.smoke else (8, 32):
            models[str(hidden)]["clips"][str(count)] = _separated(bench, model, count)
            bench.report(models=models)


def _separated(bench: Bench, model: Path, clips: int) -> float:
    """Times real time of this many clips of 30 s of noise in one batch, in stereo."""
    from mscol_cli.api import MIXTURE, SeparatorContext
    from mscol_separators.open_unmix import OpenUnmixSeparator
    from mscol_separators.options import OpenUnmixOptions

    device, seconds = pick_device(bench.device), 1 if bench.smoke else 30
    context = SeparatorContext(model=str(model), device=str(device))
    separator = OpenUnmixSeparator(OpenUnmixOptions(), context)
    noise = [{MIXTURE: 0.1 * torch.randn(2, 44_100 * seconds)}] * clips
    rate = _rate(lambda: float(separator.separate_many(noise)[0]["vocals"].sum()), CPU, bench)
    return rate * clips * seconds


def _helper(name: str) -> ModuleType:
    """A helper of the tests; a package named `tests` may be installed."""
    path = REPOSITORY / "tests" / "helpers" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"helper_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def probe(bench: Bench) -> None:
    """A probe of notes whose vectors are in the cache."""
    from bench import vectors

    notes = 800 if bench.smoke else 20_000
    folder = bench.work / "probe"
    options = ["--seeds", "1", *(["--protocol", "epochs=1"] if bench.smoke else [])]
    vectors.probe(folder, notes, 256, [*options, "--device", bench.device], bench.run_mscol)
    result = json.loads((folder / "out" / "probe.json").read_text())
    bench.report(notes=notes, command_s=bench.last_s, stages_s=result["seconds"])


def resume(bench: Bench) -> None:
    """A run of two halves, compared with one without an interruption."""
    steps = 4 if bench.smoke else 60
    options = ["--objective", "msa", "--encoder", "small", "--batch-size", 8 if bench.smoke else 64]
    options += ["--schedule", "constant"]
    whole, halves = bench.work / "whole", bench.work / "halves"
    codes = [
        bench.run("pretrain", bench.store, *options, "--steps", steps, "-o", whole),
        bench.run("pretrain", bench.store, *options, "--steps", steps // 2, "-o", halves),
        bench.run("pretrain", "--resume", "--steps", steps, "-o", halves),
    ]
    bench.report(exit_codes=[result.code for result in codes], compute=_compute(halves))
    one, other = (
        load_file(next(run.glob(f"checkpoints/step-*{steps}")) / "encoder.safetensors")
        for run in (whole, halves)
    )
    pairs = [(one[name].double(), other[name].double()) for name in one]
    difference = _norm(first - second for first, second in pairs)
    bench.report(difference=difference / _norm(first for first, _ in pairs))


def _norm(tensors: Iterable[Tensor]) -> float:
    return float(torch.stack([tensor.norm() for tensor in tensors]).norm())


def memory(bench: Bench) -> None:
    """A batch that does not fit into a small share of the memory of the GPU."""
    if bench.device == "cpu":
        bench.report(note="only on a GPU")
        return
    share = 4e9 / torch.cuda.get_device_properties(pick_device(bench.device)).total_memory
    options = ["--objective", "msa", "--batch-size", "2048", "--steps", "3", "--compile", "off"]
    command = [sys.executable, "-c", MEMORY, f"{share:.4f}", "pretrain", bench.store, *options]
    result = Command([*map(str, command), "-o", str(bench.work / "memory")]).wait(bench.left)
    bench.report(code=result.code, message=result.message[-300:])


def learning(bench: Bench) -> None:
    """A short run on the CPU and on the device: the loss falls on both."""
    steps, pairs = (20, 8) if bench.smoke else (200, 64)
    options = ["--objective", "msa", "--encoder", "small", "--batch-size", pairs, "--steps", steps]
    runs = {place: bench.work / f"learning-{place}" for place in {"cpu": 0, bench.device: 0}}
    commands = [
        bench.start("pretrain", bench.store, *options, "--device", place, "-o", run)
        for place, run in runs.items()
    ]
    codes = [command.wait(bench.left).code for command in commands]
    losses = {}
    for place, run in runs.items():
        values = [line["loss"] for line in metrics_of(run)]
        third = max(1, len(values) // 3)
        losses[place] = [values[0], sum(values[-third:]) / third]
    falls = all(last < first for first, last in losses.values())
    bench.report(exit_codes=codes, losses=losses, falls=falls)
    if not (falls or bench.smoke):
        raise SystemExit("the loss does not fall")


PARTS: dict[str, Callable[[Bench], None]] = {
    part.__name__: part
    for part in (
        machine,
        music,
        numerics,
        pretrain,
        curve,
        roofline,
        embed,
        separate,
        probe,
        resume,
        memory,
        learning,
    )
}


def run(arguments: Sequence[str]) -> int:
    """Run a part; returns the exit code."""
    name, device, work, seconds, *smoke = arguments
    PARTS[name](Bench(name, device, Path(work), float(seconds), bool(smoke)))
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
