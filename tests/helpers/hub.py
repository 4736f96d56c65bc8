"""A server that answers the Hub's client as the Hub does: repositories, commits, files by Git LFS
and by Xet.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.helpers.xet import XetStorage

TOKEN = "hf_of_a_test"
LARGE = (".safetensors", ".bin")
"""Suffixes of files that are kept as LFS objects."""


@dataclass
class Repository:
    """Files by name of each commit, and the commit of each branch."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        """Add a commit with these files changed; returns its hash."""
        content = {**self.commits.get(self.refs.get(branch, ""), {}), **files}
        key = repr([branch, len(self.commits), sorted(content.items())])
        sha = hashlib.sha1(key.encode()).hexdigest()
        self.commits[sha] = content
        self.refs[branch] = sha
        return sha

    def find(self, revision: str) -> str | None:
        """The commit of a branch or commit."""
        sha = self.refs.get(revision, revision)
        return sha if sha in self.commits else None


@dataclass
class Hub:
    """What the server has, and what was asked of it.

    Attributes:
        url: Address of the server.
        repositories: By `ORG/NAME`.
        objects: Uploaded LFS objects by SHA-256.
        xet: Storage of the other protocol for large files.
        requests: Method and path of each request.
        agents: User-Agent of each request.
        refusal: Status of answers to commits; None commits.
    """

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    xet: XetStorage = field(default_factory=XetStorage)
    requests: list[str] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    refusal: int | None = None

    @property
    def storage(self) -> str:
        """Address of LFS objects: another host, as in reality."""
        return self.url.replace("127.0.0.1", "localhost")

    def add(
        self, name: str, files: Mapping[str, bytes], private: bool = False, gated: bool = False
    ) -> Repository:
        """Add a repository with one commit."""
        repository = Repository(private, gated)
        repository.commit(files)
        self.repositories[name] = repository
        return repository


@contextmanager
def serving_hub() -> Iterator[Hub]:
    """Serve a Hub on a free port of this machine."""
    hub = Hub()

    class Handler(_Handler):
        served = hub

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        hub.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield hub
        http.shutdown()
        thread.join()


class _Refused(Exception):  # noqa: N818 - an answer
    def __init__(self, code: int, error: str) -> None:
        super().__init__(error)
        self.code = code
        self.error = error


class _Handler(BaseHTTPRequestHandler):
    served: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._handle()

    def do_HEAD(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def _handle(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.served.requests.append(f"{self.command} {path}")
        self.served.agents.append(self.headers.get("User-Agent", ""))
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Transfer-Encoding") == "chunked":
            self.body = self._chunks()
        try:
            self._route(path, path.strip("/").split("/"))
        except _Refused as refused:
            headers = {"X-Error-Code": refused.error, "X-Error-Message": refused.error}
            self._send({"error": refused.error}, refused.code, headers)

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _route(self, path: str, parts: list[str]) -> None:
        if path == "/api/repos/create":
            self._create()
        elif path == "/api/validate-yaml":
            self._send({"errors": [], "warnings": []})
        elif parts[:2] == ["api", "models"]:
            self._api(self._find("/".join(parts[2:4])), parts[4:])
        elif path.endswith(".git/info/lfs/objects/batch"):
            self._batch()
        elif parts[0] == "objects":
            self._object(parts[1])
        elif parts[0] in ("v1", "v2", "xorbs"):
            self._xet(parts)
        elif len(parts) > 4 and parts[2] == "resolve":
            self._resolve(self._find("/".join(parts[:2])), parts[3], "/".join(parts[4:]))
        else:
            raise _Refused(404, "NotFound")

    @property
    def _authorised(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _find(self, name: str) -> Repository:
        repository = self.served.repositories.get(name)
        if repository is None or (repository.private and not self._authorised):
            raise _Refused(404 if self._authorised else 401, "RepoNotFound")
        return repository

    def _create(self) -> None:
        if not self._authorised:
            raise _Refused(401, "Unauthorized")
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        address = {"url": f"{self.served.url}/{name}"}
        if name in self.served.repositories:
            self._send({**address, "error": "You already created this model repo"}, 409)
            return
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.served.repositories[name] = Repository(private)
        self.served.repositories[name].commit({".gitattributes": b"*.safetensors lfs\n"})
        self._send(address)

    def _api(self, repository: Repository, parts: list[str]) -> None:
        kind, revision = [*parts, "revision", "main"][:2] if not parts else parts[:2]
        if kind in ("xet-read-token", "xet-write-token"):
            self._xet_token(writes=kind == "xet-write-token")
            return
        if kind in ("preupload", "commit"):
            if not self._authorised:
                raise _Refused(403, "Forbidden")
            (self._preupload if kind == "preupload" else self._commit)(repository)
            return
        sha = repository.find(revision)
        if sha is None:
            raise _Refused(404, "RevisionNotFound")
        files = repository.commits[sha]
        if kind == "tree":
            self._send([_entry(name, content) for name, content in files.items()])
        else:
            siblings = [{"rfilename": name} for name in files]
            about = {
                "id": "x/y",
                "sha": sha,
                "private": repository.private,
                "siblings": siblings,
                # Earlier clients ask; later ones learn it from the answer to an upload.
                "xetEnabled": True,
            }
            self._send({**about, "tags": [], "downloads": 0, "likes": 0})

    def _preupload(self, repository: Repository) -> None:
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False,
                "oid": None,
            }
            for file in json.loads(self.body)["files"]
        ]
        self._send({"files": files})

    def _batch(self) -> None:
        objects = [
            {
                **item,
                "actions": {"upload": {"href": f"{self.served.storage}/objects/{item['oid']}"}},
            }
            for item in json.loads(self.body)["objects"]
        ]
        self._send({"transfer": "basic", "objects": objects})

    def _object(self, oid: str) -> None:
        if "Authorization" in self.headers:
            raise _Refused(400, "the token was sent to another host")
        if self.command == "PUT":
            if hashlib.sha256(self.body).hexdigest() != oid:
                raise _Refused(400, "another hash")
            self.served.objects[oid] = self.body
        self._send(self.served.objects[oid])

    def _xet_token(self, writes: bool) -> None:
        if writes and not self._authorised:
            raise _Refused(403, "Forbidden")
        token, expires = "write" if writes else "read", int(time.time()) + 3600
        headers = {
            "X-Xet-Cas-Url": self.served.storage,
            "X-Xet-Access-Token": token,
            "X-Xet-Token-Expiration": str(expires),
        }
        answer = {"casUrl": self.served.storage, "accessToken": token, "exp": expires}
        self._send(answer, 200, headers)

    def _xet(self, parts: list[str]) -> None:
        storage, token = self.served.xet, self.headers.get("Authorization")
        if parts[0] == "xorbs":
            first, last = self.headers["Range"].removeprefix("bytes=").split("-")
            self._send(storage.xorbs[parts[1]][int(first) : int(last) + 1], 206)
        elif token not in ("Bearer write", "Bearer read"):
            raise _Refused(401, "Unauthorized")
        elif parts[:2] == ["v2", "reconstructions"]:
            self._send(storage.reconstruction(parts[2], f"{self.served.storage}/xorbs"))
        elif token == "Bearer write" and parts[:2] == ["v1", "xorbs"]:
            storage.xorbs[parts[-1]] = self.body
            self._send({"was_inserted": True})
        elif token == "Bearer write" and parts == ["v1", "shards"]:
            storage.add_shard(self.body)
            self._send({"result": 1})
        else:
            raise _Refused(404, "NotFound")

    def _uploaded(self, oid: str) -> bytes:
        """Content of a large file, which must have been uploaded."""
        xet = self.served.xet
        if oid in xet.files:
            self.served.objects[oid] = content = xet.content(xet.files[oid])
            if hashlib.sha256(content).hexdigest() != oid:
                raise _Refused(400, "another hash")
        return self.served.objects[oid]

    def _commit(self, repository: Repository) -> None:
        if self.served.refusal is not None:
            raise _Refused(self.served.refusal, "refused by the test")
        lines = [json.loads(line) for line in self.body.splitlines()]
        files = {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            if line["key"] == "lfsFile":
                files[value["path"]] = self._uploaded(value["oid"])
        sha = repository.commit(files)
        self._send({"commitUrl": f"{self.served.url}/x/y/commit/{sha}", "commitOid": sha})

    def _resolve(self, repository: Repository, revision: str, name: str) -> None:
        sha = repository.find(revision)
        if repository.gated:
            raise _Refused(403, "GatedRepo")
        if sha is None or name not in repository.commits[sha]:
            raise _Refused(404, "RevisionNotFound" if sha is None else "EntryNotFound")
        content = repository.commits[sha][name]
        headers = {"X-Repo-Commit": sha, "ETag": f'"{_entry(name, content)["oid"]}"'}
        if name.endswith(LARGE):
            oid = hashlib.sha256(content).hexdigest()
            self.served.objects[oid] = content
            headers |= {"X-Linked-ETag": f'"{oid}"', "X-Linked-Size": str(len(content))}
            headers["Location"] = f"{self.served.storage}/objects/{oid}"
            if file := self.served.xet.files.get(oid):
                headers["X-Xet-Hash"] = file.hash
                repository_name = self.path.partition("/resolve/")[0]
                route = f"/api/models{repository_name}/xet-read-token/{sha}"
                headers["X-Xet-Refresh-Route"] = self.served.url + route
            self._send(b"", 302, headers)
        else:
            self._send(content, 200, headers)

    def _send(
        self, content: Any, code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


def _entry(name: str, content: bytes) -> dict[str, Any]:
    """A file as the tree of a repository lists it."""
    blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": blob}
    if name.endswith(LARGE):
        oid = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": oid, "size": len(content), "pointerSize": 134}
    return entry
