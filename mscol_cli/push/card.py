"""The model card: what a model is, what it was trained on, its scores, and how to load it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mscol_cli.contracts.options import options_of
from mscol_cli.hub.names import PREFIX
from mscol_cli.pages.page import Block, Commands, Page, Section, Table, Text
from mscol_cli.pages.render import page_markdown
from mscol_cli.probe.result import ProbeResult, ScoredSet
from mscol_cli.recipes.options import TrainingSettings
from mscol_cli.runs.published import DATA
from mscol_cli.runs.settings import flat_settings, software_of

TAGS = ("mscol", "audio", "music", "music-representation-learning")
UNKNOWN = "unknown"
_LOCAL = {
    f"training.{item.name}"
    for item in options_of(TrainingSettings)
    if item.metadata["role"] != "result"
}
"""Settings that do not affect the result."""


@dataclass(frozen=True)
class CardContent:
    """Content of a model card.

    Attributes:
        repository: `ORG/NAME`.
        licence: Identifier of the licence, as the Hub spells it.
        info: Settings of the model, without paths of this machine.
        encoder: Facts of the encoder, by name, such as `dimensions`.
        probes: Results of this model.
        standalone: Code that loads the weights without mscol; empty for none.
    """

    repository: str
    licence: str
    info: Mapping[str, Any]
    encoder: Mapping[str, str]
    probes: Sequence[ProbeResult] = ()
    standalone: str = ""


def model_card(content: CardContent, weights_hash: str) -> str:
    """The card of weights with a SHA-256, as Markdown with YAML front matter."""
    sections = [
        Section("Usage", list(_usage(content))),
        Section("Training", list(_training(content, weights_hash))),
        Section("Data", list(_data(content.info))),
        Section("Scores", list(_scores(content.probes))),
    ]
    name = content.repository.partition("/")[2]
    page = Page(name, _lead(content), sections)
    return f"---\n{_front_matter(content, name)}\n---\n\n{page_markdown(page)}"


def _front_matter(content: CardContent, name: str) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="feature-extraction" if probe.is_retrieval else "audio-classification",
            dataset_type=probe.task,
            dataset_name=f"{_settings_name(probe)}, {test_set.name}",
            # Results of one task, configuration and split would share a name.
            dataset_config=_settings_name(probe),
            dataset_split=test_set.name,
            metric_type=metric,
            metric_name=f"{metric} ({_method(probe)})",
            metric_value=round(score.value, 4),
        )
        for probe in _distinct(content.probes)
        if not probe.protocol.get("finetune")
        for test_set in probe.test_sets
        for metric, score in test_set.metrics.items()
    ]
    data = ModelCardData(
        license=content.licence,
        library_name="mscol",
        pipeline_tag="feature-extraction",
        tags=list(TAGS),
        model_name=name,
        eval_results=results or None,
    )
    text: str = data.to_yaml()
    return text.strip()


def _settings_name(probe: ProbeResult) -> str:
    """The task, with the settings that differ from its own: the name of the result's folder."""
    return probe.folder.name or probe.task


def _method(probe: ProbeResult) -> str:
    if probe.is_retrieval:
        return "retrieval of stems by the similarity of vectors"
    return "shallow classifier on the frozen encoder"


def _distinct(probes: Sequence[ProbeResult]) -> Iterator[ProbeResult]:
    """Yield results without those that repeat an earlier one's scores, as with fewer labels."""
    seen: list[tuple[str, Sequence[ScoredSet]]] = []
    for probe in sorted(probes, key=lambda probe: len(_settings_name(probe))):
        scores = probe.task, probe.test_sets
        if scores not in seen:
            seen.append(scores)
            yield probe


def _lead(content: CardContent) -> str:
    network, objective = content.info["encoder"]["name"], _objective(content.info)
    facts = content.encoder
    return (
        f"An encoder of music: it maps windows of {facts['window']} of audio at"
        f" {facts['sample rate']} to vectors of {facts['dimensions']} dimensions."
        f" The network is '{network}', pre-trained without labels by mscol with the objective"
        f" '{objective}' for {content.info['step']:,} updates."
    )


def _objective(info: Mapping[str, Any]) -> str:
    return str(info.get("objective", {}).get("name", UNKNOWN))


def _usage(content: CardContent) -> Iterator[Block]:
    reference = f"{PREFIX}{content.repository}"
    yield Commands(
        ["import mscol", f'model = mscol.load("{reference}")', 'vector = model.embed("song.mp3")'],
        language="python",
    )
    yield Text("On the command line:")
    yield Commands([f"mscol embed song.mp3 --model {reference}"])
    if content.standalone:
        yield Text("The weights without mscol:")
        code = content.standalone.replace("{repository}", content.repository)
        yield Commands(code.rstrip().splitlines(), language="python")


def _training(content: CardContent, weights_hash: str) -> Iterator[Block]:
    settings = {name: value for name, value in content.info.items() if name not in (DATA, "step")}
    values = {
        "updates": f"{content.info['step']:,}",
        **content.encoder,
        **{name: value for name, value in flat_settings(settings).items() if name not in _LOCAL},
        **software_of(content.info),
        "SHA-256 of encoder.safetensors": weights_hash,
    }
    yield _table("setting", values)


def _data(info: Mapping[str, Any]) -> Iterator[Block]:
    data = dict(info.get(DATA, {}))
    separator = data.pop("separator", None)
    if not data:
        yield Text("The music that this model was trained on is unknown to mscol.")
        return
    if separator is None:
        yield Text("Only the hash of the store that this model was trained on is known.")
    else:
        data |= {
            "separator": f"{separator['name']}, by {separator['owner']} {separator['version']}",
            **{f"separator: {name}": value for name, value in separator["options"].items()},
            **{f"separator: {name}": value for name, value in separator["passport"].items()},
        }
    yield _table("property", data)


def _scores(probes: Sequence[ProbeResult]) -> Iterator[Block]:
    if not probes:
        yield Text("This model has not been probed.")
        return
    header = ("task", "test set", "metric", "score", "95 % interval", "encoder", "classifiers")
    rows = [
        (
            _settings_name(probe),
            test_set.title,
            metric,
            f"{score.value:.4f}",
            f"{score.low:.4f} to {score.high:.4f}",
            "fine-tuned" if probe.protocol.get("finetune") else "frozen",
            str(probe.seeds) if probe.seeds else "-",
        )
        for probe in _distinct(probes)
        for test_set in probe.test_sets
        for metric, score in test_set.metrics.items()
    ]
    if any(not probe.is_retrieval for probe in probes):
        yield Text(
            "Shallow classifiers on the vectors of labelled clips, chosen on validation. Their"
            " intervals are bootstrap intervals over test clips, or over the groups of clips that a"
            " test set names; they do not include the variation between pre-training seeds."
        )
    if any(probe.is_retrieval for probe in probes):
        yield Text(
            "Stems are retrieved by the similarity of vectors, without labels or classifiers. These"
            " intervals are bootstrap intervals over tracks."
        )
    yield Table("", header, rows, numbers=False)
    notes = [f"{probe.task}: {note}." for probe in probes for note in probe.notes]
    yield from map(Text, dict.fromkeys(notes))


def _table(name: str, values: Mapping[str, Any]) -> Table:
    rows = [(key.replace("_", " "), _format(value)) for key, value in values.items()]
    return Table("", (name, "value"), rows, numbers=False)


def _format(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "(none)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
