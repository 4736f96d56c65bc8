"""Calls of the Hub's client: download and upload of a model repository.

Cache, endpoint and token are the client's own: HF_HOME, HF_ENDPOINT, HF_TOKEN.
"""

from __future__ import annotations

import hashlib
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mscol_cli import __version__
from mscol_cli.download.fetch import OFFLINE, is_offline
from mscol_cli.errors import MissingDataError, MscolError, UsageError
from mscol_cli.hub.names import HubName
from mscol_cli.system.files import file_hash
from mscol_cli.system.text import first_line

FILES = ("config.json", "encoder.safetensors")
"""The files of a model of mscol."""
SHA256_DIGITS = 64
_LIBRARY = {"library_name": "mscol", "library_version": __version__}


@dataclass(frozen=True)
class Snapshot:
    """A downloaded repository.

    Attributes:
        folder: Folder of its files, in the client's cache.
        name: The repository at the commit that was downloaded.
    """

    folder: Path
    name: HubName


def download(name: HubName, files: Sequence[str] = FILES) -> Snapshot:
    """Download files of a repository, or find them in the cache.

    The cache is used if the network is down, with HF_HUB_OFFLINE, and with MSCOL_OFFLINE.

    Raises:
        MissingDataError: The repository or revision does not exist, is not accessible, or cannot be
            downloaded.
        UsageError: The repository lacks one of the files.
    """
    from huggingface_hub import snapshot_download

    with _quiet(), _download_errors(name):
        path = snapshot_download(
            name.repository,
            revision=name.revision,
            allow_patterns=list(files),
            local_files_only=is_offline(),
            **_LIBRARY,
        )
    folder = Path(path)
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise UsageError(
            f"{name} does not hold a model of mscol: it lacks {' and '.join(missing)}."
        )
    for file in files:
        _check_hash(name, folder / file)
    return Snapshot(folder, HubName(name.repository, folder.name))


def _check_hash(name: HubName, path: Path) -> None:
    """Compare a file with its hash on the Hub: SHA-256 for large files, git's hash for others. The
    client does not check it, but links to a file of this name. That may be a link, too: to a file
    with a hash of the storage Xet as its name.

    Raises:
        UsageError: The hash differs.
    """
    expected = path.readlink().name if path.is_symlink() else ""
    if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", expected):
        return  # without links, a copy has another name
    if len(expected) == SHA256_DIGITS:
        actual = file_hash(path)
    else:
        content = path.read_bytes()
        head = f"blob {len(content)}\0".encode()
        actual = hashlib.sha1(head + content, usedforsecurity=False).hexdigest()
    if actual != expected:
        stored = path.resolve()
        raise UsageError(
            f"{name}: {path.name} differs from its hash on the Hub: delete {stored}, and try again."
        )


def require_token() -> None:
    """Raise UsageError if uploads are forbidden or the access token is missing."""
    from huggingface_hub import get_token

    if is_offline():
        raise UsageError(f"{OFFLINE} forbids uploads: unset it, or try --dry-run -o FOLDER.")
    if get_token() is None:
        raise UsageError(
            "an upload needs an access token of the Hub: set HF_TOKEN, or try --dry-run -o FOLDER."
        )


def upload(folder: Path, name: HubName, private: bool, message: str) -> str:
    """Upload the files of a folder to a repository, which is created if it does not exist.

    Args:
        folder: The files.
        name: The repository.
        private: Create a private repository; an existing public one is refused.
        message: Message of the commit.

    Returns:
        The commit.

    Raises:
        UsageError: The repository is public, but `private` is requested.
        MscolError: The upload failed.
    """
    from huggingface_hub import HfApi

    api = HfApi(**_LIBRARY)
    with _quiet(), _upload_errors(name):
        api.create_repo(name.repository, private=private or None, exist_ok=True)
        if private and not api.model_info(name.repository).private:
            raise UsageError(f"{name} exists and is public: choose another name for --private.")
        commit = api.upload_folder(
            repo_id=name.repository, folder_path=folder, commit_message=message
        )
    return str(commit.oid)


@contextmanager
def _quiet() -> Iterator[None]:
    """Context in which the client prints no bars and no warnings."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    logger = logging.getLogger("huggingface_hub")
    level, had_bars = logger.level, not are_progress_bars_disabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL)
        disable_progress_bars()
        try:
            yield
        finally:
            logger.setLevel(level)
            if had_bars:
                enable_progress_bars()


@contextmanager
def _download_errors(name: HubName) -> Iterator[None]:
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except GatedRepoError as error:
        raise MissingDataError(
            f"{name} is gated: accept its terms at {ENDPOINT}/{name.repository}, and set HF_TOKEN."
        ) from error
    except RepositoryNotFoundError as error:
        raise MissingDataError(
            f"{name} does not exist on {ENDPOINT}, or is private: check the name, or set HF_TOKEN."
        ) from error
    except RevisionNotFoundError as error:
        raise MissingDataError(
            f"{name.repository} has no revision '{name.revision}': name a branch, tag or commit."
        ) from error
    except LocalEntryNotFoundError as error:
        if is_offline() or HF_HUB_OFFLINE:
            raise MissingDataError(
                f"{name} is not in the cache, and {OFFLINE} or HF_HUB_OFFLINE forbids downloads:"
                " download it with a network first."
            ) from error
        raise _unavailable(name, error.__cause__ or error) from error
    except Exception as error:
        if isinstance(error, OSError) and error.filename:
            raise  # of the cache, not of the network
        # Errors of the network have the classes of the library that the client uses for it.
        raise _unavailable(name, error) from error


def _unavailable(name: HubName, error: BaseException) -> MissingDataError:
    return MissingDataError(
        f"{name} cannot be downloaded ({first_line(error)}): check the network, and try again."
    )


@contextmanager
def _upload_errors(name: HubName) -> Iterator[None]:
    try:
        yield
    except MscolError:
        raise
    except Exception as error:
        raise MscolError(
            f"{name} cannot be uploaded ({first_line(error)}): check the network, and that HF_TOKEN"
            " may write to this repository."
        ) from error
