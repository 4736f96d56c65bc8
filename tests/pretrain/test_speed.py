"""Where the store is held, number formats and compilation: none changes what is learned."""

import platform
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mscol_cli.contracts.plans import Crops
from mscol_cli.engine.batch_norm import globalise_batch_norm
from mscol_cli.engine.devices import pick_precision
from mscol_cli.pretrain import device_store
from mscol_cli.pretrain.device_store import (
    DeviceStore,
    fits_beside_step,
    keeps_on_device,
    store_bytes,
)
from mscol_cli.pretrain.modes import PLAIN, Mode, choose_mode
from mscol_cli.recipes.options import TrainingSettings
from mscol_cli.store import Store
from tests.conftest import Command
from tests.helpers.messages import mentions
from tests.helpers.scripts import run_script
from tests.helpers.training import crops, networks

CPU = torch.device("cpu")
SMALL = ["--encoder", "small", "--steps", 4, "--batch-size", 8, "--device", "cpu"]


def weights(run: Path) -> dict[str, Tensor]:
    return load_file(next(run.glob("checkpoints/step-*4")) / "encoder.safetensors")


def test_crops_cut_on_the_device_are_those_of_the_host_bit_for_bit(store: Path) -> None:
    host, device = (
        crops(store, networks("msa"), seed=3, store_on=place).batches(0, 5, CPU)
        for place in ("host", "device")
    )
    for one, other in zip(host, device, strict=True):
        assert one.waveforms.keys() == other.waveforms.keys()
        for view, rows in one.waveforms.items():
            assert torch.equal(rows, other.waveforms[view])
        for name, label in one.labels.items():
            assert torch.equal(label, other.labels[name])


def test_a_crop_past_the_end_of_its_track_ends_in_zeros_on_the_device(store: Path) -> None:
    opened = Store.open(store)
    last = len(opened.track_samples) - 1
    starts = np.array([opened.track_samples[0] - 100, opened.track_samples[last] - 1])
    crops = Crops(np.array([0, last]), np.array([1, 2]), starts)
    stored, factor = opened.gather(crops, 15_920, "rms")
    cut = DeviceStore(opened, "rms", CPU).waveforms(crops, 15_920)
    assert torch.equal(cut, torch.from_numpy(stored).float() * torch.from_numpy(factor)[:, None])
    assert not cut[0, 100:].any()


def test_mixtures_made_on_the_device_are_those_of_the_host_bit_for_bit(store: Path) -> None:
    opened, rng = Store.open(store), np.random.default_rng(0)
    gains = rng.uniform(0, 2, (8, len(opened.header.sources))).astype(np.float32)
    gains[:, 0], gains[::2, 1] = 0, 0
    tracks = rng.integers(0, len(opened.track_samples), 8)
    starts = opened.track_samples[tracks] - rng.integers(100, 30_000, 8)
    crops = Crops(tracks, np.zeros_like(tracks), starts, gains).rows(slice(1, 7))
    mix, _ = opened.gather(crops, 15_920, "rms")
    cut = DeviceStore(opened, "rms", CPU).waveforms(crops, 15_920)
    assert torch.equal(cut, torch.from_numpy(mix))
    assert mix.any(axis=1).all()


def test_a_part_of_a_store_takes_only_its_own_room(store: Path) -> None:
    opened = Store.open(store)
    some = opened.only(opened.index.track_ids[3:5])
    assert store_bytes(some) == sum(
        some.stored(track, row).nbytes
        for track in range(2)
        for row in range(len(some.header.sources))
    )
    held = DeviceStore(some, "norm", CPU)
    crops = Crops(np.array([1]), np.array([2]), np.array([160]))
    stored, factor = some.gather(crops, 1000, "norm")
    expected = torch.from_numpy(stored).float() * torch.from_numpy(factor)[:, None]
    assert torch.equal(held.waveforms(crops, 1000), expected)


def test_auto_holds_a_store_on_a_gpu_only_where_room_is_left(store: Path) -> None:
    assert fits_beside_step(needed=50, free=90, total=100)
    assert not fits_beside_step(needed=51, free=90, total=100)
    opened = Store.open(store)
    assert not keeps_on_device("auto", opened, CPU)
    assert not keeps_on_device("host", opened, torch.device("cuda", 0))
    assert keeps_on_device("device", opened, CPU)


