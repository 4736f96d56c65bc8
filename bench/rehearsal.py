"""A rehearsal: the whole chain on sets made as FMA-small, MagnaTagATune and NSynth are.

    python bench/rehearsal.py FOLDER --music DIR --mtat DIR        # a tenth of the audio
    python bench/rehearsal.py FOLDER --smoke                       # a few clips, for a test

Metadata has its full size; part of the clips have audio (`--fraction`; of NSynth's notes a tenth
of that). Layouts, columns, fields, bit rates and known bad files are those of the real sets. The
audio is music from DIR and synthesised music, so scores mean nothing: what is checked is that no
clip is lost. Each is counted in the metadata and on disk, by code of this script alone, then in the
stores, in what pre-training takes, and in the probes. Every step goes through mscol's entry point
and is skipped if it is done.

Prints a Markdown table; `--docs FILE` writes it between the markers of that file. The exit code is
1 if a count is off.
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

# Both `python bench/rehearsal.py` and an import as `bench.rehearsal` find the other modules.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.rehearsal_counts import Clip, listed
from bench.rehearsal_music import FMA_FORMATS, MTAT_FORMAT, notes, pieces, record
from bench.rehearsal_sets import (
    NSYNTH_SHARE,
    SPLITS,
    Size,
    make_fma,
    make_mtat,
    make_nsynth,
    smoke,
)
from mscol_cli.app import run as mscol

SETS = ("fma", "mtat", "nsynth")
DONE = Path("done")
MARKERS = ("<!-- rehearsal: begin -->", "<!-- rehearsal: end -->")
TOLERANCE = 0.15  # seconds: what an encoder adds and a decoder takes away
SMALL = ("--encoder", "small")


@dataclass
class Outcome:
    """What came of one data set.

    Attributes:
        rows: Of the table.
        off: Counts that are wrong.
        failures: Inputs that failed, with reasons.
    """

    rows: list[Sequence[str]] = field(default_factory=list)
    off: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def check(self, what: str, found: object, expected: object) -> None:
        """Note a count that is not what it has to be."""
        if found != expected:
            self.off.append(f"{what}: {found}, expected {expected}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what is not there, run what is not done, print the table; the exit code."""
    given = read_arguments(arguments)
    music, reference, docs = (
        path.resolve() if path else None for path in (given.music, given.mtat, given.docs)
    )
    size = smoke() if given.smoke else replace(Size(), fraction=given.fraction)
    given.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(given.folder)
    os.environ["MSCOL_CACHE"] = str(Path("cache").absolute())
    sets = given.only.split(",")
    _same_arguments({"size": repr(size), "separator": given.separator})
    _make(sets, size, music, reference)
    if given.make:
        return 0
    outcomes = {name: _rehearse(name, size, given) for name in sets}
    text = page(outcomes, size, given.separator)
    print(text)
    if docs is not None:
        _write_block(docs, text)
    off = [f"{name}: {line}" for name, outcome in outcomes.items() for line in outcome.off]
    for line in off:
        print(f"off: {line}", file=sys.stderr)
    return 1 if off else 0


def read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where everything goes")
    parser.add_argument("--music", type=Path, help="folder of music and notes, searched below")
    parser.add_argument("--mtat", type=Path, help="folder of MagnaTagATune's real lists")
    parser.add_argument("--fraction", type=float, default=0.1, help="of the clips with audio")
    parser.add_argument("--only", default=",".join(SETS), help="data sets, a,b")
    parser.add_argument("--separator", choices=("none", "mini"), default="none")
    parser.add_argument("--steps", type=int, default=100, help="updates of pre-training")
    parser.add_argument("--make", action="store_true", help="make the data sets and stop")
    parser.add_argument("--smoke", action="store_true", help="a few clips of each kind")
    parser.add_argument("--docs", type=Path, help="file whose marked block is replaced")
    given = parser.parse_args(arguments)
    if unknown := set(given.only.split(",")) - set(SETS):
        parser.error(f"--only takes {', '.join(SETS)}, not {', '.join(sorted(unknown))}")
    return given


