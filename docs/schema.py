"""JSON Schema of what `--json` prints, from the classes of results: `docs/results.schema.json`.

python docs/generate.py    # writes the file; a test compares it, and checks commands against it
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mscol_cli.commands.json_output import ERROR, FAILURES, VERSION

FILE = Path(__file__).with_name("results.schema.json")
Schema = dict[str, Any]
PLAIN: Mapping[Any, str] = {
    str: "string",
    Path: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}
TITLES = ["name", "title"]
COLLECTION = ["name", "title", "licence", "licence_from", "page", "folder"]

RESULTS: Mapping[str, Sequence[str]] = {
    "cache ls": ["mscol_cli.cache.listing:CacheListing"],
    "cache prune": ["mscol_cli.cache.prune:PruneResult"],
    "demo": ["mscol_cli.study.demo:DemoResult"],
    "download": ["mscol_cli.download.workflow:DownloadResult", "docs.schema:collections"],
    "embed": ["mscol_cli.embed.workflow:EmbedResult"],
    "export": ["mscol_cli.export.workflow:ExportResult"],
    "import": ["mscol_cli.importing.workflow:ImportResult"],
    "map": ["mscol_cli.map.workflow:MapResult"],
    "plugins": ["docs.schema:registry"],
    "plugins show": ["docs.schema:parts"],
    "pretrain": ["mscol_cli.pretrain.finished:PretrainResult", "docs.schema:configurations"],
    "probe": [
        "mscol_cli.probe.result:ProbeResult",
        "docs.schema:joint_table",
        "docs.schema:configurations",
    ],
    "push": ["mscol_cli.push.workflow:PushResult"],
    "recipes": ["docs.schema:titles"],
    "recipes show": ["docs.schema:configurations"],
    "report": ["mscol_cli.report.workflow:ReportResult"],
    "reproduce": [
        "mscol_cli.study.workflow:ReproduceResult",
        "[]mscol_cli.study.plan:PlannedStage",
        "docs.schema:titles",
        "docs.schema:configurations",
    ],
    "runs compare": ["mscol_cli.runs.listing:Comparison"],
    "runs ls": ["[]mscol_cli.runs.listing:RunSummary"],
    "runs plot": ["mscol_cli.runs.plot:PlotResult"],
    "runs show": ["mscol_cli.runs.listing:RunDetails"],
    "runs verify": ["mscol_cli.runs.verify:VerifyResult"],
    "separate": [
        "mscol_cli.separate.workflow:SeparateResult",
        "mscol_cli.separate.estimate:Estimate",
        "mscol_cli.separate.check_chunking:ChunkingResult",
    ],
    "similar": ["mscol_cli.similar.workflow:SimilarResult"],
    "store export": ["mscol_cli.store.export:ExportResult"],
    "store info": ["mscol_cli.store.contents:StoreInfo"],
    "store ls": ["[]mscol_cli.store.contents:TrackInfo"],
    "store manifest": ["[]mscol_cli.store.contents:ManifestLine"],
    "store verify": ["mscol_cli.store.verify:VerifyResult"],
    "tag": ["mscol_cli.tag.workflow:TagResult"],
    "vectors export": ["mscol_cli.vectors.contents:ExportResult"],
    "vectors info": ["mscol_cli.vectors.contents:VectorsInfo"],
    "vectors ls": ["[]mscol_cli.vectors:VectorEntry"],
    "vectors verify": ["mscol_cli.vectors.verify:VerifyResult"],
}
"""Results of each command; `[]` stands for a list, whose document has `items`. What is not a class
of a result is a function of this module."""


def schema() -> Schema:
    """The schema of every document, by command."""
    definitions: Schema = {}
    documents = {
        command: _any([_result(command, name, definitions) for name in names])
        for command, names in RESULTS.items()
    }
    documents[ERROR] = _stamped(ERROR, error())
    references = [{"$ref": f"#/$defs/{command}"} for command in documents]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Documents that mscol prints with --json",
        "anyOf": references,
        "$defs": {**documents, **dict(sorted(definitions.items()))},
    }


def text() -> str:
    """Content of the file."""
    return json.dumps(schema(), indent=1) + "\n"


def error() -> Schema:
    """A command that failed before it had a result."""
    return _object({"exit_code": _plain(int), "message": _plain(str), FAILURES: _failures()})


def titles() -> Schema:
    """Names and titles."""
    return _items(_object({name: _plain(str) for name in TITLES}))


def collections() -> Schema:
    """Everything that can be downloaded."""
    return _items(_object({**{name: _plain(str) for name in COLLECTION}, "size": _plain(int)}))


def configurations() -> Schema:
    """Configurations of `--dry-run`, as in a recipe."""
    return _object({"configurations": _list({"type": "object"})})


def registry() -> Schema:
    """Plugins, models and what failed to load."""
    failed = _object({name: _plain(str) for name in ("plugin", "reason")})
    models = _list(_object({"name": _plain(str), "summary": _plain(str)}))
    return _object(
        {
            "plugins": _list(_part()),
            "models": models,
            "failed": _list(failed),
            "clashes": _list(_plain(str)),
        }
    )


def parts() -> Schema:
    """Parts of one name."""
    return _items(_part())


def joint_table() -> Schema:
    """Scores of several probes, and the differences of models."""
    names = ("columns", "rows", "published", "comparisons", "notes")
    return _object({**{name: _list({"type": "object"}) for name in names}, FAILURES: _failures()})


def _part() -> Schema:
    text = {name: _plain(str) for name in ("kind", "name", "summary", "reference", "owner")}
    options = _list(_object({"name": _plain(str), "default": {}}))
    version = {"type": ["string", "null"]}
    both = {"options": options, "augmentation_options": options}
    return _object({**text, "version": version, **both})


def _result(command: str, name: str, definitions: Schema) -> Schema:
    module, _, attribute = name.removeprefix("[]").partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, type):
        return _stamped(command, found())
    content = _class(found, definitions)
    return _stamped(command, _items(content) if name.startswith("[]") else content)


def _class(kind: Any, definitions: Schema) -> Schema:
    """The object of a dataclass."""
    custom = CUSTOM.get(kind.__name__)
    if custom is not None:
        return custom(kind, definitions)
    return _object(_fields(kind, definitions))


def _fields(kind: Any, definitions: Schema) -> Schema:
    hints = get_type_hints(kind)
    return {
        item.name: _failures()
        if item.name == FAILURES and "tuple" in str(hints[item.name])
        else _value(hints[item.name], definitions)
        for item in fields(kind)
    }


def _value(kind: Any, definitions: Schema) -> Schema:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return {}
    if kind in PLAIN:
        return _plain(kind)
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (Union, types.UnionType):
        return _any([_value(one, definitions) for one in inner])
    if origin in (Mapping, dict):
        return {"type": "object", "additionalProperties": _value(inner[1], definitions)}
    if origin is tuple and inner[-1] is not Ellipsis:
        return _list(_any([_value(one, definitions) for one in dict.fromkeys(inner)]))
    if origin in (Sequence, list, tuple):
        return _list(_value(inner[0], definitions))
    if not (isinstance(kind, type) and is_dataclass(kind)):
        raise TypeError(f"{kind} has no schema")
    room = kind.__module__.split(".")[1]
    name = f"{room}.{kind.__name__}"
    if name not in definitions:
        definitions[name] = {}  # a class may contain itself
        definitions[name] = _class(kind, definitions)
    return {"$ref": f"#/$defs/{name}"}


def _tag(_kind: Any, _definitions: Schema) -> Schema:
    return _object({"class": _plain(str), "score": _plain(float), "assigned": _plain(bool)})


def _tagged_file(kind: Any, definitions: Schema) -> Schema:
    content = _object(_fields(kind, definitions))
    content["required"].remove("windows")
    return content


def _class_score(_kind: Any, _definitions: Schema) -> Schema:
    content = _object({"name": _plain(str), "support": _plain(int)})
    return {**content, "additionalProperties": {"type": ["number", "null"]}}


def _probe_result(kind: Any, definitions: Schema) -> Schema:
    names = ("json_path", "markdown_path", "scores_path", "picture_path", "sources_path")
    content = _fields(kind, definitions) | {name: {"type": ["string", "null"]} for name in names}
    del content["folder"]
    return _object(content)


CUSTOM: Mapping[str, Callable[[Any, Schema], Schema]] = {
    "ClassScore": _class_score,
    "ProbeResult": _probe_result,
    "Tag": _tag,
    "TaggedFile": _tagged_file,
}
"""Classes with a representation of their own."""


def _stamped(command: str, content: Schema) -> Schema:
    """The schema of a document: its content after the name of the schema."""
    stamp = {"schema": {"const": f"{command}/{VERSION}"}}
    return {
        **content,
        "properties": {**stamp, **content["properties"]},
        "required": ["schema", *content["required"]],
    }


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _items(item: Schema) -> Schema:
    return _object({"items": _list(item)})


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _failures() -> Schema:
    return _list(_object({"input": _plain(str), "reason": _plain(str)}))


def _plain(kind: Any) -> Schema:
    return {"type": PLAIN[kind]}


def _any(schemas: Sequence[Schema]) -> Schema:
    if len(schemas) == 1:
        return schemas[0]
    if all(set(one) == {"type"} for one in schemas):
        return {"type": [one["type"] for one in schemas]}
    return {"anyOf": list(schemas)}
