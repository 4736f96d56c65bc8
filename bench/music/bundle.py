"""Make a run of the study the encoder that is installed with mscol, `mini`.

Usage:
    python -m bench.music.bundle RUN --card CARD.md
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from mscol_cli.engine.references import BUNDLED
from mscol_cli.runs.checkpoint import latest_checkpoint
from mscol_cli.runs.published import publish


def main(arguments: list[str] | None = None) -> None:
    """Replace the bundled model by the latest checkpoint of a run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path, help="folder of a run, such as music-bench/paper/clmr-0")
    parser.add_argument("--card", type=Path, required=True, help="what is written to CARD.md")
    args = parser.parse_args(arguments)
    text = args.card.read_text(encoding="utf-8")
    checkpoint = latest_checkpoint(args.run)
    if checkpoint is None:
        parser.error(f"{args.run} has no checkpoint")
    # Damaged weights are found before the model that is there is removed.
    unfinished = BUNDLED.with_name(f".{BUNDLED.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    publish(checkpoint, unfinished, half=True, texts=lambda _: {"CARD.md": text})
    shutil.rmtree(BUNDLED, ignore_errors=True)
    unfinished.rename(BUNDLED)


if __name__ == "__main__":
    main()
