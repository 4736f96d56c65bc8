"""Fuzz a reader, guided by coverage. Install atheris first: `pip install atheris`.

    python -m tests.fuzz TARGET FOLDER [OPTION...]

TARGET is a name of `targets.TARGETS`, each OPTION one of libFuzzer, such as -max_total_time=1200.
Inputs that a reader fails on are written to FOLDER/TARGET/findings, one for each place; those that
take more than 10 s or 2 GB end the fuzzer. `test_findings.py` holds what was found and mended.
"""

from __future__ import annotations

import json
import os
import random
import sys
import traceback
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mscol_cli", "mscol_importers"]):
    import mscol_importers.table
    from tests.fuzz.targets import any_checksum, make, words
from tests.helpers.edits import VALUES, edited, places

# Sound files cover the same lines, so libFuzzer would keep one of them.
KEEP = ("-keep_seed=1", "-max_len=20001", "-print_final_stats=1")
LIMITS = ("-timeout=10", "-rss_limit_mb=2048")


def place(error: BaseException) -> str:
    """Kind of an error, and the innermost line of mscol that it came through."""
    frames = [
        f"{Path(frame.filename).stem}-{frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "mscol" in frame.filename
    ]
    return f"{type(error).__name__}-{frames[-1] if frames else 'nowhere'}"


def recording(target: Callable[[bytes], None], findings: Path) -> Callable[[bytes], None]:
    """A target that writes an input for each place where it fails, and continues."""
    seen: set[str] = set()

    def call(data: bytes) -> None:
        try:
            target(data)
        except Exception as error:
            if (name := place(error)) not in seen:
                seen.add(name)
                (findings / name).write_bytes(data)
                traceback.print_exception(error)

    return call


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Edit a value of JSON, which changes of single bytes would mostly break, or change bytes."""
    rng = random.Random(seed)
    line, end, rest = data[1:].partition(b"\n")
    try:
        content = json.loads(line if rest else data[1:])
        ways = [*places(content)]
        if not ways or rng.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        changed = json.dumps(edited(content, rng.choice(ways), rng.choice(VALUES))).encode()
    except (ValueError, RecursionError):
        return bytes(atheris.Mutate(data, most))
    return (data[:1] + changed + end + (rest if end else b""))[:most]


def main(name: str, folder: Path, options: list[str]) -> None:
    """Fuzz until libFuzzer's limits end the process."""
    root = folder / name
    corpus, findings = root / "corpus", root / "findings"
    for path in (corpus, findings):
        path.mkdir(parents=True, exist_ok=True)
    # Rewritten for every input, so in memory.
    vars(mscol_importers.table)["masked_crc"] = any_checksum
    target = make(name, Path("/dev/shm") / f"mscol-fuzz-{os.getpid()}")
    seeds = [*target.seeds()]
    for seed in seeds:
        (corpus / sha256(seed).hexdigest()[:16]).write_bytes(seed)
    (root / "words").write_text("\n".join(words(seeds)) + "\n")
    libfuzzer = [*KEEP, *LIMITS, f"-dict={root / 'words'}", f"-artifact_prefix={root}/", *options]
    call = recording(target, findings)
    atheris.Setup([sys.argv[0], *libfuzzer, str(corpus)], call, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
