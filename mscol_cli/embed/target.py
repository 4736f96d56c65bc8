"""Where vectors are written: a folder of vectors, or a file that is exported from one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from mscol_cli.embed.inputs import Inputs
from mscol_cli.errors import UsageError
from mscol_cli.vectors import VectorFolder, VectorHeader, VectorWriter, is_vector_folder
from mscol_cli.vectors.export import SUFFIXES, check_export_path, export_vectors

PART = ".part"


@dataclass(frozen=True)
class Target:
    """The output of `mscol embed`.

    Attributes:
        output: The output.
        folder: Folder of vectors that is filled. For a file it is a temporary folder beside the
            file, from which an interrupted command resumes.
    """

    output: Path
    folder: Path

    @property
    def is_file(self) -> bool:
        """Whether the output is a file."""
        return self.folder != self.output

    def open(self) -> VectorFolder:
        """Open the folder as it is now."""
        return VectorFolder.open(self.folder)

    def create(self, header: VectorHeader) -> VectorFolder:
        """Open the folder, which is created if it is missing.

        Raises:
            UsageError: It has vectors of another model or with other settings.
            OSError: It cannot be written.
        """
        VectorWriter(VectorFolder(self.folder, header)).close()
        return VectorFolder(self.folder, header)

    def remove_vanished(self, folder: VectorFolder, inputs: Inputs) -> tuple[int, int]:
        """Remove vanished files from the listing.

        A file vanished if it was below one of the inputs and is not found there any more. From the
        temporary folder of a file everything is removed that is not an input.

        Returns:
            Number of files removed, and of files that are not among the inputs and remain.
        """
        ids = {clip.id for clip in inputs.clips}
        others = [entry for entry in folder.entries if entry.id not in ids]
        removed = [entry for entry in others if self.is_file or inputs.has_lost(entry)]
        with VectorWriter(folder) as writer:
            for entry in removed:
                writer.remove(entry.id)
        folder.refresh()
        return len(removed), len(others) - len(removed)

    def finish(self, folder: VectorFolder) -> None:
        """Export the file, and remove the temporary folder.

        Raises:
            OSError: The file cannot be written.
        """
        if self.is_file:
            export_vectors(folder, self.output)
            self.discard()

    def discard(self) -> None:
        """Remove the temporary folder of a file."""
        if self.is_file:
            for path in self.output.parent.glob(f"{escape(self.output.name)}.*{PART}"):
                if is_vector_folder(path):
                    shutil.rmtree(path, ignore_errors=True)


def check_output(output: Path) -> None:
    """Check an output before any work.

    Raises:
        UsageError: The suffix is unknown, or a folder has other content than vectors.
    """
    if is_vector_folder(output):
        return
    if output.is_dir():
        # A hidden file is what a process leaves that was killed before it wrote the header.
        if any(not path.name.startswith(".") for path in output.iterdir()):
            known = ", ".join(SUFFIXES)
            raise UsageError(
                f"{output} is not empty and is not a folder of vectors: name another folder, or a"
                f" file with the suffix {known}."
            )
    elif output.suffix:
        check_export_path(output)
    elif output.exists():
        raise UsageError(f"{output} is a file: name a folder, or a file with a suffix.")


def resolve_target(output: Path, header: VectorHeader) -> Target:
    """Decide which folder is filled for an output that `check_output` accepts."""
    if output.is_dir() or not output.suffix:
        return Target(output, output)
    # The key keeps vectors of different models and settings apart.
    return Target(output, output.with_name(f"{output.name}.{header.key[:8]}{PART}"))
