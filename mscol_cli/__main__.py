"""Entry point: `mscol` and `python -m mscol_cli`."""

from __future__ import annotations

import sys

from mscol_cli.app import run


def main() -> None:
    """Run the command line of this process and exit with its code."""
    sys.exit(run())


if __name__ == "__main__":
    main()
