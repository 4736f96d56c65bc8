"""The table of environment variables in docs/reliability.md, from the code."""

from __future__ import annotations

import re
from pathlib import Path

from mscol_cli.system.environment import READ

FILE = Path(__file__).with_name("reliability.md")
BLOCK = re.compile(r"(<!-- variables -->\n).*?(<!-- end -->)", re.DOTALL)


def text() -> str:
    """The page with its table written from the code."""
    rows = [f"| `{item.name}` | {item.meaning} | {item.default} |\n" for item in READ]
    table = "| variable | meaning | default |\n|---|---|---|\n" + "".join(rows)
    page = FILE.read_text(encoding="utf-8")
    return BLOCK.sub(lambda block: block[1] + table + block[2], page)
