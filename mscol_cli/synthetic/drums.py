"""Drum sounds and kits: pitch-swept drumheads, filtered noise, clashing metal."""

from dataclasses import dataclass, replace

import numpy as np

from mscol_cli.synthetic.randomness import Rng, jitter
from mscol_cli.synthetic.signals import Audio, band, decay, mix_at, noise, saturate


@dataclass(frozen=True)
class Head:
    """Drumhead whose pitch falls from ``top_hz`` to ``hz`` within ``sweep_s``."""

    hz: float
    top_hz: float
    sweep_s: float
    ring_s: float
    click: float = 0.0
    drive: float = 0.0


@dataclass(frozen=True)
class Hiss:
    """Noise between two frequencies; several claps come before the tail."""

    low_hz: float
    high_hz: float
    ring_s: float
    claps: int = 1


@dataclass(frozen=True)
class Metal:
    """Inharmonic partials over ``hz``, high-passed; ``grain`` is the share of noise in it."""

    hz: float
    low_hz: float
    ring_s: float
    grain: float = 0.5


Drum = tuple[tuple[float, Head | Hiss | Metal], ...]
"""Sounds of a drum stroke, each with its level."""
Kit = dict[str, Drum]

KITS: dict[str, Kit] = {
    "rock": {
        "kick": ((1.0, Head(58, 190, 0.018, 0.28, click=0.5, drive=1.0)),),
        "snare": ((0.6, Head(190, 330, 0.02, 0.16)), (0.5, Hiss(900, 7500, 0.22))),
        "hat": ((0.35, Metal(410, 5500, 0.06)),),
        "open": ((0.35, Metal(410, 5000, 0.45)),),
        "crash": ((0.4, Metal(330, 2500, 1.6, grain=0.8)),),
        "tom": ((0.8, Head(105, 190, 0.05, 0.4, click=0.2)),),
    },
    "boombap": {
        "kick": ((1.0, Head(52, 130, 0.03, 0.35, click=0.3, drive=2.0)),),
        "snare": ((0.6, Head(165, 260, 0.02, 0.14)), (0.6, Hiss(1200, 5500, 0.18))),
        "hat": ((0.3, Metal(380, 4800, 0.05, grain=0.7)),),
        "open": ((0.3, Metal(380, 4500, 0.25, grain=0.7)),),
        "crash": ((0.3, Hiss(2500, 6000, 0.5)),),
        "tom": ((0.4, Head(420, 430, 0.01, 0.08)), (0.3, Hiss(1500, 4000, 0.05))),
    },
    "808": {
        "kick": ((1.0, Head(46, 120, 0.05, 0.75, click=0.15, drive=1.0)),),
        "snare": ((0.7, Hiss(1000, 6500, 0.2, claps=4)),),
        "hat": ((0.3, Metal(540, 6500, 0.04, grain=0.2)),),
        "open": ((0.3, Metal(540, 6000, 0.35, grain=0.2)),),
        "crash": ((0.3, Metal(540, 4000, 0.9, grain=0.3)),),
        "tom": ((0.4, Metal(560, 700, 0.25, grain=0.0)),),
    },
    "909": {
        "kick": ((1.0, Head(50, 260, 0.035, 0.35, click=0.6, drive=3.0)),),
        "snare": ((0.6, Hiss(1200, 7800, 0.18, claps=3)), (0.3, Head(200, 300, 0.02, 0.1))),
        "hat": ((0.35, Metal(620, 6800, 0.045, grain=0.6)),),
        "open": ((0.4, Metal(620, 6200, 0.22, grain=0.6)),),
        "crash": ((0.4, Metal(480, 3500, 1.3, grain=0.7)),),
        "tom": ((0.7, Head(130, 260, 0.06, 0.3)),),
    },
    "brushes": {
        "kick": ((0.6, Head(75, 120, 0.03, 0.25)),),
        "snare": ((0.5, Hiss(700, 4500, 0.16)),),
        "hat": ((0.3, Hiss(3500, 7500, 0.07)),),
        "open": ((0.35, Hiss(2500, 7500, 0.14)),),
        "crash": ((0.25, Metal(350, 2500, 1.2, grain=0.9)),),
        "tom": ((0.5, Head(140, 180, 0.04, 0.25)),),
    },
    "hands": {
        "kick": ((0.9, Head(82, 62, 0.12, 0.45)), (0.1, Hiss(400, 2500, 0.03))),
        "snare": ((0.8, Head(310, 330, 0.02, 0.3)), (0.25, Hiss(900, 4500, 0.03))),
        "hat": ((0.5, Head(480, 520, 0.01, 0.1)), (0.25, Hiss(1500, 6000, 0.03))),
        "open": ((0.4, Hiss(3500, 7800, 0.12)),),
        "crash": ((0.3, Metal(700, 2500, 0.7, grain=0.2)),),
        "tom": ((0.8, Head(190, 230, 0.05, 0.28)), (0.15, Hiss(600, 3000, 0.03))),
    },
    "scrap": {
        "kick": ((0.9, Head(65, 400, 0.08, 0.5, drive=6.0)),),
        "snare": ((0.6, Metal(230, 300, 0.35, grain=0.3)),),
        "hat": ((0.4, Hiss(3000, 7800, 0.015)),),
        "open": ((0.4, Metal(900, 1500, 0.12, grain=0.1)),),
        "crash": ((0.5, Metal(140, 100, 2.0, grain=0.4)),),
        "tom": ((0.6, Head(700, 90, 0.15, 0.4, drive=3.0)),),
    },
}


