"""Single notes of all NSynth families, with many instruments per family."""

from dataclasses import dataclass

import numpy as np

from mscol_cli.synthetic import effects
from mscol_cli.synthetic.instruments import FAMILY_INSTRUMENTS, INSTRUMENTS
from mscol_cli.synthetic.randomness import Rng, stream
from mscol_cli.synthetic.signals import Audio, as_audio, midi_to_hz
from mscol_cli.synthetic.timbre import Timbre, play, vary
from mscol_cli.synthetic.voice import cast_singer, hold_vowel

NOTE_SAMPLE_RATE = 16_000
NOTE_SECONDS = 4.0
HOLD_SECONDS = 3.0
VELOCITIES = (25, 50, 75, 100, 127)
QUALITIES = (
    "bright", "dark", "distortion", "fast_decay", "long_release", "multiphonic", "nonlinear_env",
    "percussive", "reverb", "tempo-synced",
)  # fmt: skip
PITCHES = {
    "bass": (28, 55), "brass": (46, 79), "flute": (60, 91), "guitar": (40, 79),
    "keyboard": (33, 91), "mallet": (53, 96), "organ": (36, 84), "reed": (48, 84),
    "string": (40, 88), "synth_lead": (48, 88), "vocal": (45, 76),
}  # fmt: skip
"""Lowest and highest MIDI pitch of each family."""


@dataclass(frozen=True)
class NoteInstrument:
    """A variation of the prototype ``model``; ``timbre`` is None for voices."""

    model: str
    timbre: Timbre | None
    reverb_s: float


def instrument_of(family: str, instrument: int, *, seed: int) -> NoteInstrument:
    """Instrument of a family by number; the prototypes alternate.

    Raises:
        KeyError: if the family is unknown.
    """
    models = FAMILY_INSTRUMENTS[family]
    model, rng = models[instrument % len(models)], stream(seed, "instrument", family, instrument)
    reverb_s = float(rng.uniform(0.3, 1.5)) if rng.random() < 0.3 else 0.0
    timbre = vary(INSTRUMENTS[model], rng) if model in INSTRUMENTS else None
    return NoteInstrument(model, timbre, reverb_s)


def render_note(family: str, instrument: int, pitch: int, velocity: int, *, seed: int) -> Audio:
    """Render one note as in NSynth: 4 s at 16 kHz, released after 3 s.

    Args:
        family: one of ``FAMILIES``.
        instrument: number of the instrument within the family.
        pitch: MIDI pitch.
        velocity: 1 to 127.
        seed: seed of the collection; the same arguments give the same samples.

    Returns:
        float32 of shape (64,000,).

    Raises:
        KeyError: if the family is unknown.
    """
    specimen = instrument_of(family, instrument, seed=seed)
    rng = stream(seed, "note", family, instrument, pitch, velocity)
    sound = _sound(specimen, family, instrument, pitch, velocity / 127.0, seed, rng)
    audio = np.zeros(int(NOTE_SECONDS * NOTE_SAMPLE_RATE), dtype=np.float32)
    audio[: len(sound)] = sound[: len(audio)]
    if specimen.reverb_s:
        response = effects.room(rng, specimen.reverb_s, NOTE_SAMPLE_RATE)
        audio = effects.reverberate(audio, response, 0.3)
    peak = float(np.abs(audio).max()) + 1e-9
    loudness = 0.25 + 0.6 * velocity / 127.0
    return as_audio(audio * (loudness / peak))


def _sound(
    specimen: NoteInstrument,
    family: str,
    instrument: int,
    pitch: int,
    velocity: float,
    seed: int,
    rng: Rng,
) -> Audio:
    if specimen.timbre is not None:
        hertz = midi_to_hz(pitch)
        return play(specimen.timbre, hertz, HOLD_SECONDS, velocity, NOTE_SAMPLE_RATE, rng)
    register = {"woman": "female", "man": "male"}.get(specimen.model, specimen.model)
    singer = cast_singer(register, stream(seed, "singer", family, instrument))
    return hold_vowel(singer, pitch, HOLD_SECONDS, velocity, NOTE_SAMPLE_RATE, rng)


def qualities_of(specimen: NoteInstrument) -> list[str]:
    """NSynth's note qualities of an instrument."""
    timbre = specimen.timbre or Timbre(attack_s=0.05)
    held = timbre.decay_s == 0.0
    true = {
        "bright": timbre.rolloff < 0.6,
        "dark": timbre.rolloff > 1.6,
        "distortion": timbre.drive > 3.0,
        "fast_decay": not held and timbre.decay_s < 1.3,
        "long_release": timbre.release_s > 0.6,
        "nonlinear_env": timbre.sweep[0] > 0.0 or timbre.bloom_s > 0.1,
        "percussive": not held and timbre.strike[0] > 0.1,
        "reverb": specimen.reverb_s > 0.0,
    }
    return [name for name in QUALITIES if true.get(name, False)]


def source_of(specimen: NoteInstrument) -> str:
    """NSynth's source of an instrument: ``acoustic``, ``electronic`` or ``synthetic``."""
    name = specimen.model
    if any(word in name for word in ("synth", "acid", "sub", "lead", "pad")):
        return "synthetic"
    if any(word in name for word in ("electric", "clean", "distorted", "picked", "drawbar")):
        return "electronic"
    return "acoustic"
