"""Songs of a collection: styles, splits, and invented names."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from mscol_cli.synthetic.randomness import Rng, pick, stream
from mscol_cli.synthetic.styles import STYLES

TRAIN, VALID, TEST = "train", "valid", "test"
SONGS_PER_ARTIST = 2

GIVEN = ("Ada", "Bruno", "Clara", "Dario", "Elif", "Fenna", "Goran", "Hana", "Ilse", "Jonas",
         "Kaya", "Leon", "Mira", "Nils", "Oda", "Piet")  # fmt: skip
FAMILY = ("Amsel", "Birch", "Castell", "Dorn", "Ember", "Falk", "Grove", "Hollis", "Ivory",
          "Juniper", "Kestrel", "Larch", "Moreau", "Nightingale", "Orchard", "Pike")  # fmt: skip
ADJECTIVES = ("Blue", "Distant", "Early", "Fallen", "Golden", "Hidden", "Iron", "Little",
              "Narrow", "Open", "Quiet", "Seventh", "Slow", "White", "Wild", "Young")  # fmt: skip
NOUNS = ("Bridge", "Candle", "Door", "Field", "Harbour", "Island", "Lantern", "Meadow", "Mirror",
         "Orbit", "River", "Shore", "Signal", "Tower", "Valley", "Winter")  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One song of a collection.

    Attributes:
        index: number of the song; with the seed it determines every sample.
        style: one of ``STYLES``.
        split: ``train``, ``valid`` or ``test``.
        artist: number of the artist; all songs of an artist share style and split.
        artist_name, album, title: invented names; the title is unique.
        track_number: number of the track on the album.
    """

    index: int
    style: str
    split: str
    artist: int
    artist_name: str
    album: str
    title: str
    track_number: int


def catalogue(songs: int, shares: tuple[float, float], seed: int, name: str) -> list[Entry]:
    """Songs distributed evenly over the styles, and within each style over the splits.

    Args:
        songs: number of songs.
        shares: shares of valid and test in each style; rounded up for test.
        seed: seed of the collection.
        name: name of this catalogue, so that two catalogues of one seed are independent.
    """
    entries: list[Entry] = []
    for index, style in enumerate(STYLES):
        amount = songs // len(STYLES) + (index < songs % len(STYLES))
        for split, part in _split_sizes(amount, shares, index).items():
            entries += _pool_entries(style, split, part, len(entries), seed, name)
    return entries


def _split_sizes(amount: int, shares: tuple[float, float], index: int) -> dict[str, int]:
    """At least one song per split; styles with two songs alternate between valid and test."""
    if amount < 3:
        held_out = TEST if index % 2 else VALID
        return {TRAIN: amount - amount // 2, held_out: amount // 2}
    valid, test = max(1, round(shares[0] * amount)), max(1, ceil(shares[1] * amount))
    return {TRAIN: amount - valid - test, VALID: valid, TEST: test}


def _pool_entries(
    style: str, split: str, amount: int, first: int, seed: int, name: str
) -> list[Entry]:
    entries = []
    for number in range(amount):
        index, turn = first + number, number % SONGS_PER_ARTIST
        artist = index - turn
        rng = stream(seed, name, "artist", artist)
        entries.append(
            Entry(
                index=index,
                style=style,
                split=split,
                artist=artist,
                artist_name=f"{pick(rng, GIVEN)} {pick(rng, FAMILY)} {_roman(artist)}",
                album=_phrase(rng),
                title=f"{_phrase(stream(seed, name, 'title', index))} {_roman(index)}",
                track_number=turn + 1,
            )
        )
    return entries


def _phrase(rng: Rng) -> str:
    return f"{pick(rng, ADJECTIVES)} {pick(rng, NOUNS)}"


def _roman(number: int) -> str:
    """The number plus one in Roman numerals, which make invented names unique and readable."""
    numerals: Sequence[tuple[int, str]] = (
        (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"),
        (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
    )  # fmt: skip
    text, left = "", number + 1
    for value, letters in numerals:
        text += letters * (left // value)
        left %= value
    return text
