"""Artists, songs or instruments that a probe was both trained and tested on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mscol_cli.contracts.task import Split, TaskItem
from mscol_cli.reports.tables import SharedGroups


def shared_groups(items: Mapping[Split, Sequence[TaskItem]]) -> Iterator[SharedGroups]:
    """For each kind of group that the task names, what test clips share with training clips."""
    for kind in sorted({kind for item in items["test"] for kind in item.groups}):
        trained = {item.groups.get(kind) for item in items["train"]}
        tested = [item.groups[kind] for item in items["test"] if kind in item.groups]
        shared = [group for group in tested if group in trained]
        yield SharedGroups(kind, len(set(tested)), len(set(shared)), len(tested), len(shared))
