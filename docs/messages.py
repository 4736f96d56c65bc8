"""The tables of docs/messages.md: exit codes and the errors that end a command, from the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from mscol_cli import errors

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "messages.md"
BLOCK = re.compile(r"(<!-- (exit codes|messages) -->\n).*?(<!-- end -->)", re.DOTALL)
PACKAGES = ("mscol", "mscol_cli", "plugins/mscol_*")


def text() -> str:
    """The page with its tables written from the code."""
    tables = {"exit codes": exit_codes, "messages": messages}
    page = FILE.read_text(encoding="utf-8")
    return BLOCK.sub(lambda block: block[1] + tables[block[2]]() + block[3], page)


def exit_codes() -> str:
    """Exit codes with their meaning and how the last line on stderr begins."""
    rows = [
        f"| {code} | {meaning} | {f'`{start}`' if start else ''} |\n"
        for code, (meaning, start) in errors.EXIT_CODES.items()
    ]
    return "| code | meaning | last line on stderr |\n|---|---|---|\n" + "".join(rows)


def messages() -> str:
    """Exit code and text of every error in the code."""
    found = {row for package in PACKAGES for path in _files(package) for row in _errors(path)}
    rows = [f"| {code} | {_cell(message)} |\n" for code, message in sorted(found)]
    return "| code | message |\n|---|---|\n" + "".join(rows)


def _files(package: str) -> Iterator[Path]:
    for folder in ROOT.glob(package):
        yield from folder.rglob("*.py")


def _errors(path: Path) -> Iterator[tuple[int, str]]:
    """Exit code and message of each error that a module builds."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            code = _exit_code(node.func.id)
            message = " ".join(_text(node.args[0]).split())
            # Without words of its own the message is that of another error.
            if code is not None and re.search(r"[a-z]{2}", re.sub(r"\{[^}]*\}", "", message)):
                yield code, message


def _exit_code(name: str) -> int | None:
    """Exit code of a class of errors; None for other names."""
    kind = getattr(errors, name, None)
    is_error = isinstance(kind, type) and issubclass(kind, errors.MscolError)
    return int(kind.exit_code) if kind is not None and is_error else None


def _text(node: ast.expr) -> str:
    """A string of the code, with names in braces for values."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    if isinstance(node, ast.FormattedValue):
        return _text(node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    if isinstance(node, (ast.Name, ast.Attribute)):
        return f"{{{ast.unparse(node).rpartition('.')[2].strip('_')}}}"
    return "{...}"


def _cell(message: str) -> str:
    message = message.replace("|", "\\|")
    return f"`` {message} ``" if "`" in message else f"`{message}`"
