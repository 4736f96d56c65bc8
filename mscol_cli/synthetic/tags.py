"""MagnaTagATune tags of a song, derived from its score and its audio."""

import numpy as np

from mscol_cli.synthetic.score import Score
from mscol_cli.synthetic.signals import Audio

RARE_TAGS = (
    "rap", "hip hop", "folk", "world", "drone", "organ", "trumpet", "bells", "banjo", "oboe",
    "bass", "no drums", "acoustic", "percussion", "electric guitar", "eastern",
)  # fmt: skip
"""Some of the 138 less frequent tags."""

PLUCKED = {"acoustic guitar", "nylon guitar", "clean guitar", "distorted guitar"}
BOWED = {"violin", "cello", "string section", "pizzicato"}
SYNTHETIC = {"warm pad", "glass pad", "saw lead", "square lead", "synth pluck", "fm growl"}
CLASSICAL = BOWED | {"piano", "harpsichord", "harp", "pipe organ", "oboe", "horn"}
SAME_NAME = {
    "piano", "violin", "harpsichord", "flute", "sitar", "harp", "cello", "banjo", "oboe",
    "trumpet", "bells",
}  # fmt: skip


def tags_of(score: Score, stems: dict[str, Audio]) -> frozenset[str]:
    """All tags of ``TOP_TAGS`` and ``RARE_TAGS`` that apply to a song."""
    audible = {name for name, audio in stems.items() if np.any(audio)}
    instruments = {line.instrument for line in score.lines} if "other" in audible else set()
    tags = _instrument_tags(score, instruments) | _rhythm_tags(score, audible)
    tags |= _voice_tags(score) if "vocals" in audible else {"no vocals", "no vocal", "no voice"}
    tags |= _genre_tags(score, audible, instruments) | _loudness_tags(stems)
    if len(audible) == 1 and len(instruments) <= 1:
        tags.add("solo")
    return frozenset(tags)


def _instrument_tags(score: Score, instruments: set[str]) -> set[str]:
    tags = instruments & SAME_NAME
    groups = {
        "guitar": PLUCKED, "strings": BOWED, "synth": SYNTHETIC,
        "organ": {"drawbar organ", "pipe organ"}, "trumpet": {"brass section"},
        "electric guitar": {"clean guitar", "distorted guitar"},
        "acoustic": {"acoustic guitar", "nylon guitar", "banjo"}, "bells": {"gamelan"},
    }  # fmt: skip
    tags |= {tag for tag, members in groups.items() if instruments & members}
    tags |= {"indian"} if "sitar" in instruments else set()
    return tags | ({"drone"} if any(line.role == "drone" for line in score.lines) else set())


def _rhythm_tags(score: Score, audible: set[str]) -> set[str]:
    tags = {"slow"} if score.tempo < 82 else ({"fast"} if score.tempo > 126 else set())
    if "bass" in audible:
        tags.add("bass")
    if "drums" not in audible or score.drums is None:
        return tags | {"no drums"}
    kit, grid = score.drums
    tags |= {"percussion"} if kit in ("hands", "scrap") else {"drums"}
    return tags | ({"beat", "beats"} if grid in ("four", "boombap", "trap", "breaks") else set())


def _voice_tags(score: Score) -> set[str]:
    tags = {"vocal", "vocals", "voice"}
    if score.singer == "choir":
        return tags | {"choir", "choral", "singing"}
    if score.singer in ("female", "opera"):
        tags |= {"female", "woman", "female vocal", "female voice"}
    else:
        tags |= {"male", "man", "male vocal", "male voice"}
    if score.singer == "rap":
        return tags | {"rap"}
    return tags | {"singing"} | ({"opera"} if score.singer == "opera" else set())


def _genre_tags(score: Score, audible: set[str], instruments: set[str]) -> set[str]:
    calm = "drums" not in audible and score.tempo < 112
    tags = {
        "Hip-Hop": {"hip hop"},
        "Pop": {"pop"},
        "Folk": {"folk"},
        "Experimental": {"weird"},
        "Rock": {"rock"},
        "International": {"world", "eastern"},
        "Electronic": {"electronic"},
        "Instrumental": set[str](),
    }[score.style].copy()
    if "drums" not in audible and instruments and instruments <= CLASSICAL:
        tags |= {"classical", "classic"}
    if calm and instruments & {"warm pad", "glass pad", "pipe organ"}:
        tags |= {"ambient", "new age"}
    if calm and instruments & {"flute", "harp", "nylon guitar"}:
        tags |= {"new age"}
    return tags | _club_tags(score, audible) | _guitar_genres(score, instruments)


def _club_tags(score: Score, audible: set[str]) -> set[str]:
    if "drums" not in audible or score.drums is None or score.drums[1] != "four":
        return set()
    return {"dance", "techno"} if score.style == "Electronic" else {"dance"}


def _guitar_genres(score: Score, instruments: set[str]) -> set[str]:
    if score.style == "Rock" and "distorted guitar" in instruments:
        return {"metal"} if score.tempo > 135 or score.key.scale == "phrygian" else set()
    country = {"banjo", "acoustic guitar", "harmonica"}
    major = score.key.scale in ("major", "mixolydian")
    return {"country"} if score.style == "Folk" and major and instruments & country else set()


def _loudness_tags(stems: dict[str, Audio]) -> set[str]:
    mixture = np.sum(list(stems.values()), axis=0)
    level = float(np.mean(np.abs(mixture)))
    if level > 0.13:
        return {"loud"}
    return {"quiet", "soft"} if level < 0.075 else set()
