"""Section with the command lines that reproduce runs and probe results."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mscol_cli.contracts.progress import Silent
from mscol_cli.engine.models import untrained_hash
from mscol_cli.engine.references import UNTRAINED
from mscol_cli.errors import MscolError
from mscol_cli.host import Registry, find_part, load_registry
from mscol_cli.pages.page import Commands, Section, Text
from mscol_cli.probe.request import ProbeRequest
from mscol_cli.probe.result import ProbeResult
from mscol_cli.probe.settings import resolve_settings
from mscol_cli.report.material import FoundProbe, FoundRun, Material
from mscol_cli.runs.layout import RECIPE, find_named
from mscol_cli.separate.request import SeparateRequest
from mscol_cli.separate.separator import build_separator
from mscol_cli.store import SeparatorIdentity, StoreHeader
from mscol_cli.system.files import absolute_path, relative_to_here
from mscol_cli.system.values import differences

HEADING = "Commands to reproduce it"
SUFFIX = ".store"


def commands_section(material: Material) -> Section:
    """Create a section with the commands of separation, training and probing, in this order."""
    registry = load_registry()
    separators = dict(_separators(material))
    local = [path for path, separator in separators.items() if _has_local_weights(separator)]
    lines = [
        *(_separate(path, separators[path], path in local) for path in separators),
        *(line for run in material.runs for line in _pretrain(run)),
        *(_probe(probe, registry) for probe in material.probes),
    ]
    intro = Text(
        "A store does not record the folder of its inputs: X.store is assumed to come from X."
        " Compare its hash with the one above before training. Runs are written to new folders,"
        " with the suffix -again. Options of the machine (--device, --gpus, and --precision of"
        " training) are left out."
    )
    weights = [Text(_describe_weights(path, separators[path])) for path in local]
    return Section(HEADING, [intro, *weights, Commands(lines)] if lines else ())


def _line(*words: object) -> str:
    return shlex.join(["mscol", *map(str, words)])


def _stores(material: Material) -> Iterator[Path]:
    """Yield the stores that runs were trained on, and those of scores by source."""
    yield from (Path(run.store["path"]) for run in material.runs if run.store is not None)
    yield from (stems for probe in material.probes if (stems := _stems(probe.result)) is not None)


def _separators(material: Material) -> Iterator[tuple[Path, SeparatorIdentity]]:
    """Yield the stores that can be read, with their separators."""
    for path in _stores(material):
        with suppress(MscolError):
            yield path, StoreHeader.read(path).separator


def _has_local_weights(separator: SeparatorIdentity) -> bool:
    """Whether the model of a separator is a file or folder, of which a store has only the name."""
    model = separator.passport.get("model")
    if model is None:
        return False
    options = tuple(word for word in _options(separator) if word != "--opt")
    request = SeparateRequest(
        inputs=(), separator=separator.name, model=model, options=options, offline=True
    )
    try:
        identity = build_separator(request, Silent(), plan_only=True)[1]
    except MscolError:
        return True
    return identity.passport.get("model") != model


def _describe_weights(path: Path, separator: SeparatorIdentity) -> str:
    hashes = [
        f"{name} {value[:12]}..." for name, value in separator.passport.items() if "sha256" in name
    ]
    model = separator.passport["model"]
    return (
        f"PATH in the command of {path} is that of its weights, {model} ({', '.join(hashes)}):"
        " a store does not record it."
    )


def _separate(path: Path, separator: SeparatorIdentity, local: bool) -> str:
    # A store does not record the folder of its inputs; by default it is beside them.
    inputs = path.with_suffix("") if path.suffix == SUFFIX else Path("INPUTS")
    words: list[object] = ["separate", inputs, "--separator", separator.name]
    passport = {**separator.passport, **({"model": "PATH"} if local else {})}
    for name in ("model", "precision"):
        words += [f"--{name}", passport[name]] if name in passport else []
    return _line(*words, *_options(separator), "-o", path)


def _options(separator: SeparatorIdentity) -> Iterator[str]:
    for name, value in separator.options.items():
        yield from _assigned("--opt", name, value)


def _assigned(option: str, name: str, value: Any) -> Sequence[str]:
    if value is None or value == []:
        return ()
    if isinstance(value, list):
        value = ",".join(map(str, value))
    return (option, f"{name}={str(value).lower() if isinstance(value, bool) else value}")


def _pretrain(run: FoundRun) -> Iterator[str]:
    recipe = run.folder / RECIPE
    if run.store is not None and recipe.is_file():
        words = ["pretrain", run.store["path"], "--recipe", recipe, *_online(run)]
        yield _line(*words, "-o", _again(run))


def _online(run: FoundRun) -> list[object]:
    probe = run.info.get("online_probe")
    if not isinstance(probe, dict) or not {"every", "task", "data"} <= set(probe):
        return []
    return ["--probe-every", probe["every"], f"{probe['task']}={probe['data']}"]


def _again(run: FoundRun) -> Path:
    return run.folder.with_name(f"{run.folder.name}-again")


def _probe(probe: FoundProbe, registry: Registry) -> str:
    result = probe.result
    data = _located(result.data, result.folder)
    words: list[object] = ["probe", result.task, "--data", data, *_model(probe, registry)]
    words += ["--recipe", result.recipe] if result.recipe else []
    words += ["--seeds", result.seeds] if result.seeds else []
    for option, name, value in _changed(result, registry):
        words += _assigned(option, name, value)
    if result.label_fractions:
        words += ["--label-fraction", ",".join(f"{share:g}" for share in result.label_fractions)]
    if (stems := _stems(result)) is not None:
        words += ["--attribute", "--stems", stems]
    words += _corruptions(result)
    words += [] if probe.run is not None else ["-o", f"{result.folder}-again"]
    return _line(*words)


def _stems(result: ProbeResult) -> Path | None:
    """The store of a result's scores by source."""
    if result.attribution is None:
        return None
    return _located(result.attribution.store, result.folder)


