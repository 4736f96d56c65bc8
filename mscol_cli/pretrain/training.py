"""The training loop: one for every objective, encoder, device and number of processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.hooks import PROJECT
from mscol_cli.contracts.objective import Objective
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine import optimizer
from mscol_cli.engine.batch_norm import globalise_batch_norm
from mscol_cli.engine.devices import describe_machine, forbid_tf32, keep_freed_memory
from mscol_cli.engine.models import load_weights
from mscol_cli.engine.optimizer import flat_state, load_flat_state
from mscol_cli.errors import Interrupted, MscolError
from mscol_cli.host.checks.encoder import validate_gradients
from mscol_cli.host.checks.objective import validate_metrics
from mscol_cli.host.guard import label_of, located
from mscol_cli.pretrain.adapting import Adaptation
from mscol_cli.pretrain.batches import Batch, BatchStream, CropSource
from mscol_cli.pretrain.metrics_log import Meter, MetricsLog, open_log
from mscol_cli.pretrain.modes import choose_mode
from mscol_cli.pretrain.monitor import OnlineProbe, TrainingMonitor, training_failure
from mscol_cli.pretrain.processes import StopRequest
from mscol_cli.pretrain.restoring import shared_checkpoint
from mscol_cli.pretrain.step import Pretraining, data_parallel
from mscol_cli.recipes.options import TrainingSettings
from mscol_cli.runs import checkpoint as checkpoints
from mscol_cli.runs.checkpoint import BEST, set_aside
from mscol_cli.runs.layout import CHECKPOINTS, LATEST, RUN, RUNS, point_latest
from mscol_cli.runs.metrics import format_damage, split_damaged
from mscol_cli.runs.settings import flat_settings
from mscol_cli.system import distributed
from mscol_cli.system.json_files import parsing
from mscol_cli.system.locks import Lock
from mscol_cli.system.values import differences


@dataclass
class Training:
    """Training in one process.

    Attributes:
        run: The run folder.
        info: Settings of the run, as recorded in every checkpoint.
        settings: Options of training.
        encoder: The network, on the device.
        objective: The pretext task, on the device.
        source: Source of batches.
        device: The device.
        probe: Online probe, which scores the encoder during training.
        lock: The lock of the run, in the first process.
    """

    run: Path
    info: Mapping[str, Any]
    settings: TrainingSettings
    encoder: Encoder
    objective: Objective
    source: CropSource
    device: torch.device
    probe: OnlineProbe | None = None
    lock: Lock | None = None

    def __post_init__(self) -> None:
        self.step = 0
        self._is_latest = False
        self._warned: set[str] = set()
        self._warn: Callable[[str], None] = lambda _: None
        self.meter = Meter(self.settings.batch_size)
        self.choice = choose_mode(self.settings, self.device)
        model = Pretraining(self.encoder, self.objective)
        # On a single GPU, CUDA graphs can record the kernels of torch's batch normalisation.
        if distributed.world_size() > 1 or self.device.type == "cpu":
            globalise_batch_norm(model, self.device)
        self.model = model.to(self.device)
        self.monitor = TrainingMonitor(self.run, self.device, self.probe)
        model.use(self.choice.mode, self.device)
        self.optimizer = optimizer.adam(model, self.device, self.settings.weight_decay)

    def restore(self, progress: Progress) -> None:
        """Load the run's newest readable checkpoint, if it has any checkpoint.

        Raises:
            UsageError: No checkpoint is readable.
            MscolError: The processes have not read the same one.
        """
        self._warn = progress.warn
        restored = shared_checkpoint(self.run, self.device)
        if restored is None:
            return
        for name, module in (("encoder", self.encoder), ("objective", self.objective)):
            load_weights(module, restored.tensors[name], restored.checkpoint.folder)
        load_flat_state(self.optimizer, restored.tensors["optimizer"])
        self.step = restored.checkpoint.step
        with parsing(restored.checkpoint.folder / RUN, "delete this checkpoint."):
            self.meter = Meter(self.settings.batch_size, restored.checkpoint.info.get("meter"))
        self._note_rounding(restored.checkpoint.info.get("machine", {}), progress)
        for folder, problem in restored.damaged.items():
            progress.warn(f"{problem} Resuming from step {self.step} instead.")
            if distributed.rank() == 0:
                set_aside(folder)
        self._finish_saving()

    def _note_rounding(self, before: Mapping[str, Any], progress: Progress) -> None:
        changed = differences(before, describe_machine(self.device), shared=True)
        changes = [f"{name} {old} -> {new}" for name, old, new in changed]
        if changes:
            progress.note(
                f"{self.run} resumes with {'; '.join(sorted(changes))}: results will differ by"
                " rounding from an uninterrupted run."
            )

    def fit(self, progress: Progress) -> None:
        """Train to the last step.

        Raises:
            Interrupted: Stopped by a signal; a checkpoint of the last update is on disk.
            MscolError: The loss is not finite, the device has too little memory, `--compile on`
                fails, or the run folder cannot be written; the last checkpoint is kept.
            PluginError: The objective breaks its contract.
            PluginCallError: The objective or the encoder raised an exception.
        """
        self._warn = progress.warn
        # Bundled parts use all their parameters in every update; a plugin's may leave some out.
        parts = [self.info["encoder"], *self.info["objective"]["parts"]]
        bundled = all(part["owner"] == PROJECT for part in parts)
        trained = data_parallel(self.model, uses_all=bundled)
        self._warn_of_damage(progress)
        progress.begin("pretrain", self.settings.steps, "steps")
        progress.skip(self.step)
        batches = BatchStream(self.source, self.step, self.settings.steps, self.device)
        adapted = Adaptation(self.choice, self.model, batches, self.device, progress)
        with (
            process_settings(self.device),
            StopRequest() as stop,
            adapted.advising(self.run, self.settings.batch_size // distributed.world_size()),
            closing(batches),
            open_log(self.run, self.step, flat_settings(self.info), progress.warn) as log,
        ):
            with self._interruptible(stop):
                adapted.settle(trained, _step_seed(self.settings.seed, self.step), self.step)
            self.info = adapted.record(self.run, self.info)
            self.monitor.begin(self.step)
            if self.step == 0:
                self._log_untrained(log)
            if self.settings.steps == 0:
                self.save(log, scheduled=True)
            self.meter.begin()
            for batch in self.meter.waiting(batches):
                self.meter.add(
                    adapted.compute(partial(self._update, trained, batch), self.optimizer)
                )
                if adapted.has_changed():
                    self.info = adapted.record(self.run, self.info)
                progress.advance(1, **self.meter.shown)
                self._after_update(log, stop)
            if log is not None:
                log.finish()
        progress.end()

    @contextmanager
    def _interruptible(self, stop: StopRequest) -> Iterator[None]:
        """Context in which a failure after a signal is an interruption: the processes of a compiler
        receive it, too, and fail."""
        try:
            yield
        except MscolError:
            if not stop.is_requested:
                raise
            raise stopped(self.run, self.step, self.settings.steps) from None

    def _warn_of_damage(self, progress: Progress) -> None:
        # Opening the log removes damaged lines.
        damaged = split_damaged(self.run)[1]
        if damaged and distributed.rank() == 0:
            progress.warn(format_damage(self.run, damaged))

    def _update(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        if not self.model.training:  # to set every module costs a millisecond
            model.train()
        # Stochastic depth uses torch's generator: a seed per step makes a resumed run repeat it.
        torch.manual_seed(_step_seed(self.settings.seed, self.step))
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.settings, self.step)
            group["eps"] = optimizer.keras_epsilon(self.step)
        # Before the forward pass: a CUDA graph may write gradients to the memory of the last ones.
        self.optimizer.zero_grad(set_to_none=True)
        with located(f"step {self.step + 1}"):
            loss, metrics = model(batch.waveforms, batch.labels)
        if self.step == 0:
            self.model.check_loss(loss, batch.waveforms, batch.labels)
        reported = validate_metrics(metrics, label_of(self.objective))
        loss.backward()
        if self.step == 0:
            validate_gradients(self.encoder)
        self.optimizer.step()
        self.step += 1
        return {"loss": loss.detach(), **reported}

    def _after_update(self, log: MetricsLog | None, stop: StopRequest) -> None:
        last = self.step == self.settings.steps
        probe_now = self.monitor.due(self.step, last)
        stopping = stop.agreed() and not last
        self.monitor.start(self.step, self.model)
        if last or probe_now or self.step % self.settings.log_every == 0:
            self._log(log, probe_now)
        scheduled = self.step % self.settings.save_every == 0 and not self.monitor.is_suspect
        if last or scheduled or stopping:
            self.save(log, scheduled=last or scheduled)
        if stopping:
            # When one process exits, the launcher stops the others, one of which is saving.
            distributed.wait_for_all()
            raise stopped(self.run, self.step, self.settings.steps)

    def _log(self, log: MetricsLog | None, probe_now: bool) -> None:
        values = self.meter.take()
        self._check_loss(values)
        values["learning_rate"] = learning_rate(self.settings, self.step - 1)
        values |= self.monitor.measure(self.step, self.model)
        values |= self.monitor.score(self.encoder) if probe_now else {}
        if log is not None:
            with self._writing():
                log.write(self.step, values)
        self.monitor.raise_if_collapsed()
        self.meter.start_line(self.monitor.progress_fields(values))

    def _log_untrained(self, log: MetricsLog | None) -> None:
        scores = self.monitor.score(self.encoder)
        if log is not None and scores:
            with self._writing():
                log.write(0, scores)

    def _check_loss(self, means: Mapping[str, float]) -> None:
        if not math.isfinite(means.get("loss", 0.0)):
            raise training_failure(self.run, f"the loss is {means['loss']} at step {self.step}")

    def save(self, log: MetricsLog | None = None, *, scheduled: bool = True) -> None:
        """Save a checkpoint of this step, in the first process.

        Args:
            log: Log that is flushed to disk before the checkpoint is written.
            scheduled: Whether the step is a multiple of `save_every` or the last. Only such a
                checkpoint may become the best, so that interruptions do not change the best.

        Raises:
            MscolError: Weights are not finite, writing failed, or another process trains the run;
                the last checkpoint is kept.
        """
        self._check_loss(self.meter.means())
        if not all(bool(weights.isfinite().all()) for weights in self.model.parameters()):
            raise training_failure(self.run, f"weights are not finite at step {self.step}")
        score = self.meter.span_loss()
        if scheduled:
            self.meter.begin_span()
        if distributed.rank() != 0:
            return
        with self._writing():
            if log is not None:
                log.sync()
            state = {
                **self.info,
                "loss": score,
                "scheduled": scheduled,
                "meter": self.meter.state(),
                "machine": describe_machine(self.device),
            }
            if self.lock is not None and self.run.exists():  # else the run was removed
                self.lock.require_held()
            checkpoints.save_checkpoint(self.run, self.step, state, self._tensors())
            self._finish_saving()

    def _finish_saving(self) -> None:
        """Update `best` and `runs/latest`, and delete old checkpoints, in the first process.

        Repeated after a restart, as a kill may come between a checkpoint and these steps.
        """
        if distributed.rank() != 0:
            return
        for link, update in (
            (self.run / CHECKPOINTS / BEST, partial(checkpoints.keep_best, self.run)),
            (RUNS / LATEST, self._point_latest),
        ):
            with self._tolerating(f"{link} cannot be updated", "name the folder instead"):
                update()
        old = f"old checkpoints in {self.run / CHECKPOINTS} cannot be deleted"
        with self._tolerating(old, "delete them yourself"):
            checkpoints.prune(self.run, self.settings.keep_last)

    @contextmanager
    def _tolerating(self, problem: str, advice: str) -> Iterator[None]:
        """Context for a change without which training continues, with one warning: some file
        systems have no links."""
        try:
            yield
        except OSError as error:
            if problem not in self._warned:
                self._warn(f"{problem} ({error.strerror}): {advice}.")
            self._warned.add(problem)

    def _point_latest(self) -> None:
        """Point `runs/latest` at this run, once: if two runs train, the later one keeps it."""
        if not self._is_latest:
            self._is_latest = True
            point_latest(RUNS, self.run)

    def _tensors(self) -> dict[str, dict[str, Tensor]]:
        return {
            "encoder": self.encoder.state_dict(),
            "objective": self.objective.state_dict(),
            "optimizer": flat_state(self.optimizer),
        }

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            latest = checkpoints.latest_checkpoint(self.run)
            saved = f"the checkpoint of step {latest.step} is kept" if latest else "none was saved"
            raise MscolError(
                f"step {self.step} could not be written to {self.run} ({error}); {saved}: free disk"
                " space, then resume with --resume."
            ) from error


def process_settings(device: torch.device) -> AbstractContextManager[object]:
    """Context with the settings of the process that updates need."""
    return forbid_tf32() if device.type == "cuda" else keep_freed_memory()


def stopped(run: Path, step: int, steps: int) -> Interrupted:
    """Build the error for a run that was stopped and saved after `step` updates."""
    return Interrupted(f"stopped at step {step} of {steps}, saved in {run}: resume with --resume.")


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """Learning rate of an update, counted from 0; schedule `halved` halves it after half of the
    steps, as published."""
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    if settings.schedule == "cosine":
        done = (step - settings.warmup) / (settings.steps - settings.warmup)
        return settings.learning_rate * (1 + math.cos(math.pi * done)) / 2
    halved = settings.schedule == "halved" and 2 * step >= settings.steps
    return settings.learning_rate * (0.5 if halved else 1.0)


def _step_seed(seed: int, step: int) -> int:
    # Large primes make seeds of neighbouring runs, steps and ranks differ.
    return (seed * 1_000_003 + step * 8_191 + distributed.rank() * 131_071) % (2**63)
