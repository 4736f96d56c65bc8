"""MUSDB18-HQ's layout: a folder per track with the mixture and its four stems as wav files."""

from pathlib import Path

from mscol_cli.synthetic.catalogue import Entry
from mscol_cli.synthetic.files import write_wav
from mscol_cli.synthetic.song import Song


def write_stems(root: Path, entry: Entry, song: Song) -> None:
    """Write ``root/train/<artist> - <title>/{mixture,bass,drums,other,vocals}.wav``.

    A stem that the song lacks is a silent file, as in MUSDB18.
    """
    folder = root / "train" / f"{entry.artist_name} - {entry.title}"
    folder.mkdir(parents=True)
    for name, audio in {"mixture": song.mixture, **song.stems}.items():
        write_wav(folder / f"{name}.wav", audio, song.sample_rate)
