"""A web server that misbehaves as told, and tables of downloads that point at it."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Files = Sequence[Mapping[str, Any]]
BLOCK = 1 << 16


@dataclass
class Server:
    """What is served, how, and what was asked for.

    Attributes:
        files: By path, with the leading `/`.
        redirects: By path, the address an answer of 302 names.
        refusals: Codes that the next answers have, and nothing else.
        breaks: Bytes that each of the next answers sends before it breaks off.
        always_breaks: As `breaks`, for every answer after those.
        ranges: Whether it goes on in the middle.
        lengths: Whether it says how much will come.
        pause: Seconds before each block of 64 KiB.
        on_request: Called first thing.
        requests: Path and Range header of each request.
        agent: User-Agent header of the last one.
        sent: Bytes of files sent.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    refusals: list[int] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)
    always_breaks: int | None = None
    ranges: bool = True
    lengths: bool = True
    pause: float = 0.0
    on_request: Callable[[], object] = lambda: None
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    agent: str | None = None
    sent: int = 0


@contextmanager
def serving() -> Iterator[Server]:
    """Serve on a free port of this machine."""
    server = Server()

    class Handler(_Handler):
        served = server

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        http.shutdown()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    served: Server

    def do_GET(self) -> None:
        served, asked = self.served, self.headers.get("Range")
        served.on_request()
        served.requests.append((self.path, asked))
        served.agent = self.headers.get("User-Agent")
        if served.refusals:
            self._answer(served.refusals.pop(0), {})
            return
        if self.path in served.redirects:
            self._answer(302, {"Location": served.redirects[self.path]})
            return
        if self.path not in served.files:
            self._answer(404, {})
            return
        content = served.files[self.path]
        start = int(asked[6:-1]) if asked and served.ranges else 0
        if start and start >= len(content):
            self._answer(416, {"Content-Range": f"bytes */{len(content)}"})
            return
        headers = {"Content-Length": str(len(content) - start)} if served.lengths else {}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._answer(206 if start else 200, headers)
        self._send(content[start:])

    def _answer(self, code: int, headers: Mapping[str, str]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, content: bytes) -> None:
        served = self.served
        limit = served.breaks.pop(0) if served.breaks else served.always_breaks
        content = content if limit is None else content[:limit]
        try:
            for start in range(0, len(content), BLOCK):
                time.sleep(served.pause)
                self.wfile.write(content[start : start + BLOCK])
                served.sent += len(content[start : start + BLOCK])
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None: ...


def sha256(content: bytes) -> str:
    """As a table states it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def remote(server: Server, name: str, content: bytes, **changes: Any) -> dict[str, Any]:
    """The table's entry of a file that the server has; a value of None leaves a key out."""
    server.files[f"/{name}"] = content
    entry = {"name": name, "urls": [f"{server.url}/{name}"], "size": len(content)}
    entry |= {"hash": sha256(content)}
    return {key: value for key, value in (entry | changes).items() if value is not None}


def write_table(path: Path, **collections: Files) -> Path:
    """A table of downloads of these files, each collection going to `data/NAME`."""
    lines: list[str] = []
    for name, files in collections.items():
        described = {
            "title": f"The {name} of a test",
            "licence": f"licence of {name}",
            "licence_from": "its authors",
            "page": "https://example.org/cite",
            "folder": "torch.hub" if name.startswith("umx") else f"data/{name}",
            "layout": "as in the test",
        }
        lines += [f"[{name}]", *(_line(key, value) for key, value in described.items())]
        for file in files:
            lines += [f"[[{name}.files]]", *(_line(key, value) for key, value in file.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


def _line(key: str, value: Any) -> str:
    return f"{key} = {json.dumps(value)}"


def make_zip(members: Mapping[str, bytes]) -> bytes:
    """A zip of these files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def make_tar(members: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """A tar.gz of these files, and of symbolic links by name."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return stream.getvalue()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder that is not hidden, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
