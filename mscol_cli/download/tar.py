"""The members of a tar archive, all of them or an error: tarfile alone takes damage for the end."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from gzip import GzipFile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

BLOCK = 1 << 20


class _Member(tarfile.TarInfo):
    """A member whose header is damaged raises, wherever in the archive it is."""

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
    """Every member of a tar archive, each with the archive that `extractfile` is asked of.

    Args:
        content: The archive; read to its end.

    Raises:
        tarfile.TarError: A header is damaged, or the end-of-archive marker is not there, not whole,
            or followed by more.
    """
    with tarfile.open(fileobj=content, mode="r:", tarinfo=_Member) as archive:
        while (member := archive.next()) is not None:
            yield archive, member
            archive.members = []  # type: ignore[attr-defined] # would grow by every member
    _check_end(content)


def _check_end(content: GzipFile) -> None:
    """Read what follows the first block of zeros: one more at least, and nothing else.

    Reading to the end also makes gzip compare its checksum.
    """
    length = 0
    while block := content.read(BLOCK):
        if block.strip(b"\0"):
            raise tarfile.ReadError("more data follows a block of zeros, the end-of-archive marker")
        length += len(block)
    if length < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("its end-of-archive marker is cut off")
