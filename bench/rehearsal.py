"""Rehearsal of the complete workflow on imitations of FMA-small, MagnaTagATune and NSynth.

    python bench/rehearsal.py FOLDER --music DIR --mtat DIR        # a tenth of the audio
    python bench/rehearsal.py FOLDER --smoke                       # a few clips, for a test

The metadata has full size; part of the clips has audio (`--fraction`, a tenth of it for NSynth).
Layouts, columns, fields, bit rates and known bad files are those of the real data sets. The audio
is music from DIR and synthesised music, so scores are meaningless: the script checks that no clip
is lost. It counts clips in the metadata and on disk, independently of mscol, then in the stores, in
pre-training and in the probes. Every step uses the entry point of mscol and is skipped if done.

Prints a Markdown table; `--docs FILE` writes it between the markers of that file. The exit code is
1 if a count is wrong.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

# Needed by `python bench/rehearsal.py`.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.rehearsal_counts import Clip, listed
from bench.rehearsal_music import FMA_FORMATS, MTAT_FORMAT, notes, pieces, record
from bench.rehearsal_sets import NSYNTH_SHARE, SMOKE, SPLITS, Size, make_fma, make_mtat, make_nsynth
from bench.table import write_between
from mscol_cli.app import run as mscol

SETS = ("fma", "mtat", "nsynth")
DONE = Path("done")
TOLERANCE = 0.15  # seconds added by an encoder or removed by a decoder
SMALL = ("--encoder", "small")


@dataclass
class Outcome:
    """Results of one data set.

    Attributes:
        rows: Rows of the table.
        off: Wrong counts.
        failures: Failed inputs, with reasons.
    """

    rows: list[Sequence[str]] = field(default_factory=list)
    off: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def check(self, what: str, actual: object, expected: object) -> None:
        """Record a count that differs from the expected one."""
        if actual != expected:
            self.off.append(f"{what}: {actual}, expected {expected}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run missing steps and print the table; returns the exit code."""
    args = read_arguments(arguments)
    music, reference, docs = (
        path.resolve() if path else None for path in (args.music, args.mtat, args.docs)
    )
    size = SMOKE if args.smoke else replace(Size(), fraction=args.fraction)
    args.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(args.folder)
    os.environ["MSCOL_CACHE"] = str(Path("cache").absolute())
    sets = args.only.split(",")
    _same_arguments({"size": repr(size), "separator": args.separator})
    _make(sets, size, music, reference)
    if args.make:
        return 0
    outcomes = {name: _rehearse(name, size, args) for name in sets}
    text = page(outcomes, size, args.separator)
    print(text)
    if docs is not None:
        write_between(docs, "rehearsal", text)
    off = [f"{name}: {line}" for name, outcome in outcomes.items() for line in outcome.off]
    for line in off:
        print(f"off: {line}", file=sys.stderr)
    return 1 if off else 0


def read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="output folder")
    parser.add_argument(
        "--music", type=Path, help="folder of music and notes, searched recursively"
    )
    parser.add_argument("--mtat", type=Path, help="folder of MagnaTagATune's real lists")
    parser.add_argument("--fraction", type=float, default=0.1, help="part of the clips with audio")
    parser.add_argument("--only", default=",".join(SETS), help="data sets, a,b")
    parser.add_argument("--separator", choices=("none", "mini"), default="none")
    parser.add_argument("--steps", type=int, default=100, help="training steps")
    parser.add_argument("--make", action="store_true", help="make the data sets and stop")
    parser.add_argument("--smoke", action="store_true", help="a few clips of each kind")
    parser.add_argument("--docs", type=Path, help="file whose marked block is replaced")
    args = parser.parse_args(arguments)
    if unknown := set(args.only.split(",")) - set(SETS):
        parser.error(f"--only takes {', '.join(SETS)}, not {', '.join(sorted(unknown))}")
    return args


def _same_arguments(settings: Mapping[str, str]) -> None:
    path = DONE / "settings.json"
    if path.exists() and json.loads(path.read_text()) != settings:
        raise SystemExit(f"{Path.cwd()} was made with other arguments: use another folder.")
    DONE.mkdir(exist_ok=True)
    path.write_text(json.dumps(settings))