def test_a_store_that_does_not_fit_says_so(
    mscol: Command,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(device_store, "_free_bytes", lambda _: 1_000_000)
    run = ["pretrain", store, "--objective", "msa", *SMALL, "-o", tmp_path / "run"]
    assert mscol(*run, "--store-on", "device") == 2
    assert mentions(" ".join(capsys.readouterr().err.split()), "1.00 MB", "--store-on host")


@pytest.mark.slow
def test_where_the_store_is_held_changes_no_weight(
    mscol: Command, store: Path, tmp_path: Path
) -> None:
    for place in ("host", "device"):
        run = ["pretrain", store, "--objective", "msa", *SMALL, "-o", tmp_path / place]
        assert mscol(*run, "--store-on", place) == 0
    one, other = weights(tmp_path / "host"), weights(tmp_path / "device")
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("option", "value"), [("--store-on", "disk"), ("--precision", "fp8"), ("--compile", "yes")]
)
def test_an_unknown_choice_lists_those_there_are(
    mscol: Command, store: Path, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("pretrain", store, "--objective", "msa", *SMALL, option, value) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert mentions(said, option, "auto,")
    assert f"not '{value}'" in said


def batch(crop_samples: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    noise = torch.Generator().manual_seed(0)
    tones = torch.sin(torch.arange(crop_samples) * torch.linspace(0.01, 1.5, 16)[:, None])
    views = {
        view: (tones + 0.3 * torch.randn(16, crop_samples, generator=noise)) * 3e-3
        for view in ("anchor", "positive")
    }
    return views, {"silent": torch.arange(16) % 5 == 0}


def gradient(
    module: nn.Module, inputs: tuple[Mapping[str, Tensor], Mapping[str, Tensor]]
) -> Tensor:
    torch.manual_seed(0)
    loss, _ = module(*inputs)
    loss.backward()
    assert loss.dtype is torch.float32
    grads = [p.grad.flatten() for p in module.parameters() if p.grad is not None]
    return torch.cat([loss.detach()[None], *grads])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoder", "gap", "cosine"), [("small", 0.03, 0.97), ("efficientnet_b0", 0.2, 0.7)]
)
def test_a_bf16_step_is_close_to_a_float32_one(encoder: str, gap: float, cosine: float) -> None:
    # At its random start EfficientNet answers to any rounding: weights moved by as little as bf16
    # rounds give a cosine of 0.94 here, in float32.
    kinds = torch.float32, torch.bfloat16
    exact, rounded = (networks("msa", encoder, kind).train() for kind in kinds)
    inputs = batch(exact.encoder.crop_samples)
    one, other = gradient(exact, inputs), gradient(rounded, inputs)
    assert abs(float(other[0] / one[0]) - 1) < gap
    assert float(torch.cosine_similarity(one[1:], other[1:], dim=0)) > cosine
    assert all(p.dtype is torch.float32 for p in rounded.parameters())


def test_auto_is_plain_float32_on_a_cpu() -> None:
    assert pick_precision("auto", CPU) is torch.float32
    assert pick_precision("bf16", CPU) is torch.bfloat16
    assert choose_mode(TrainingSettings(), CPU).mode == PLAIN


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler")
def test_a_compiled_encoder_gives_the_same_gradients() -> None:
    # As in training: torch's own batch normalisation of channels-last images is less exact.
    plain, compiled = networks("msa").train(), networks("msa").train()
    globalise_batch_norm(plain, CPU)
    globalise_batch_norm(compiled, CPU)
    compiled.use(Mode(compiled=True), CPU)
    inputs = batch(plain.encoder.crop_samples)
    one, other = gradient(plain, inputs), gradient(compiled, inputs)
    assert float(other[0]) == pytest.approx(float(one[0]), rel=1e-4)
    assert float((one - other).norm() / one.norm()) < 2e-3
    assert plain.state_dict().keys() == compiled.state_dict().keys()


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_is_kept_with_glibc() -> None:
    # In a new process: after an allocation that failed, as other tests make, glibc takes blocks of
    # the thread from another place, where large ones are unmapped.
    before, used, freed, after = run_script("kept_memory.py", [])
    assert used - before <= 2**26 + 2**22
    assert freed > used - 2**22
    assert after < used - 2**25
