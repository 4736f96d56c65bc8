"""Notes and drum hits of the parts of a score."""

from dataclasses import dataclass

from mscol_cli.synthetic.harmony import Note, melody
from mscol_cli.synthetic.patterns import (
    BASS_RHYTHMS,
    CHORD_RHYTHMS,
    DRUM_GRIDS,
    hits,
)
from mscol_cli.synthetic.randomness import Rng, pick
from mscol_cli.synthetic.score import Line, Score


@dataclass(frozen=True)
class Hit:
    """A drum stroke: start in seconds, name in the kit, velocity 0 to 1."""

    start_s: float
    drum: str
    velocity: float


def drum_hits(score: Score, rng: Rng) -> list[Hit]:
    """Drum part, with occasional crashes and a fill at the end of every fourth bar."""
    assert score.drums is not None
    grid, part = pick(rng, DRUM_GRIDS[score.drums[1]]), []
    for bar in range(len(score.roots)):
        for drum, line in grid.items():
            for step, velocity in hits(line, score.steps, rng):
                part.append(Hit(score.time(bar, step), drum, velocity))
        if bar % 4 == 0 and rng.random() < 0.4:
            part.append(Hit(score.time(bar, 0), "crash", 0.7))
        if bar % 4 == 3 and rng.random() < 0.6:
            part += _fill(score, bar, rng)
    return part


def _fill(score: Score, bar: int, rng: Rng) -> list[Hit]:
    last = range(score.steps - 4, score.steps)
    drums = [pick(rng, ("snare", "tom")) for _ in last]
    return [
        Hit(score.time(bar, s), d, float(rng.uniform(0.5, 0.9)))
        for s, d in zip(last, drums, strict=True)
    ]


def bass_notes(score: Score, rng: Rng) -> list[Note]:
    """Bass part: roots and occasional other degrees, each held until shortly before the next."""
    assert score.bass is not None
    rhythm, notes = pick(rng, BASS_RHYTHMS[score.bass[1]]), []
    for bar, root in enumerate(score.roots):
        strokes = hits(rhythm, score.steps, rng)
        ends = [step for step, _ in strokes[1:]] + [score.steps]
        for (step, velocity), end in zip(strokes, ends, strict=True):
            degree = root if step == 0 else root + pick(rng, (0, 0, 0, 4, 7, 2))
            length = max(0.8, 0.9 * (end - step)) * score.step_s
            pitch = score.key.pitch(degree, 1)
            pitch -= 12 if pitch > 46 else 0
            notes.append(Note(score.time(bar, step), length, max(pitch, 28), velocity))
    return notes


def line_notes(line: Line, score: Score, rng: Rng) -> list[Note]:
    """Notes of an accompaniment part, by its role."""
    if line.role == "arpeggio":
        return _arpeggio(line, score, rng)
    if line.role == "melody":
        return melody_notes(score, rng, 12 * line.octave + 7, 12 * line.octave + 29, line.step)
    if line.role == "drone":
        return _drone(line, score, rng)
    if line.role == "texture":
        return _texture(score, rng)
    return _chords(line, score, rng)


def _chords(line: Line, score: Score, rng: Rng) -> list[Note]:
    rhythm, notes = pick(rng, CHORD_RHYTHMS[line.rhythm]), list[Note]()
    seventh = line.role == "chords" and rng.random() < 0.35
    for bar, root in enumerate(score.roots):
        strokes = hits(rhythm, score.steps, rng)
        ends = [step for step, _ in strokes[1:]] + [score.steps]
        for (step, velocity), end in zip(strokes, ends, strict=True):
            pitches = _voicing(line, score, root, seventh)
            spread = float(rng.uniform(0.008, 0.02)) if line.role == "strum" else 0.0
            held = 0.5 if line.rhythm == "stabs" else (0.85 if line.role == "power" else 0.97)
            for index, pitch in enumerate(pitches[:: 1 if step % 4 == 0 else -1]):
                start = score.time(bar, step) + index * spread
                notes.append(Note(start, held * (end - step) * score.step_s, pitch, velocity))
    return notes