def _make(sets: Sequence[str], size: Size, music: Path | None, reference: Path | None) -> None:
    originals, songs = Path("originals"), 2 if size == SMOKE else 16
    formats = {"fma": FMA_FORMATS, "mtat": (MTAT_FORMAT,)}

    def encode() -> None:
        music_pieces = pieces(music, songs, min(10.0, size.recorded))
        for audio_format in (part for name in sets for part in formats.get(name, ())):
            count = size.per_format * (1 if audio_format in FMA_FORMATS else 12)
            record(originals, audio_format, music_pieces, count, size.recorded)

    makers: Mapping[str, Callable[[], None]] = {
        "fma": lambda: make_fma(Path("data/fma"), originals, size),
        "mtat": lambda: make_mtat(Path("data/mtat"), originals, size, reference),
        "nsynth": lambda: make_nsynth(Path("data/nsynth"), notes(music, 22), size),
    }
    _once("encode-" + "-".join(sets), encode)
    for name in sets:
        _once(f"make-{name}", makers[name])


def _once(name: str, work: Callable[[], object]) -> float:
    """Do work unless it is done; returns and records its duration in seconds."""
    path = DONE / f"{name}.json"
    if not path.exists():
        print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr)
        begun = time.monotonic()
        work()
        path.write_text(json.dumps(round(time.monotonic() - begun, 1)))
    return float(json.loads(path.read_text()))


def _run(name: str, *arguments: object, codes: Sequence[int] = (0,)) -> float:
    """Run a command of mscol once, with output to `done/NAME.txt`; returns seconds."""

    def command() -> None:
        with (DONE / f"{name}.txt").open("w") as file, redirect_stdout(file):
            code = mscol([str(argument) for argument in arguments])
        if code not in codes:
            raise SystemExit(f"mscol {' '.join(map(str, arguments))}: exit code {code}")

    return _once(name, command)


