"""Cards of the bundled probe tasks."""

from __future__ import annotations

from mscol_cli.api import TaskCard, hookimpl
from mscol_tasks.options import FolderOptions, StemsOptions


@hookimpl
def mscol_tasks() -> list[TaskCard]:
    """Four tasks with labels, and stem retrieval."""
    return [
        TaskCard(
            name="mtat",
            summary="MagnaTagATune: 50 tags of 29 s clips, split by folder",
            build="mscol_tasks.mtat:MagnaTagATune",
            reference="Law, West, Mandel, Bay, Downie: Evaluation of Algorithms Using Games: the"
            " Case of Music Tagging, ISMIR 2009",
        ),
        TaskCard(
            name="nsynth",
            summary="NSynth: one of 11 instrument families of single notes",
            build="mscol_tasks.nsynth:NSynth",
            reference="Engel et al.: Neural Audio Synthesis of Musical Notes with WaveNet"
            " Autoencoders, ICML 2017, arXiv 1704.01279",
        ),
        TaskCard(
            name="fma",
            summary="FMA-small: one of 8 genres of 30 s clips",
            build="mscol_tasks.fma:FmaSmall",
            reference="Defferrard, Benzi, Vandergheynst, Bresson: FMA, a Dataset for Music"
            " Analysis, ISMIR 2017, arXiv 1612.01840",
        ),
        TaskCard(
            name="folder",
            summary="your own data: a folder of audio per class, split here or by folders",
            build="mscol_tasks.folder:FolderTask",
            options=FolderOptions,
        ),
        TaskCard(
            name="stems",
            summary="stem retrieval on a store with sources: which stem belongs to the others?",
            build="mscol_tasks.stems:Stems",
            options=StemsOptions,
            reference="Riou, Lattner, Hadjeres, Anslow, Peeters: Stem-JEPA, ISMIR 2024,"
            " arXiv 2408.02514",
        ),
    ]
