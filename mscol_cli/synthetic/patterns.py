"""Rhythms of drums, basses and accompaniments, in sixteenth notes.

A line has one character per sixteenth: ``X`` accent, ``x`` normal, ``o`` soft, ``?`` soft and only
sometimes, ``.`` rest. For other metres, lines of 16 are truncated or repeated.
"""

from mscol_cli.synthetic.randomness import Rng

Grid = dict[str, str]

DRUM_GRIDS: dict[str, tuple[Grid, ...]] = {
    "boombap": (
        {"kick": "X..?..x...x..?..", "snare": "....X..?....X..o", "hat": "x.x.x.x.x.x.x.xo"},
        {"kick": "X.......x.x....?", "snare": "....X.......X...", "hat": "xoxoxoxoxoxoxoxo"},
        {
            "kick": "X..x......x.....",
            "snare": "....X..o.o..X...",
            "hat": "x.x.x.x.x.x.x.x.",
            "tom": "..............x.",
        },
    ),
    "trap": (
        {"kick": "X.....x...x.....", "snare": "........X.......", "hat": "x.xxx.x.xoxox.xx"},
        {
            "kick": "X..x.........x..",
            "snare": "........X......?",
            "hat": "x.x.xxxxx.x.xoxo",
            "open": "......x.........",
        },
    ),
    "backbeat": (
        {"kick": "X.......X.?.....", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
        {"kick": "X.....x.X.......", "snare": "....X.......X..?", "hat": "X.o.X.o.X.o.X.o."},
        {
            "kick": "X..x..x.X..x....",
            "snare": "....X.......X...",
            "hat": "x.x.x.x.x.x.x...",
            "open": "..............x.",
        },
    ),
    "rock": (
        {"kick": "X.....x.X.x.....", "snare": "....X.......X...", "hat": "X.x.X.x.X.x.X.x."},
        {"kick": "X.x.....X.x...?.", "snare": "....X.......X.oo", "open": "X...X...X...X..."},
        {"kick": "X.xxX.xxX.xxX.xx", "snare": "....X.......X...", "hat": "X...X...X...X..."},
        {
            "kick": "X.......X.......",
            "snare": "....X.......X...",
            "tom": "..x...x...x...xx",
            "open": "x.x.x.x.x.x.x.x.",
        },
    ),
    "four": (
        {
            "kick": "X...X...X...X...",
            "snare": "....X.......X...",
            "open": "..x...x...x...x.",
            "hat": "xoxoxoxoxoxoxoxo",
        },
        {"kick": "X...X...X...X...", "open": "..X...X...X...X.", "hat": "x..ox..ox..ox..o"},
        {
            "kick": "X...X...X...X..?",
            "snare": "....x..?....x...",
            "hat": "oxxxoxxxoxxxoxxx",
            "tom": "...x..x....x..x.",
        },
    ),
    "breaks": (
        {"kick": "X.x.......xx....", "snare": "....X..o.o..X..o", "hat": "x.x.x.x.x.x.x.x."},
        {"kick": "X.........x.....", "snare": "....X..x....X.?.", "hat": "xxxxxxxxxxxxxxxx"},
    ),
    "soft": (
        {"kick": "x.......x.......", "snare": "....x.......x...", "hat": "o.o.x.o.o.o.x.o."},
        {"open": "x..ox..ox..ox..o", "kick": "x.......?......."},
        {"hat": "x...o.o.x...o.o.", "snare": "........x......."},
    ),
    "hands": (
        {"kick": "X.....x...x.....", "snare": "..x.x..x..x.x..x", "hat": "?x.x?x.x?x.x?x.x"},
        {
            "kick": "X..x....X..x....",
            "snare": "......x.......xx",
            "tom": "..x.x.....x.x...",
            "open": "x.x.x.x.x.x.x.x.",
        },
        {"kick": "X......x..x.....", "tom": "...xx.x....xx.x.", "hat": "oxoxoxoxoxoxoxox"},
        {"kick": "X.x...X.x.......", "snare": "...x..x....x.xxx", "open": "X...x...X...x..."},
    ),
    "scatter": (
        {"kick": "X??..?..?..?...?", "snare": "..?...?..?...?..", "hat": "???.??..?.???.??"},
        {"crash": "X...............", "tom": "...?..?...?..?.?", "hat": "?.?.?.?.?.?.?.?."},
        {"kick": "X......?........", "open": "..?..x....?...?.", "snare": "...........X...."},
    ),
}

BASS_RHYTHMS: dict[str, tuple[str, ...]] = {
    "sparse": ("X.........x.....", "X...............", "X.....x........."),
    "syncopated": ("X..x..x...x..x..", "X.....x.x..x....", "X..x......x.x..."),
    "eighths": ("X.x.x.x.x.x.x.x.",),
    "walking": ("X...x...x...x...",),
    "two": ("X.......x.......",),
    "offbeat": ("..X...X...X...X.", "..Xx..Xx..Xx..Xx"),
    "sixteenths": ("XxxxXx.xXxxxX.xx", "X.xxX.xxX.xxX.xx", "xxXx.xXxx.XxxXx."),
}

CHORD_RHYTHMS: dict[str, tuple[str, ...]] = {
    "held": ("X...............",),
    "halves": ("X.......x.......",),
    "strum": ("X...x.ox..oxx.ox", "X..ox.x.X..ox.x.", "X.x.x.xoX.x.x.xo"),
    "waltz": ("X...x.o.x.o.",),
    "stabs": ("..x...x...x...x.", "x..x..x.........", "...x..x.....x..."),
    "chug": ("X.xxX.xxX.xxX.xx", "XxxxXxxxXxxxXxxx", "X.x.x.x.X.x.x.x."),
    "beats": ("X...x...x...x...",),
}

LOUDNESS = {"X": 1.0, "x": 0.78, "o": 0.45, "?": 0.5}


def fit(line: str, steps: int) -> str:
    """Truncate or repeat a line to ``steps`` characters."""
    return (line * (steps // len(line) + 1))[:steps]


def hits(line: str, steps: int, rng: Rng) -> list[tuple[int, float]]:
    """The (step, velocity) pairs of one bar; each ``?`` is drawn at random."""
    pairs = []
    for step, mark in enumerate(fit(line, steps)):
        if mark == "." or (mark == "?" and rng.random() < 0.55):
            continue
        pairs.append((step, LOUDNESS[mark] * float(rng.uniform(0.88, 1.0))))
    return pairs
