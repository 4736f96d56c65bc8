"""FluidSynth's library: General MIDI soundfonts to audio, with the parts of a song apart."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from ctypes.util import find_library
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from bench.music.midi import DRUM_CHANNEL

Floats = NDArray[np.float32]

RATE = 16_000
OVERSAMPLING = 2
GROUPS, CHANNELS = 4, 64
DRUM_BANK = 128
MELODIC, PERCUSSION = 0, 1
OK = 0
SETTINGS: dict[str, float | int] = {
    "synth.sample-rate": float(RATE * OVERSAMPLING), "synth.gain": 0.5,
    "synth.audio-channels": GROUPS, "synth.audio-groups": GROUPS, "synth.midi-channels": CHANNELS,
    "synth.reverb.active": 0, "synth.chorus.active": 0, "synth.polyphony": 512,
    "synth.cpu-cores": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Event:
    """Start or end of a note.

    Attributes:
        second: Time.
        channel: MIDI channel; its remainder by 4 is the group of its sound.
        pitch: MIDI pitch.
        velocity: 1 to 127; 0 ends the note.
    """

    second: float
    channel: int
    pitch: int
    velocity: int


def library() -> ctypes.CDLL | None:
    """Load FluidSynth; None if it is not installed."""
    name = find_library("fluidsynth")
    if name is None:
        return None
    loaded = ctypes.CDLL(name)
    for function in ("new_fluid_settings", "new_fluid_synth"):
        getattr(loaded, function).restype = ctypes.c_void_p
    return loaded


class Soundfont:
    """A General MIDI soundfont, loaded once."""

    def __init__(self, path: Path) -> None:
        """Load a soundfont.

        Raises:
            SystemExit: FluidSynth is missing, or cannot read the file.
        """
        loaded = library()
        if loaded is None:
            raise SystemExit("FluidSynth is missing: install it (apt install fluidsynth)")
        self._path = path
        # FluidSynth shares the decoded samples of a file between synthesisers while one has them.
        self._holder = _Synth(loaded, path)

    def render(
        self, programs: Mapping[int, int], events: Sequence[Event], seconds: float
    ) -> Floats:
        """Render mono audio of each group, (4, samples) at 16 kHz, without effects.

        Args:
            programs: Instrument of each channel. Channels of the group of channel 9 have drum
                kits; kit 0 is used if the soundfont lacks another.
            events: Notes in any order.
            seconds: Duration; notes that sound longer are cut off.
        """
        # A synthesiser that was used before renders slightly different samples.
        synth = _Synth(self._holder.library, self._path)
        try:
            for channel, program in programs.items():
                synth.select(channel, program)
            return synth.render(events, seconds)
        finally:
            synth.close()


class _Synth:
    """A synthesiser with one soundfont."""

    def __init__(self, loaded: ctypes.CDLL, soundfont: Path) -> None:
        self.library = loaded
        self._settings = ctypes.c_void_p(loaded.new_fluid_settings())
        for name, value in SETTINGS.items():
            if isinstance(value, float):
                number = ctypes.c_double(value)
                loaded.fluid_settings_setnum(self._settings, name.encode(), number)
            else:
                loaded.fluid_settings_setint(self._settings, name.encode(), value)
        self._synth = ctypes.c_void_p(loaded.new_fluid_synth(self._settings))
        self._font = loaded.fluid_synth_sfload(self._synth, str(soundfont).encode(), 1)
        if self._font < 0:
            raise SystemExit(f"{soundfont} is not a soundfont that FluidSynth can read")

    def close(self) -> None:
        self.library.delete_fluid_synth(self._synth)
        self.library.delete_fluid_settings(self._settings)

    def select(self, channel: int, program: int) -> None:
        is_drums = channel % GROUPS == DRUM_CHANNEL % GROUPS
        kind, bank = (PERCUSSION, DRUM_BANK) if is_drums else (MELODIC, 0)
        self.library.fluid_synth_set_channel_type(self._synth, channel, kind)
        select = self.library.fluid_synth_program_select
        for choice in (program, 0):
            if select(self._synth, channel, self._font, bank, choice) == OK:
                return

    def render(self, events: Sequence[Event], seconds: float) -> Floats:
        total = round(seconds * RATE) * OVERSAMPLING
        audio = np.zeros((2 * GROUPS, total), np.float32)
        position = 0
        # Ends before starts, so that a repeated note is not cut off.
        for event in sorted(events, key=_order):
            until = min(total, round(event.second * RATE * OVERSAMPLING))
            position = self._write(audio, position, until)
            self._play(event)
        self._write(audio, position, total)
        mono = audio.reshape(GROUPS, 2, total).mean(axis=1)
        return np.asarray(resample_poly(mono, 1, OVERSAMPLING, axis=1), np.float32)

    def _play(self, event: Event) -> None:
        arguments = (self._synth, event.channel, event.pitch)
        if event.velocity:
            self.library.fluid_synth_noteon(*arguments, event.velocity)
        else:
            self.library.fluid_synth_noteoff(*arguments)

    def _write(self, audio: Floats, start: int, end: int) -> int:
        """Render samples of all groups, left and right of each, into the rows of an array."""
        if end <= start:
            return start
        rows = [audio[row, start:end].ctypes.data for row in range(2 * GROUPS)]
        left = (ctypes.c_void_p * GROUPS)(*rows[0::2])
        right = (ctypes.c_void_p * GROUPS)(*rows[1::2])
        self.library.fluid_synth_nwrite_float(self._synth, end - start, left, right, None, None)
        return end


def _order(event: Event) -> tuple[float, bool, int, int]:
    return event.second, event.velocity > 0, event.channel, event.pitch
