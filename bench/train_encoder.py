"""Train the bundled encoder `mini`, and compare it with the same encoder untrained.

Usage:
    python bench/train_encoder.py music FOLDER [--stems STEMS...] [--songs N]
    python bench/train_encoder.py choose FOLDER [--updates N]
    python bench/train_encoder.py train FOLDER --objective NAME [--updates N]
    python bench/train_encoder.py refine FOLDER --objective NAME --recordings DIR [--updates N]
    python bench/train_encoder.py evaluate FOLDER --notes NOTES --styles STYLES
    python bench/train_encoder.py bundle FOLDER --card CARD.md

`music` synthesises songs with their stems, adds folders of real stems (STEMS, each with vocals,
drums, bass and other), and puts them into a store. It also synthesises another collection, with
other songs and instruments, for validation. `choose` trains one short run per objective and scores
them on the validation collection. `train` resumes the run of the chosen objective, and `refine`
goes on from its weights with recorded music in DIR. `evaluate` scores the result, the run before
and the untrained encoder on instruments of recorded notes (NOTES, in NSynth's layout) and styles of
recorded music (STYLES, a folder per style). `bundle` makes the result the model `mini`.

Every step resumes and skips what exists. `--songs 16 --updates 20` tries the script in some
minutes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

# Needed by `python bench/train_encoder.py`.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.mini_music import Stems, real_song
from mscol_cli.app import run as mscol
from mscol_cli.audio import write_audio
from mscol_cli.engine.references import BUNDLED
from mscol_cli.runs.checkpoint import latest_checkpoint
from mscol_cli.runs.published import publish
from mscol_cli.synthetic import render_song, style_names, write_collection

TRAINING, VALIDATION = 7005, 7006
"""Random streams; those of the demo and of the separation model `mini` are different."""
SECONDS, RATE = 20, 16_000
ENCODER = ("--encoder", "small", "--encoder-opt", "level=rms", "--batch-size", "128")
OBJECTIVES = {
    "msa": ("--objective", "msa"),
    "cola": ("--objective", "cola"),
    "msa-mws": ("--objective", "msa+mws"),
}
STEPS = ("music", "choose", "train", "refine", "evaluate", "bundle")
REFINED = Path("runs", "refined")
CLASSIFIERS = ("--classifier", "linear", "--seeds", "1", "--reuse")
STORE = "stems.store"


def main() -> None:
    """Run one step in the folder."""
    args = read_arguments()
    paths = {
        name: getattr(args, name).resolve() for name in ("notes", "styles") if getattr(args, name)
    }
    stems = [folder.resolve() for folder in args.stems]
    recordings, card = args.recordings.resolve(), args.card.resolve()
    args.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(args.folder)
    os.environ.setdefault("MSCOL_CACHE", str(Path("cache").absolute()))
    if args.step == "music":
        make_music(stems, args.songs)
    elif args.step == "choose":
        choose(args.updates or 400)
    elif args.step == "train":
        train(args.objective, args.updates or 7_000)
    elif args.step == "refine":
        refine(args.objective, recordings, args.updates or 4_000)
    elif args.step == "evaluate":
        evaluate(paths)
    else:
        bundle(card)


def read_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("folder", type=Path, help="folder of all files")
    parser.add_argument("--stems", type=Path, nargs="*", default=[], help="folders of real stems")
    parser.add_argument("--songs", type=int, default=1_200, help="synthesised songs of 20 s")
    parser.add_argument("--objective", choices=OBJECTIVES, help="objective that was chosen")
    parser.add_argument("--updates", type=int, help="training steps of each run")
    parser.add_argument("--recordings", type=Path, default=Path(), help="recorded music")
    parser.add_argument("--card", type=Path, default=Path(), help="model card of `bundle`")
    parser.add_argument("--notes", type=Path, help="recorded notes, in NSynth's layout")
    parser.add_argument("--styles", type=Path, help="recorded music, a folder per style")
    args = parser.parse_args()
    if args.step in ("train", "refine") and args.objective is None:
        parser.error(f"{args.step} needs --objective")
    return args


def make_music(stems: Sequence[Path], songs: int) -> None:
    """Write the training store and the validation collection."""
    styles = style_names()
    for number in range(songs):
        folder = Path("stems", f"song{number:05d}")
        if not folder.exists():
            style, seed = styles[number % len(styles)], (TRAINING, number)
            song = render_song(style, seconds=SECONDS, sample_rate=RATE, seed=seed)
            write_stems(folder, {**song.stems, "mixture": song.mixture})
    for real in stems:
        if not Path("stems", real.name).exists():
            mono = {name: audio.mean(axis=0) for name, audio in real_song(real).items()}
            write_stems(Path("stems", real.name), mono)
    do("separate", "stems", "--separator", "stems", "-o", STORE)
    write_collection(Path("validation"), songs=400, tracks=400, notes=400, seed=VALIDATION)


def write_stems(folder: Path, stems: Stems) -> None:
    """Write a folder of 16-bit FLAC files; it is complete or absent."""
    unfinished = folder.with_name(f".{folder.name}")
    unfinished.mkdir(parents=True, exist_ok=True)
    for name, audio in stems.items():
        write_audio(unfinished / f"{name}.flac", audio[None], RATE)
    unfinished.rename(folder)


def choose(updates: int) -> None:
    """Train one run per objective and score all on the validation collection."""
    models = []
    for name in OBJECTIVES:
        train(name, updates)
        models += ["--model", f"runs/{name}"]
    probe(
        models,
        {task: Path("validation", task) for task in ("mtat", "fma", "nsynth")},
        "results/choice",
    )


def train(objective: str, updates: int) -> None:
    """Train the run of an objective, or resume it."""
    fit(Path("runs", objective), updates, (STORE, *OBJECTIVES[objective]))


def refine(objective: str, recordings: Path, updates: int) -> None:
    """Train from the weights of a run on recorded music."""
    store = "recordings.store"
    do("separate", str(recordings), "--separator", "none", "-o", store)
    start = ("--init", str(Path("runs", objective)))
    fit(REFINED, updates, (store, *OBJECTIVES[objective], *start))


def fit(run: Path, updates: int, options: Sequence[str]) -> None:
    """Begin a run, or resume it."""
    checkpoint = latest_checkpoint(run) if run.exists() else None
    if checkpoint is None:
        saving = ("--steps", str(updates), "--save-every", "250", "--keep-last", "2")
        do("pretrain", *options, *ENCODER, *saving, "-o", str(run))
    elif checkpoint.step < updates:
        do("pretrain", "--resume", "--steps", str(updates), "-o", str(run))


def evaluate(tasks: dict[str, Path]) -> None:
    """Score the result, the runs before it and the untrained encoder on recorded music."""
    runs = [REFINED, *(Path("runs", name) for name in OBJECTIVES)]
    models = [word for run in runs if run.exists() for word in ("--model", str(run))]
    if "notes" in tasks:
        tasks["notes"] = by_instrument(tasks["notes"])
    for name, folder in tasks.items():
        options = ("--opt", "test=0.4", "--opt", "valid=0.2")
        data = {"folder": folder}
        probe([*models, "--model", "untrained"], data, f"results/{name}", options)


def bundle(card: Path) -> None:
    """Replace the bundled model."""
    checkpoint = latest_checkpoint(REFINED)
    if checkpoint is None:
        raise SystemExit(f"{REFINED} has no checkpoint: run `refine` first")
    shutil.rmtree(BUNDLED, ignore_errors=True)
    text = card.read_text(encoding="utf-8")
    publish(checkpoint, BUNDLED, half=True, texts=lambda _: {"CARD.md": text})


def by_instrument(notes: Path) -> Path:
    """Link notes, named INSTRUMENT-PITCH-VELOCITY.wav, into a folder per instrument."""
    for note in (notes / "audio").glob("*.wav"):
        link = Path("notes", note.name.rsplit("-", 2)[0], note.name)
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(note)
    return Path("notes")


def probe(
    models: Sequence[str], data: dict[str, Path], output: str, options: Sequence[str] = ()
) -> None:
    """Score models on tasks, and print the table."""
    folders = [word for task, folder in data.items() for word in ("--data", f"{task}={folder}")]
    do("probe", *data, *models, *folders, *CLASSIFIERS, *options, "-o", output)


def do(*command: str) -> None:
    """Run a command of mscol; exits with its exit code if it fails."""
    if code := mscol(command):
        raise SystemExit(code)


if __name__ == "__main__":
    main()
