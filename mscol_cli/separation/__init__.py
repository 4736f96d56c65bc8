"""From files to separated waveforms: chunks in, batches through the separator, whole tracks out."""

from mscol_cli.separation.groups import Separated, separate_groups
from mscol_cli.separation.reading import Chunk, read_chunks

__all__ = ["Chunk", "Separated", "read_chunks", "separate_groups"]
