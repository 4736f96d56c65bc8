"""Composition of a song from a style and a random stream."""

from dataclasses import dataclass

from mscol_cli.synthetic.harmony import Key
from mscol_cli.synthetic.randomness import Rng, pick, pick_weighted
from mscol_cli.synthetic.styles import STYLES, Layer, Style

STEMS = ("bass", "drums", "other", "vocals")
STEPS_PER_BEAT = 4


@dataclass(frozen=True)
class Line:
    """An accompaniment part of a song."""

    role: str
    instrument: str
    rhythm: str
    octave: int
    step: int


@dataclass(frozen=True)
class Score:
    """Composition of one song.

    Attributes:
        style: name of the style.
        tempo: beats per minute.
        beats: beats per bar.
        swing: delay of every second sixteenth as a share of its length.
        key: tonic and scale.
        roots: chord root, as a scale degree, of each bar.
        drums, bass: ``(kit, grid)`` and ``(instrument, rhythm)``; None when absent.
        lines: accompaniment.
        singer: kind of singer, or None.
        presence: start and end in seconds of each stem.
        reverb_s: decay of the room in seconds.
    """

    style: str
    tempo: float
    beats: int
    swing: float
    key: Key
    roots: tuple[int, ...]
    drums: tuple[str, str] | None
    bass: tuple[str, str] | None
    lines: tuple[Line, ...]
    singer: str | None
    presence: dict[str, tuple[float, float]]
    reverb_s: float

    @property
    def step_s(self) -> float:
        """Seconds in a sixteenth note."""
        return 60.0 / self.tempo / STEPS_PER_BEAT

    @property
    def steps(self) -> int:
        """Sixteenths in a bar."""
        return self.beats * STEPS_PER_BEAT

    def time(self, bar: int, step: float) -> float:
        """Seconds from the start of the song, swing included."""
        late = self.swing if int(step) % 2 == 1 else 0.0
        return (bar * self.steps + step + late) * self.step_s


def compose(style_name: str, seconds: float, rng: Rng) -> Score:
    """Compose a random song of a style, ``seconds`` long."""
    style = STYLES[style_name]
    tempo, beats = float(rng.uniform(*style.tempo)), pick(rng, style.beats)
    bars = int(seconds / (60.0 / tempo * beats)) + 1
    roots, turn = pick(rng, style.progressions), int(rng.integers(4))
    lines = _lines(style, rng)
    singer = _some(style.singers, rng)
    drums, bass = _pair(_some(style.drums, rng)), _pair(_some(style.bass, rng))
    present = {"drums": drums is not None, "bass": bass is not None, "vocals": singer is not None}
    return Score(
        style=style_name,
        tempo=tempo,
        beats=beats,
        swing=float(rng.uniform(*style.swing)),
        key=Key(int(rng.integers(12)), pick_weighted(rng, style.scales)),
        roots=tuple(roots[(turn + bar) % len(roots)] for bar in range(bars)),
        drums=drums,
        bass=bass,
        lines=lines,
        singer=singer,
        presence=_presence(seconds, present, rng),
        reverb_s=float(rng.uniform(*style.reverb_s)),
    )


def _some(weights: dict[str, float], rng: Rng) -> str | None:
    name = pick_weighted(rng, weights)
    return None if name == "none" else name


def _pair(name: str | None) -> tuple[str, str] | None:
    if name is None:
        return None
    first, second = name.split("/")
    return first, second


def _lines(style: Style, rng: Rng) -> tuple[Line, ...]:
    lines = [_line(layer, rng) for layer in style.layers if rng.random() < layer.chance]
    return tuple(lines) or (_line(pick(rng, style.layers), rng),)


def _line(layer: Layer, rng: Rng) -> Line:
    instrument = pick_weighted(rng, layer.instruments)
    return Line(layer.role, instrument, pick(rng, layer.rhythms), layer.octave, layer.step)


def _presence(seconds: float, present: dict[str, bool], rng: Rng) -> dict[str, tuple[float, float]]:
    """Random start or end of each stem; of the accompaniment only if drums or bass play on."""
    presence = {name: _window(seconds, 0.45, rng) for name in present}
    steady = any(present[name] and presence[name] == (0.0, seconds) for name in ("bass", "drums"))
    presence["other"] = _window(seconds, 0.3 if steady else 0.0, rng)
    return presence


def _window(seconds: float, chance: float, rng: Rng) -> tuple[float, float]:
    if rng.random() >= chance:
        return 0.0, seconds
    if rng.random() < 0.6:
        return seconds * float(rng.uniform(0.4, 0.55)), seconds
    return 0.0, seconds * float(rng.uniform(0.25, 0.45))