def tune_kit(name: str, rng: Rng) -> Kit:
    """A random variation of a kit."""
    return {
        drum: tuple((jitter(rng, level, 0.25), _retune(part, rng)) for level, part in parts)
        for drum, parts in KITS[name].items()
    }


def _retune(part: Head | Hiss | Metal, rng: Rng) -> Head | Hiss | Metal:
    shift, ring_s = 2.0 ** rng.uniform(-0.3, 0.3), jitter(rng, part.ring_s, 0.5)
    if isinstance(part, Head):
        return replace(part, hz=part.hz * shift, top_hz=part.top_hz * shift, ring_s=ring_s)
    if isinstance(part, Metal):
        return replace(part, hz=part.hz * shift, low_hz=part.low_hz * shift, ring_s=ring_s)
    return replace(part, low_hz=part.low_hz * shift, ring_s=ring_s)


def strike(drum: Drum, sample_rate: int, rng: Rng) -> Audio:
    """One stroke at full velocity, (samples,)."""
    sounds = [np.float32(level) * _render(part, sample_rate, rng) for level, part in drum]
    audio = np.zeros(max(map(len, sounds)), dtype=np.float32)
    for sound in sounds:
        mix_at(audio, 0, sound)
    return audio


def _render(part: Head | Hiss | Metal, sample_rate: int, rng: Rng) -> Audio:
    if isinstance(part, Head):
        return _head(part, sample_rate, rng)
    return (
        _metal(part, sample_rate, rng) if isinstance(part, Metal) else _hiss(part, sample_rate, rng)
    )


def _head(head: Head, sample_rate: int, rng: Rng) -> Audio:
    samples = int(head.ring_s * sample_rate)
    time = np.arange(samples) / sample_rate
    hertz = head.hz + (head.top_hz - head.hz) * np.exp(-time / head.sweep_s)
    audio = np.sin(2.0 * np.pi * np.cumsum(hertz) / sample_rate).astype(np.float32)
    audio *= decay(samples, head.ring_s, sample_rate)
    if head.click:
        click = band(noise(rng, samples), 1200.0, 6000.0, sample_rate)
        audio += np.float32(head.click) * click * decay(samples, 0.025, sample_rate)
    return saturate(audio, head.drive)


def _hiss(hiss: Hiss, sample_rate: int, rng: Rng) -> Audio:
    gap = int(rng.uniform(0.009, 0.014) * sample_rate)
    samples = int(hiss.ring_s * sample_rate)
    envelope = np.zeros(samples + gap * hiss.claps, dtype=np.float32)
    for clap in range(hiss.claps):
        last = clap == hiss.claps - 1
        mix_at(envelope, clap * gap, decay(samples, hiss.ring_s if last else 0.03, sample_rate))
    return band(noise(rng, len(envelope)), hiss.low_hz, hiss.high_hz, sample_rate) * envelope


def _metal(metal: Metal, sample_rate: int, rng: Rng) -> Audio:
    samples = int(metal.ring_s * sample_rate)
    time = np.arange(samples, dtype=np.float32) / sample_rate
    ratios = np.asarray([1.0, 1.342, 1.636, 2.134, 2.546, 3.127], dtype=np.float32)
    waves = np.sign(np.sin(2.0 * np.pi * metal.hz * ratios[:, None] * time))
    clang = waves.mean(axis=0) * (1.0 - metal.grain)
    audio = band(clang + metal.grain * noise(rng, samples), metal.low_hz, 1e9, sample_rate)
    return (audio * decay(samples, metal.ring_s, sample_rate)).astype(np.float32)