def _voicing(line: Line, score: Score, root: int, seventh: bool) -> list[int]:
    if line.role == "power":
        low = score.key.pitch(root, 2) - (12 if score.key.tonic > 7 else 0)
        return [max(low, 38), max(low, 38) + 7, max(low, 38) + 12]
    chord = score.key.chord(root, line.octave, seventh)
    return [*chord, chord[0] + 12, chord[1] + 12] if line.role == "strum" else chord


def _arpeggio(line: Line, score: Score, rng: Rng) -> list[Note]:
    order = pick(rng, ((0, 1, 2, 3), (0, 2, 1, 2), (3, 2, 1, 0), (0, 1, 2, 3, 2, 1), (0, 2, 3, 1)))
    rests, notes = float(rng.uniform(0.0, 0.2)), []
    length = line.step * score.step_s * float(rng.uniform(0.7, 1.6))
    for bar, root in enumerate(score.roots):
        chord = score.key.chord(root, line.octave)
        chord = [*chord, chord[0] + 12]
        for index, step in enumerate(range(0, score.steps, line.step)):
            if rng.random() >= rests:
                velocity = 0.9 if index % 4 == 0 else float(rng.uniform(0.55, 0.8))
                pitch = chord[order[index % len(order)]]
                notes.append(Note(score.time(bar, step), length, pitch, velocity))
    return notes


def _drone(line: Line, score: Score, rng: Rng) -> list[Note]:
    low = score.key.pitch(0, line.octave - 1 if line.octave > 2 else 2)
    bar_s, notes = score.steps * score.step_s, []
    for bar in range(0, len(score.roots), 2):
        for index, pitch in enumerate((low, low + 7, low + 12)):
            start = bar * bar_s + index * 0.13 * float(rng.uniform(0.5, 1.5))
            notes.append(Note(start, 1.9 * bar_s, pitch, float(rng.uniform(0.6, 0.9))))
    return notes


def _texture(score: Score, rng: Rng) -> list[Note]:
    """Notes without a beat."""
    total, notes, now = len(score.roots) * score.steps * score.step_s, [], 0.0
    busy = float(rng.uniform(0.15, 0.9))
    while now < total:
        pitch = score.key.pitch(int(rng.integers(-5, 14)), 3) + float(rng.normal(0.0, 0.2))
        length, velocity = float(rng.uniform(0.1, 2.0)), float(rng.uniform(0.3, 1.0))
        notes.append(Note(now, length, pitch, velocity))
        now += float(rng.exponential(busy)) + 0.05
    return notes


def melody_notes(score: Score, rng: Rng, lowest: int, highest: int, step: int) -> list[Note]:
    """Melody with rests; ``step`` is the shortest note in sixteenths."""
    slots, position, total = [], int(rng.integers(0, 5)), len(score.roots) * score.steps
    while position < total:
        length = step * pick(rng, (1, 2, 2, 3, 4, 6) if step < 4 else (1, 1, 2))
        if rng.random() > 0.14:
            slots.append((position, min(length, total - position)))
        position += length
    roots = [score.roots[position // score.steps] for position, _ in slots]
    tune = melody(rng, score.key, roots, lowest, highest, [-2, -1, -1, 0, 1, 1, 2, 3])
    return [
        Note(
            score.time(*divmod(position, score.steps)),
            0.93 * length * score.step_s,
            pitch,
            float(rng.uniform(0.65, 1.0)),
        )
        for (position, length), pitch in zip(slots, tune, strict=True)
    ]


SINGING_RANGES = {
    "female": (57, 75), "male": (45, 64), "choir": (55, 72), "opera": (64, 81), "rap": (43, 55),
}  # fmt: skip


def vocal_notes(score: Score, rng: Rng) -> list[Note]:
    """Vocal part: long notes for choir and opera, short notes in a narrow range for rap."""
    assert score.singer is not None
    lowest, highest = SINGING_RANGES[score.singer]
    step = {"choir": 8, "opera": 4, "rap": 1}.get(score.singer, 2)
    notes = melody_notes(score, rng, lowest, highest, step)
    if score.singer != "rap":
        return notes
    home = float(rng.uniform(lowest + 2, highest - 2))
    spoken = [home + 0.25 * (n.pitch - home) + float(rng.normal(0, 0.8)) for n in notes]
    return [
        Note(n.start_s, min(n.seconds, 0.24), pitch, n.velocity)
        for n, pitch in zip(notes, spoken, strict=True)
    ]
