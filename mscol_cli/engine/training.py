"""The training loop: one for every objective, encoder, device and number of processes."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mscol_cli import adam, distributed
from mscol_cli.checkpoints import folder as checkpoints
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.objective import Objective
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.batches import Batch, CropSource
from mscol_cli.engine.collapse import broken
from mscol_cli.engine.compiling import is_compiled
from mscol_cli.engine.memory import keep_freed_memory
from mscol_cli.engine.metrics import MetricsLog, open_log
from mscol_cli.engine.models import load_weights
from mscol_cli.engine.parallel import data_parallel
from mscol_cli.engine.precision import forbid_tf32, pick_precision
from mscol_cli.engine.settings import TrainingSettings
from mscol_cli.engine.step import Pretraining, globalise_batch_norm
from mscol_cli.engine.stopping import StopRequest
from mscol_cli.engine.watching import OnlineProbe, Watch, shown_fields
from mscol_cli.errors import Interrupted

CHECKPOINTS_KEPT = 2


@dataclass
class Training:
    """Everything one process holds while it trains.

    Attributes:
        run: The run folder.
        info: Settings of the run, as every checkpoint records them.
        settings: How long, how much, how fast.
        encoder: The network, on the device.
        objective: The pretext task, on the device.
        source: Where crops come from.
        device: Where the work is done.
        probe: What scores the encoder now and then.
    """

    run: Path
    info: Mapping[str, Any]
    settings: TrainingSettings
    encoder: Encoder
    objective: Objective
    source: CropSource
    device: torch.device
    probe: OnlineProbe | None = None

    def __post_init__(self) -> None:
        self.step = 0
        precision = pick_precision(self.settings.precision, self.device)
        model = Pretraining(self.encoder, self.objective, precision)
        if distributed.world_size() > 1:
            globalise_batch_norm(model)
        self.model = model.to(self.device)
        self.watch = Watch(self.run, self.device, self.probe)
        on_gpu = self.device.type == "cuda"
        if on_gpu:
            forbid_tf32()
        else:
            keep_freed_memory()
        if is_compiled(self.settings.compile, self.device):
            model.compile_encoder(self.device)
        fused = True if on_gpu else None
        self.optimizer = torch.optim.Adam(model.parameters(), betas=adam.BETAS, fused=fused)

    def restore(self) -> None:
        """Continue from the run's newest checkpoint, if it has one."""
        found = checkpoints.latest_checkpoint(self.run)
        if found is None:
            return
        for name, module in (("encoder", self.encoder), ("objective", self.objective)):
            load_weights(module, checkpoints.read_weights(found.folder, name), found.folder)
        state = checkpoints.read_weights(found.folder, "optimizer")
        _load_optimizer(self.optimizer, state)
        self.step = found.step

    def fit(self, progress: Progress) -> None:
        """Train to the last step.

        Raises:
            Interrupted: Stopped by a signal; a checkpoint of the last update is on disk.
            MscolError: The loss is no longer a number; the last checkpoint is from before.
        """
        trained = data_parallel(self.model)
        progress.begin("pretrain", self.settings.steps, "steps")
        progress.advance(self.step)
        with StopRequest() as stop, open_log(self.run, self.step) as log:
            self.watch.begin(self.step)
            if self.step == 0:
                self._log_untrained(log)
            meter = _Meter(self.settings.batch_size)
            batches = self.source.batches(self.step, self.settings.steps, self.device)
            for batch in meter.waiting(batches):
                meter.add(self._update(trained, batch))
                progress.advance(1, **meter.shown)
                self._after_update(meter, log, stop)
        progress.end()

    def _update(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        model.train()
        # Stochastic depth draws from torch's generator: tied to the step, a resume repeats it.
        torch.manual_seed(_step_seed(self.settings.seed, self.step))
        group = self.optimizer.param_groups[0]
        group["lr"] = learning_rate(self.settings, self.step)
        group["eps"] = adam.keras_epsilon(self.step)
        # Before the forward pass: a CUDA graph writes gradients where the last ones may still be.
        self.optimizer.zero_grad(set_to_none=True)
        loss, metrics = model(batch.waveforms, batch.labels)
        loss.backward()
        self.optimizer.step()
        self.step += 1
        return {"loss": loss.detach(), **{name: value.detach() for name, value in metrics.items()}}

    def _after_update(self, meter: _Meter, log: MetricsLog | None, stop: StopRequest) -> None:
        last = self.step == self.settings.steps
        probe_now = self.watch.due(self.step, last)
        log_now = last or probe_now or self.step % self.settings.log_every == 0
        save_now = last or self.step % self.settings.save_every == 0
        stopping = (log_now or distributed.world_size() == 1) and stop.agreed(self.device)
        self.watch.start(self.step, self.model)
        if log_now or save_now or stopping:
            self._log(meter, log, probe_now)
        if last or stopping or (save_now and not self.watch.doubtful):
            self.save()
        if stopping and not last:
            # The first process to leave has the launcher end the others, one of which is saving.
            distributed.wait_for_all()
            raise stopped(self.run, self.step, self.settings.steps)

    def _log(self, meter: _Meter, log: MetricsLog | None, probe_now: bool) -> None:
        values = meter.take()
        if not math.isfinite(values["loss"]):
            raise broken(self.run, f"the loss is {values['loss']} at step {self.step}")
        values["learning_rate"] = learning_rate(self.settings, self.step - 1)
        values |= self.watch.look(self.step, self.model)
        values |= self.watch.score(self.encoder) if probe_now else {}
        if log is not None:
            log.write(self.step, values)
        self.watch.judge()
        meter.go_on(values)

    def _log_untrained(self, log: MetricsLog | None) -> None:
        scores = self.watch.score(self.encoder)
        if log is not None and scores:
            log.write(0, scores)

    def save(self) -> None:
        """Write a checkpoint of this step; one process of many does it.

        Raises:
            MscolError: The last update broke the weights; the checkpoint before stays the newest.
        """
        if not all(bool(weights.isfinite().all()) for weights in self.model.parameters()):
            raise broken(self.run, f"weights are no longer numbers at step {self.step}")
        if distributed.rank() != 0:
            return
        parts = {
            "encoder": self.encoder.state_dict(),
            "objective": self.objective.state_dict(),
            "optimizer": _flat_optimizer(self.optimizer),
        }
        checkpoints.save_checkpoint(self.run, self.step, self.info, parts)
        checkpoints.prune(self.run, CHECKPOINTS_KEPT)


def stopped(run: Path, step: int, steps: int) -> Interrupted:
    """What to tell whoever stopped a run after `step` updates, which are saved."""
    return Interrupted(f"stopped at step {step} of {steps}, saved in {run}: --resume goes on.")


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """The rate of an update (counted from 0); halved for the second half, as published, unless the
    schedule is constant."""
    halved = settings.schedule == "halved" and 2 * step >= settings.steps
    return settings.learning_rate * (0.5 if halved else 1.0)


class _Meter:
    """Means since the last logged line, without making a GPU wait in between."""

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self.shown: dict[str, str] = {}
        self._clear()

    def waiting(self, batches: Any) -> Any:
        """Pass batches on, and count the time spent waiting for them."""
        iterator = iter(batches)
        while True:
            asked = time.perf_counter()
            batch = next(iterator, None)
            self._waited += time.perf_counter() - asked
            if batch is None:
                return
            yield batch

    def add(self, values: dict[str, Tensor]) -> None:
        """Count one update."""
        self._count += 1
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0) + value

    def take(self) -> dict[str, float]:
        """Means, pairs per second and share of time waiting for data; starts anew."""
        means = {name: float(total) / self._count for name, total in self._sums.items()}
        seconds = time.perf_counter() - self._since
        rate, waited = self._count * self._batch_size / seconds, self._waited
        self._clear()
        return {**means, "pairs_per_second": rate, "data_wait": waited / seconds}

    def go_on(self, values: dict[str, float]) -> None:
        """Start the next stretch after those values were seen to, which took its time."""
        self.shown = shown_fields(values)
        self._since = time.perf_counter()

    def _clear(self) -> None:
        self._sums: dict[str, Any] = {}
        self._count, self._waited, self._since = 0, 0.0, time.perf_counter()


def _step_seed(seed: int, step: int) -> int:
    # Large primes keep seeds of neighbouring runs, steps and ranks apart.
    return (seed * 1_000_003 + step * 8_191 + distributed.rank() * 131_071) % (2**63)


def _flat_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {
        f"{parameter}.{name}": torch.as_tensor(value)
        for parameter, values in state.items()
        for name, value in values.items()
    }


def _load_optimizer(optimizer: torch.optim.Optimizer, flat: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in flat.items():
        parameter, name = key.split(".")
        state.setdefault(int(parameter), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
