"""One HTTP request for a file or the rest of one, and what can come of it."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import AbstractContextManager
from email.message import Message
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import IO, cast
from urllib.error import HTTPError, URLError
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
from mscol_cli.download.entries import is_web_address

TIMEOUT = 30.0
BLOCK = 1 << 18
# What passes when one waits: an overloaded server, or one that asks to slow down.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class Unavailable(Exception):  # noqa: N818 - an answer, not a fault of ours
    """This address does not give the file; another may."""


class Broken(Exception):  # noqa: N818 - the same
    """It broke off or is overloaded; the same address may go on."""


class PastTheEnd(Exception):  # noqa: N818 - the same
    """The server has no bytes there; `total` says how many it has, if it told."""

    def __init__(self, total: int | None) -> None:
        super().__init__(f"the file has {total} bytes")
        self.total = total


class Answer(AbstractContextManager["Answer"]):
    """An open answer.

    Attributes:
        start: Place of its first byte in the file; 0 when the server sends the whole file.
        total: Bytes of the whole file, None when the server does not say.
    """

    def __init__(self, response: HTTPResponse, start: int, total: int | None) -> None:
        self._response = response
        self.start = start
        self.total = total

    def blocks(self) -> Iterator[bytes]:
        """What comes, until the connection ends. Raises Broken."""
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


def ask(url: str, start: int) -> Answer:
    """Ask for a file from its byte `start` on.

    Raises:
        Unavailable: It is not there, or not to be had by http or https.
        Broken: Try again.
        PastTheEnd: The file is no longer than `start`.
    """
    if not is_web_address(url):
        raise Unavailable("is no http or https address")
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
    said = response.headers.get("Content-Length", "")
    length = int(said) if said.isdecimal() else None
    if response.status == 200:
        return Answer(response, 0, length)
    first, total = _range(response.headers)
    if response.status != 206 or first != start:
        response.close()
        raise Unavailable(f"answers {response.status} with another part than was asked for")
    if total is None and length is not None:
        total = start + length
    return Answer(response, start, total)


def _range(headers: Message) -> tuple[int | None, int | None]:
    """First byte and total of a Content-Range."""
    found = RANGE.fullmatch(headers.get("Content-Range", "").strip())
    first, total = found.groups() if found else (None, None)
    return int(first) if first else None, int(total) if total and total != "*" else None


def _refusal(error: HTTPError, start: int) -> Exception:
    if error.code == 416 and start:
        return PastTheEnd(_range(error.headers)[1])
    what = f"answers {error.code} {error.reason}"
    return Broken(what) if error.code in PASSING else Unavailable(what)


def _no_connection(error: Exception) -> Exception:
    cause = error.reason if isinstance(error, URLError) else error
    hopeless = isinstance(cause, (ssl.SSLCertVerificationError, ValueError))
    what = f"cannot be reached ({_reason(cause)})"
    return Unavailable(what) if hopeless else Broken(what)


def _reason(error: object) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__


class _WebRedirects(HTTPRedirectHandler):
    """Follows to http and https only."""

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
            raise HTTPError(newurl, code, f"to '{newurl}', no web address", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> OpenerDirector:
    # Not urllib's default one, which opens files, FTP and data addresses too.
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
