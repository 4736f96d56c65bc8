"""HTTP requests for a file or the rest of a file."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import AbstractContextManager
from email.message import Message
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import IO, cast
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from mscol_cli import __version__

SCHEMES = ("http", "https")
TIMEOUT = 30.0
BLOCK = 1 << 18
# Temporary errors: the server is overloaded, or asks clients to slow down.
TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class Unavailable(Exception):  # noqa: N818 - an answer of the server, not an error
    """The file is not available at this address; try another one."""


class Broken(Exception):  # noqa: N818 - see above
    """The connection broke or the server is overloaded; try the same address again."""


class PastTheEnd(Exception):  # noqa: N818 - see above
    """The requested range is past the end of the file; `total` is its size in bytes, if known."""

    def __init__(self, total: int | None) -> None:
        super().__init__(f"the file has {total} bytes")
        self.total = total


class Answer(AbstractContextManager["Answer"]):
    """An open HTTP response.

    Attributes:
        start: Offset of its first byte in the file; 0 if the server sends the complete file.
        total: Size of the complete file in bytes; None if unknown.
    """

    def __init__(self, response: HTTPResponse, start: int, total: int | None) -> None:
        self._response = response
        self.start = start
        self.total = total

    def blocks(self) -> Iterator[bytes]:
        """Blocks of the body until the connection ends. Raises Broken."""
        while True:
            try:
                block = self._response.read1(BLOCK)
            except (OSError, HTTPException) as error:
                raise Broken(f"broke off ({_reason(error)})") from None
            if not block:
                return
            yield block

    def __exit__(self, *_: object) -> None:
        self._response.close()


def is_web_address(url: str) -> bool:
    """Whether an address is http or https and has a host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in SCHEMES and bool(parts.netloc)


def ask(url: str, start: int) -> Answer:
    """Request a file from byte `start`.

    Raises:
        Unavailable: The file is not available at this address.
        Broken: A temporary error.
        PastTheEnd: The file is not longer than `start`.
    """
    if not is_web_address(url):
        raise Unavailable("is not an http or https address")
    headers = {"User-Agent": f"mscol/{__version__}"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        opened = _opener().open(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        with error:
            raise _refusal(error, start) from None
    except (OSError, HTTPException, ValueError) as error:
        raise _no_connection(error) from None
    return _answer(cast(HTTPResponse, opened), start)


def _answer(response: HTTPResponse, start: int) -> Answer:
    header = response.headers.get("Content-Length", "")
    length = int(header) if header.isdecimal() else None
    if response.status == 200:
        return Answer(response, 0, length)
    first, total = _range(response.headers)
    if response.status != 206 or first != start:
        response.close()
        raise Unavailable(f"answers {response.status} with another part than requested")
    if total is None and length is not None:
        total = start + length
    return Answer(response, start, total)


def _range(headers: Message) -> tuple[int | None, int | None]:
    """First byte and total of a Content-Range."""
    match = RANGE.fullmatch(headers.get("Content-Range", "").strip())
    first, total = match.groups() if match else (None, None)
    return int(first) if first else None, int(total) if total and total != "*" else None


def _refusal(error: HTTPError, start: int) -> Exception:
    if error.code == 416 and start:
        return PastTheEnd(_range(error.headers)[1])
    what = f"answers {error.code} {error.reason}"
    return Broken(what) if error.code in TEMPORARY else Unavailable(what)


def _no_connection(error: Exception) -> Exception:
    cause = error.reason if isinstance(error, URLError) else error
    permanent = isinstance(cause, (ssl.SSLCertVerificationError, ValueError))
    what = f"cannot be reached ({_reason(cause)})"
    return Unavailable(what) if permanent else Broken(what)


def _reason(error: object) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__


class _WebRedirects(HTTPRedirectHandler):
    """Redirects to http and https only."""

    def redirect_request(
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> Request | None:
        if not is_web_address(newurl):
            raise HTTPError(newurl, code, f"to '{newurl}', not a web address", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> OpenerDirector:
    # urllib's default opener also opens files, FTP and data addresses.
    opener = OpenerDirector()
    for handler in (
        ProxyHandler(),
        HTTPHandler(),
        HTTPSHandler(),
        HTTPDefaultErrorHandler(),
        HTTPErrorProcessor(),
        _WebRedirects(),
    ):
        opener.add_handler(handler)
    return opener