def _located(recorded: str, folder: Path) -> Path:
    """A path that a probe recorded, relative to where it ran: the nearest folder around its result
    that has this path."""
    places = (parent / recorded for parent in absolute_path(folder).parents)
    found = next((place for place in places if place.exists()), Path(recorded))
    return found if Path(recorded).is_absolute() else relative_to_here(found)


def _corruptions(result: ProbeResult) -> Iterator[str]:
    """Format corruptions as options: `noise 20 dB` is `--noise=20`."""
    amounts: dict[str, list[str]] = {}
    for corruption in result.corruptions:
        kind, amount, *_ = [*corruption.split(), ""]
        amounts.setdefault(kind, []).append(amount)
    for kind, of_kind in amounts.items():
        yield f"--{kind}={','.join(of_kind)}"


def _model(probe: FoundProbe, registry: Registry) -> list[object]:
    if probe.run is not None:
        return ["--model", _again(probe.run)]
    name = probe.reference
    untrained, _, encoder = name.partition("-")
    if untrained == UNTRAINED and encoder:
        return ["--model", untrained, *_encoder(encoder, probe.result.model_hash, registry)]
    run, _, step = name.rpartition("@")
    folder = find_named(run) if run and step.isdecimal() else None
    return ["--model", name if folder is None else folder]


def _encoder(name: str, model_hash: str, registry: Registry) -> list[object]:
    """The option of an untrained encoder; none if it was built as that of the latest run."""
    try:
        default = untrained_hash(find_part(registry, "encoder", name))
    except MscolError:
        return ["--encoder", name]
    return ["--encoder", name] if model_hash == default else []


def _changed(result: ProbeResult, registry: Registry) -> Iterator[tuple[str, str, Any]]:
    """Yield the options that differ from those of task and recipe."""
    request = ProbeRequest(result.task, recipe=result.recipe or None)
    options: Mapping[str, Any] = {}
    protocol: Mapping[str, Any] = {}
    try:
        settings = resolve_settings(request, registry)
        options, protocol = asdict(settings.part.options), settings.described_protocol()
    except MscolError:
        pass  # without the plugin or recipe, yield all options
    for name, _, value in differences(options, result.options):
        yield "--opt", name, value
    for name, _, value in differences(protocol, result.protocol):
        yield "--protocol", name, value
