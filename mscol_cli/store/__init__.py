"""The sealed store: mixtures and separated sources of a music collection."""

from mscol_cli.store.header import SeparatorIdentity, StoreHeader
from mscol_cli.store.reader import Store, sealed_stores, store_beside
from mscol_cli.store.records import FailureRecord, FileStamp, TrackRecord
from mscol_cli.store.segments import ACTIVE_LEVEL, MINIMUM, SAMPLE_RATE
from mscol_cli.store.writer import StoreWriter

__all__ = [
    "ACTIVE_LEVEL",
    "MINIMUM",
    "SAMPLE_RATE",
    "FailureRecord",
    "FileStamp",
    "SeparatorIdentity",
    "Store",
    "StoreHeader",
    "StoreWriter",
    "TrackRecord",
    "sealed_stores",
    "store_beside",
]