def _same_arguments(settings: Mapping[str, str]) -> None:
    path = DONE / "settings.json"
    if path.exists() and json.loads(path.read_text()) != settings:
        raise SystemExit(f"{Path.cwd()} was made with other arguments: use another folder.")
    DONE.mkdir(exist_ok=True)
    path.write_text(json.dumps(settings))


def _make(sets: Sequence[str], size: Size, music: Path | None, reference: Path | None) -> None:
    originals, songs = Path("originals"), 2 if size == smoke() else 16
    forms = {"fma": FMA_FORMATS, "mtat": (MTAT_FORMAT,)}

    def encode() -> None:
        found = pieces(music, songs, min(10.0, size.recorded))
        for form in (form for name in sets for form in forms.get(name, ())):
            many = size.per_format * (1 if form in FMA_FORMATS else 12)
            record(originals, form, found, many, size.recorded)

    makers: Mapping[str, Callable[[], None]] = {
        "fma": lambda: make_fma(Path("data/fma"), originals, size),
        "mtat": lambda: make_mtat(Path("data/mtat"), originals, size, reference),
        "nsynth": lambda: make_nsynth(Path("data/nsynth"), notes(music, 22), size),
    }
    _once("encode-" + "-".join(sets), encode)
    for name in sets:
        _once(f"make-{name}", makers[name])


def _once(name: str, work: Callable[[], object]) -> float:
    """Do work that has not been done, and keep the seconds that it took."""
    path = DONE / f"{name}.json"
    if not path.exists():
        print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr)
        begun = time.monotonic()
        work()
        path.write_text(json.dumps(round(time.monotonic() - begun, 1)))
    return float(json.loads(path.read_text()))


def _run(name: str, *arguments: object, codes: Sequence[int] = (0,)) -> float:
    """A command of mscol, once; its seconds. Its output goes to `done/NAME.txt`."""

    def command() -> None:
        with (DONE / f"{name}.txt").open("w") as file, redirect_stdout(file):
            code = mscol([str(argument) for argument in arguments])
        if code not in codes:
            raise SystemExit(f"mscol {' '.join(map(str, arguments))}: exit code {code}")

    return _once(name, command)


