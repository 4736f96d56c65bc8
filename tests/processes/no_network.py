"""Imports every module of mscol and prints every help while connections and look-ups are refused.

Prints the names of modules that cannot be imported and of helps that end otherwise than with 0, as
JSON.
"""

from __future__ import annotations

import importlib
import io
import json
import pkgutil
import sys
from contextlib import redirect_stdout

tried: list[str] = []


def refuse(event: str, _arguments: object) -> None:
    """Audit hook: Python reports these events before it does anything."""
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        tried.append(event)
        raise ConnectionRefusedError(event)


def modules() -> list[str]:
    """Every module of the package and of the bundled plugins."""
    names = ["mscol", "mscol_cli"]
    names += [
        f"mscol_{kind}" for kind in ("encoders", "importers", "objectives", "separators", "tasks")
    ]
    found = list(names)
    for name in names:
        package = importlib.import_module(name)
        found += [item.name for item in pkgutil.walk_packages(package.__path__, f"{name}.")]
    return [name for name in found if not name.endswith("__main__")]


def main() -> None:
    """Import, print helps, and report."""
    sys.addaudithook(refuse)
    failed = []
    for name in modules():
        try:
            importlib.import_module(name)
        except ImportError as error:
            failed.append(f"{name}: {error}")
    from mscol_cli.app import run
    from tests.helpers.commands import paths

    for words in [(), *paths()]:
        with redirect_stdout(io.StringIO()):
            if run([*words, "--help"]) != 0:
                failed.append(" ".join(words))
    sys.stdout.write(json.dumps({"failed": failed, "tried": tried}))


if __name__ == "__main__":
    main()
