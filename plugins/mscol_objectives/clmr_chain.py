"""The augmentations of CLMR: a chain of seven waveform augmentations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor, nn

from mscol_cli.api import Augmentation, Augmented, CropPlan, ObjectiveContext
from mscol_objectives.clmr import Clmr
from mscol_objectives.options import ClmrAugmentationOptions, ClmrOptions
from mscol_objectives.pitch import PitchShift
from mscol_objectives.reverb import Reverb
from mscol_objectives.waveform_filter import HighOrLowPass
from mscol_objectives.waveform_steps import Delay, Drawn, Gain, Noise, Polarity, Step


class ClmrAugmentations(Augmentation):
    """The chain of CLMR (arXiv 2103.09410), in the order of its code: polarity, noise, gain,
    filter, delay, pitch, reverb. Each step is applied to each crop of each view with the step's
    probability and independent parameters. No step depends on the level of the waveform.

    Differences from the authors' code:

    * Crops are augmented at the store's 16 kHz, not at 22,050 Hz: a pitch shift up loses
      frequencies that would be above 8 kHz.
    * Pitch and reverb are computed without sox, see `PitchShift` and `Reverb`; sox works on 32-bit
      integers and clips at full scale.
    * The authors' gain clips at full scale, too, which a gain below 1 never reaches.
    """

    def __init__(self, options: ClmrAugmentationOptions, context: ObjectiveContext) -> None:
        super().__init__()
        rate = context.sample_rate
        self.steps = nn.ModuleDict(
            {
                "polarity": Polarity(),
                "noise": Noise(),
                "gain": Gain(),
                "filter": HighOrLowPass(rate),
                "delay": Delay(rate),
                "pitch": PitchShift(rate, options.pitch_cents),
                "reverb": Reverb(rate),
            }
        )
        self.probability = {name: getattr(options, name) for name in self.steps}

    def draw(self, plan: CropPlan, rng: np.random.Generator) -> dict[str, Drawn]:
        """Parameters (batch, parameters) of each view and step; NaN for rows not changed."""
        return {
            f"{view}_{name}": self._draw_step(name, rng, len(crops.start))
            for view, crops in plan.views.items()
            for name in self.steps
        }

    def augment_waveforms(
        self, views: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Change every view with the parameters of its rows."""
        changed = dict(views)
        for view in views:
            for name, step in self.steps.items():
                changed[view] = self._change(step, changed[view], labels[f"{view}_{name}"])
        return changed

    def _draw_step(self, name: str, rng: np.random.Generator, rows: int) -> Drawn:
        step = self.steps[name]
        assert isinstance(step, Step)
        chosen = rng.random((rows, 1)) < self.probability[name]
        return np.where(chosen, step.draw(rng, rows), np.nan)

    def _change(self, step: nn.Module, waveforms: Tensor, drawn: Tensor) -> Tensor:
        chosen = (~drawn[:, 0].isnan()).nonzero()[:, 0]
        if not len(chosen):
            return waveforms
        return waveforms.index_copy(0, chosen, step(waveforms[chosen], drawn[chosen]))


class AugmentedClmr(Augmented):
    """CLMR with its augmentations, as published."""

    def __init__(self, options: ClmrOptions, context: ObjectiveContext) -> None:
        super().__init__(Clmr(options, context), [ClmrAugmentations(options, context)])
