"""Instruments by name, and their families in NSynth."""

from mscol_cli.synthetic.plucked import PLUCKED
from mscol_cli.synthetic.sustained import SUSTAINED
from mscol_cli.synthetic.timbre import Timbre

INSTRUMENTS: dict[str, Timbre] = {**PLUCKED, **SUSTAINED}

FAMILIES = (
    "bass", "brass", "flute", "guitar", "keyboard", "mallet", "organ", "reed", "string",
    "synth_lead", "vocal",
)  # fmt: skip

FAMILY_INSTRUMENTS: dict[str, tuple[str, ...]] = {
    "bass": ("picked bass", "synth bass", "upright bass", "acid bass", "sub bass"),
    "brass": ("trumpet", "horn", "brass section"),
    "flute": ("flute", "recorder"),
    "guitar": ("acoustic guitar", "clean guitar", "nylon guitar", "distorted guitar"),
    "keyboard": ("piano", "electric piano", "harpsichord"),
    "mallet": ("marimba", "vibraphone", "bells"),
    "organ": ("drawbar organ", "pipe organ"),
    "reed": ("clarinet", "saxophone", "oboe", "harmonica"),
    "string": ("violin", "cello", "string section", "pizzicato"),
    "synth_lead": ("saw lead", "square lead"),
    "vocal": ("woman", "man", "choir"),
}