def _ask(*arguments: object) -> Any:
    """What a command of mscol prints as JSON."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = mscol([*map(str, arguments), "--json"])
    if code:
        raise SystemExit(f"mscol {' '.join(map(str, arguments))}: exit code {code}")
    return json.loads(printed.getvalue())


def _rehearse(name: str, size: Size, given: argparse.Namespace) -> Outcome:
    root, outcome = Path("data", name), Outcome()
    clips = listed(name, root, size)
    audio = {clip.path: clip for clip in clips if (root / clip.path).exists()}
    files = {path.relative_to(root).as_posix() for path in root.rglob("*.*") if _is_audio(path)}
    outcome.check("files that are not in the metadata", sorted(files - audio.keys()), [])
    outcome.rows.append(("listed", *_by_split(clips), ""))
    outcome.rows.append(("with audio", *_by_split(audio.values()), ""))
    model = "runs/fma" if name == "fma" else "runs/mtat"
    if name != "nsynth":
        _separate(name, audio, outcome, given)
        _pretrain(name, audio, outcome, given)
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
    name: str, audio: Mapping[str, Clip], outcome: Outcome, given: argparse.Namespace
) -> None:
    """Every file is in the store, as long as it is, or failed by name."""
    chosen = ("none",) if given.separator == "none" else ("openunmix", "--model", "mini")
    # 3: finished, and some inputs failed.
    bad = {path for path, clip in audio.items() if clip.fails}
    command = ("separate", f"data/{name}", "--separator", *chosen)
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
        wanted = track[item].seconds
        if abs(length - wanted) > TOLERANCE:
            outcome.check(f"seconds of {item}", length, wanted)
    counts = _by_split(track[item] for item in stored)
    outcome.rows.append((f"in the store ({len(failed)} failed)", *counts, f"{seconds:,.0f}"))


def _pretrain(
    name: str, audio: Mapping[str, Clip], outcome: Outcome, given: argparse.Namespace
) -> None:
    """Pre-training takes exactly the training clips that the task uses and the store has."""
    objective = "cola" if given.separator == "none" else "msa"
    steps, batch = (2, 8) if given.smoke else (given.steps, 64)
    seconds = _run(
        f"pretrain-{name}",
        *("pretrain", f"data/{name}.store", "--objective", objective, *SMALL),
        *("--train-split", name, "--steps", steps, "--batch-size", batch, "-o", f"runs/{name}"),
    )
    found = set(Path(f"runs/{name}/tracks.txt").read_text().splitlines())
    wanted = {
        path.rpartition(".")[0]
        for path, clip in audio.items()
        if clip.used and not clip.fails and clip.split == "train"
    }
    outcome.check("training clips that pre-training misses", wanted - found, set())
    outcome.check("other clips that pre-training takes", found - wanted, set())
    outcome.rows.append(("pre-trained on", f"{len(found):,}", "", "", f"{seconds:,.0f}"))


def _probe(
    name: str,
    kind: str,
    options: Sequence[str],
    clips: Sequence[Clip],
    audio: Mapping[str, Clip],
    outcome: Outcome,
) -> None:
    """Every clip that the task uses is in a split, missing, or failed by name."""
    out = Path("probes", f"{name}-{kind}")
    quick = ("--seeds", 1, "--protocol", "epochs=3", "-o", out)
    usable = [clip for clip in clips if clip.used]
    there = [clip for clip in usable if clip.path in audio]
    bad = {Path(clip.path).stem: clip for clip in there if clip.fails}
    command = ("probe", name, *options, *quick)
    seconds = _run(f"probe-{name}-{kind}", *command, codes=(3,) if bad else (0,))
    report = json.loads((out / "probe.json").read_text())
    outcome.check(f"{kind}: missing", len(report["missing"]), len(usable) - len(there))
    failed = {str(clip): str(reason) for clip, reason in report["failures"]}
    outcome.failures = {**failed, **outcome.failures}
    outcome.check(f"{kind}: failed clips", set(failed), set(bad))
    for split in SPLITS:
        whole = sum(clip.split == split and not clip.fails for clip in there)
        outcome.check(f"{kind}: {split} clips", report["counts"][split], whole)
    for counted in report["test_sets"]:
        if len(report["test_sets"]) > 1:
            _check_test_set(counted, kind, there, outcome)
    counts = [f"{report['counts'][split]:,}" for split in SPLITS]
    note = f" ({len(failed)} failed)" if failed else ""
    if len(report["test_sets"]) > 1:
        counts[-1] = ", ".join(f"{one['clips']:,} {one['name']}" for one in report["test_sets"])
    outcome.rows.append((f"probe, {kind}{note}", *counts, f"{seconds:,.0f}"))


def _check_test_set(
    counted: Mapping[str, Any], kind: str, there: Sequence[Clip], outcome: Outcome
) -> None:
    """MagnaTagATune's two test sets: clips with a tag of the 50, and all."""
    test = [clip for clip in there if clip.split == "test" and not clip.fails]
    whole = sum(clip.tagged or counted["name"] == "unfiltered" for clip in test)
    outcome.check(f"{kind}: test set {counted['name']}", counted["clips"], whole)


def page(outcomes: Mapping[str, Outcome], size: Size, separator: str) -> str:
    """The table of all data sets, and failed inputs with their reasons."""
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
    made = sum(
        float(path.read_text())
        for kind in ("encode", "make")
        for path in DONE.glob(f"{kind}-*.json")
    )
    lines += ["", f"Making the data sets took {made:,.0f} s.", ""]
    for name, outcome in outcomes.items():
        lines += [f"* {name}, failed: {reason}" for _, reason in sorted(outcome.failures.items())]
        lines += [f"* {name}, **off**: {line}" for line in outcome.off]
        lines += [] if outcome.off else [f"* {name}: every count is as expected."]
    return "\n".join(lines)


def _write_block(path: Path, text: str) -> None:
    before, begin, rest = path.read_text(encoding="utf-8").partition(MARKERS[0])
    _, end, after = rest.partition(MARKERS[1])
    if not begin or not end:
        raise SystemExit(f"{path} has no lines {MARKERS[0]} and {MARKERS[1]}.")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
