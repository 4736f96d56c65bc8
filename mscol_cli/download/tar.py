"""Strict reading of tar archives; tarfile alone takes damage for the end of the archive."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from gzip import GzipFile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

BLOCK = 1 << 20


class _Member(tarfile.TarInfo):
    """A member that raises for a damaged header anywhere in the archive."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined] # a block of zeros, the end
            raise
        except tarfile.EmptyHeaderError:  # type: ignore[attr-defined]
            raise tarfile.ReadError("it ends without an end-of-archive marker") from None
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"header at byte {archive.offset}: {error}") from None


def tar_members(content: GzipFile) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Yield each member of a tar archive, with the archive to call `extractfile` on.

    Args:
        content: The archive; it is read to its end.

    Raises:
        tarfile.TarError: A header is damaged, or the end-of-archive marker is missing, incomplete
            or followed by more data.
    """
    with tarfile.open(fileobj=content, mode="r:", tarinfo=_Member) as archive:
        while (member := archive.next()) is not None:
            yield archive, member
            archive.members = []  # type: ignore[attr-defined] # would grow with every member
    _check_end(content)


def _check_end(content: GzipFile) -> None:
    """Check that at least one more block of zeros follows, and nothing else.

    Reading to the end also makes gzip verify its checksum.
    """
    length = 0
    while block := content.read(BLOCK):
        if block.strip(b"\0"):
            raise tarfile.ReadError("more data follows a block of zeros, the end-of-archive marker")
        length += len(block)
    if length < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("its end-of-archive marker is cut off")