def _ask(*arguments: object) -> Any:
    """JSON output of a command of mscol."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = mscol([*map(str, arguments), "--json"])
    if code:
        raise SystemExit(f"mscol {' '.join(map(str, arguments))}: exit code {code}")
    content = json.loads(printed.getvalue())
    return content.get("items", content)


def _rehearse(name: str, size: Size, args: argparse.Namespace) -> Outcome:
    root, outcome = Path("data", name), Outcome()
    clips = listed(name, root, size)
    audio = {clip.path: clip for clip in clips if (root / clip.path).exists()}
    files = {path.relative_to(root).as_posix() for path in root.rglob("*.*") if _is_audio(path)}
    outcome.check("files that are not in the metadata", sorted(files - audio.keys()), [])
    outcome.rows.append(("listed", *_by_split(clips), ""))
    outcome.rows.append(("with audio", *_by_split(audio.values()), ""))
    model = "runs/fma" if name == "fma" else "runs/mtat"
    if name != "nsynth":
        _separate(name, audio, outcome, args)
        _pretrain(name, audio, outcome, args)
    for kind, options in (
        ("trained", ("--model", model)),
        ("untrained", ("--model", "untrained", *SMALL)),
    ):
        if kind == "untrained" or Path(model).exists():
            _probe(name, kind, options, clips, audio, outcome)
    return outcome


def _is_audio(path: Path) -> bool:
    return path.suffix in (".mp3", ".wav")


def _by_split(clips: Iterable[Clip]) -> list[str]:
    counts = Counter(clip.split for clip in clips)
    return [f"{counts[split]:,}" for split in SPLITS]


def _separate(
    name: str, audio: Mapping[str, Clip], outcome: Outcome, args: argparse.Namespace
) -> None:
    """Check that every file is stored at full length, or reported as failed."""
    separator = ("none",) if args.separator == "none" else ("openunmix", "--model", "mini")
    # Exit code 3: finished, but some inputs failed.
    bad = {path for path, clip in audio.items() if clip.fails}
    command = ("separate", f"data/{name}", "--separator", *separator)
    seconds = _run(f"separate-{name}", *command, codes=(3,) if bad else (0,))
    lines = _ask("store", "manifest", f"data/{name}.store")
    failed = {line["input"]: line["reason"] for line in lines if line["status"] == "failed"}
    stored = {track["id"]: track["seconds"] for track in _ask("store", "ls", f"data/{name}.store")}
    track = {path.rpartition(".")[0]: clip for path, clip in audio.items()}
    outcome.failures.update((Path(item).stem, reason) for item, reason in failed.items())
    outcome.check("tracks in the store", stored.keys() - track.keys(), set())
    expected = {path.rpartition(".")[0] for path in bad}
    outcome.check("failed inputs", {item.removesuffix(".mp3") for item in failed}, expected)
    outcome.check("stored and failed", len(stored) + len(failed), len(audio))
    for item, length in stored.items():
        if abs(length - track[item].seconds) > TOLERANCE:
            outcome.check(f"seconds of {item}", length, track[item].seconds)
    counts = _by_split(track[item] for item in stored)
    outcome.rows.append((f"in the store ({len(failed)} failed)", *counts, f"{seconds:,.0f}"))


def _pretrain(
    name: str, audio: Mapping[str, Clip], outcome: Outcome, args: argparse.Namespace
) -> None:
    """Check that pre-training uses exactly the stored training clips of the task."""
    objective = "cola" if args.separator == "none" else "msa"
    steps, batch = (2, 8) if args.smoke else (args.steps, 64)
    seconds = _run(
        f"pretrain-{name}",
        *("pretrain", f"data/{name}.store", "--objective", objective, *SMALL),
        *("--train-split", name, "--steps", steps, "--batch-size", batch, "-o", f"runs/{name}"),
    )
    actual = set(Path(f"runs/{name}/tracks.txt").read_text().splitlines())
    expected = {
        path.rpartition(".")[0]
        for path, clip in audio.items()
        if clip.used and not clip.fails and clip.split == "train"
    }
    outcome.check("training clips that pre-training misses", expected - actual, set())
    outcome.check("other clips that pre-training uses", actual - expected, set())
    outcome.rows.append(("pre-trained on", f"{len(actual):,}", "", "", f"{seconds:,.0f}"))


def _probe(
    name: str,
    kind: str,
    options: Sequence[str],
    clips: Sequence[Clip],
    audio: Mapping[str, Clip],
    outcome: Outcome,
) -> None:
    """Check that every clip of the task is in a split, missing, or reported as failed."""
    out = Path("probes", f"{name}-{kind}")
    quick = ("--seeds", 1, "--protocol", "epochs=3", "-o", out)
    usable = [clip for clip in clips if clip.used]
    existing = [clip for clip in usable if clip.path in audio]
    bad = {Path(clip.path).stem: clip for clip in existing if clip.fails}
    command = ("probe", name, *options, *quick)
    seconds = _run(f"probe-{name}-{kind}", *command, codes=(3,) if bad else (0,))
    report = json.loads((out / "probe.json").read_text())
    outcome.check(f"{kind}: missing", len(report["missing"]), len(usable) - len(existing))
    failed = {str(clip): str(reason) for clip, reason in report["failures"]}
    outcome.failures = {**failed, **outcome.failures}
    outcome.check(f"{kind}: failed clips", set(failed), set(bad))
    for split in SPLITS:
        expected = sum(clip.split == split and not clip.fails for clip in existing)
        outcome.check(f"{kind}: {split} clips", report["counts"][split], expected)
    counts = [f"{report['counts'][split]:,}" for split in SPLITS]
    note = f" ({len(failed)} failed)" if failed else ""
    test_sets = report["test_sets"]
    if len(test_sets) > 1:
        for test_set in test_sets:
            _check_test_set(test_set, kind, existing, outcome)
        counts[-1] = ", ".join(f"{part['clips']:,} {part['name']}" for part in test_sets)
    outcome.rows.append((f"probe, {kind}{note}", *counts, f"{seconds:,.0f}"))


def _check_test_set(
    test_set: Mapping[str, Any], kind: str, clips: Sequence[Clip], outcome: Outcome
) -> None:
    """Check the two test sets of MagnaTagATune: clips with one of the 50 tags, and all clips."""
    test = [clip for clip in clips if clip.split == "test" and not clip.fails]
    expected = sum(clip.tagged or test_set["name"] == "unfiltered" for clip in test)
    outcome.check(f"{kind}: test set {test_set['name']}", test_set["clips"], expected)


def page(outcomes: Mapping[str, Outcome], size: Size, separator: str) -> str:
    """Table of all data sets, and failed inputs with their reasons."""
    begun = time.strftime("%Y-%m-%d")
    lines = [
        f"{begun}, {os.cpu_count()} cores, audio for {size.fraction:.0%} of the clips (of NSynth's"
        f" notes {size.fraction * NSYNTH_SHARE:.0%}), separator `{separator}`:",
        "",
        "| data set | step | train | valid | test | seconds |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name, outcome in outcomes.items():
        lines += [f"| {name} | " + " | ".join(row) + " |" for row in outcome.rows]
    seconds = sum(
        float(path.read_text())
        for kind in ("encode", "make")
        for path in DONE.glob(f"{kind}-*.json")
    )
    lines += ["", f"Making the data sets took {seconds:,.0f} s.", ""]
    for name, outcome in outcomes.items():
        lines += [f"* {name}, failed: {reason}" for _, reason in sorted(outcome.failures.items())]
        lines += [f"* {name}, **off**: {line}" for line in outcome.off]
        lines += [] if outcome.off else [f"* {name}: every count is as expected."]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
