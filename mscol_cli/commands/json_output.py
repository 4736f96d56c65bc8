"""The JSON documents of `--json`: one on stdout, the result or the error, with its schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from mscol_cli.system.values import as_json

VERSION = 1
"""Version of all schemas. It changes if a field is removed or gets another meaning."""
ERROR = "error"
FAILURES = "failures"
_command = ""
_documents = 0


def remember_command(context: typer.Context, value: bool) -> bool:
    """Callback of `--json`: the command names the schema of its document."""
    global _command
    if value:
        names = []
        parent: Any = context
        while parent.parent is not None:
            names.append(parent.info_name)
            parent = parent.parent
        _command = " ".join(reversed(names))
    return value


def json_document(result: Any) -> dict[str, Any]:
    """A result as the object that `--json` prints. A list becomes its `items`."""
    global _documents
    _documents += 1
    return _document(_command, as_json(result))


def error_document(code: int, error: BaseException, message: str) -> dict[str, Any]:
    """The JSON object of a command that failed before it had a result."""
    failures = getattr(error, FAILURES, ())
    content = {"exit_code": code, "message": message, FAILURES: as_json(list(failures))}
    return _document(ERROR, content)


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for JSON, even if it has other errors."""
    options = arguments[: [*arguments, "--"].index("--")]
    return "--json" in options


def documents() -> int:
    """Number of results that this process has printed as JSON."""
    return _documents


def _document(command: str, content: Any) -> dict[str, Any]:
    schema = {"schema": f"{command}/{VERSION}"}
    if not isinstance(content, Mapping):
        return {**schema, "items": content}
    if isinstance(content.get(FAILURES), list):
        content = {**content, FAILURES: [_failure(item) for item in content[FAILURES]]}
    return {**schema, **content}


def _failure(item: Sequence[str]) -> dict[str, str]:
    name, reason = item
    return {"input": name, "reason": reason}
