"""Plugins that break their contract or raise: one line that names them, and nothing is written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mscol_cli.contracts.progress import Silent
from mscol_cli.contracts.task import StemRetrieval, TaskData
from mscol_cli.errors import PluginError
from mscol_cli.host import Entry, load_registry
from mscol_cli.host.checks.task import validate_task, validate_task_data
from mscol_cli.separate.request import SeparateRequest
from mscol_cli.separate.separator import build_separator
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.messages import mentions
from tests.helpers.plugins import WHOLE, install_plugin

Refused = Callable[..., tuple[int, str]]

PRETRAIN = ["--encoder", "small", "--batch-size", 4, "--steps", 1, "--device", "cpu", "-o", "run"]
NAN = "Pretext.loss = lambda s, e, l: (e['anchor'].mean() * float('nan'), {})"
SHIFTED = """
def plan(self, index, rng, batch_size):
    zero = np.zeros(batch_size + {rows}, np.int64)
    crops = Crops(zero + {track}, zero + {source}, zero + {start}, {gains})
    return CropPlan({{"anchor": crops}}, {{"mask": np.zeros(batch_size + {labels})}})
Pretext.plan = plan
"""
RAISING = """
def fail(*_):
    raise {1}("this row is bad")
{0} = fail
"""
HOLDING = """
def init(self):
    Objective.__init__(self)
    {}
Pretext.__init__ = init
"""
UNSEEDED = """
plan = Pretext.plan
def unseeded(self, *arguments):
    noise = np.random.default_rng().random(arguments[-1])
    return CropPlan(plan(self, *arguments).views, {"noise": noise})
Pretext.plan = unseeded
"""
LATER = """
calls = 0
def later(method, number, fail):
    def call(self, *arguments):
        global calls
        calls += 1
        return fail() if calls == number else method(self, *arguments)
    return call
"""


def shifted(**changes: object) -> str:
    return SHIFTED.format(
        **{
            **dict.fromkeys(("rows", "track", "source", "start", "labels"), 0),
            "gains": None,
            **changes,
        }
    )


def read(sources: str, left_out: str, weights: str, encoder: str = "'small'") -> str:
    return (
        f"Reader.read = lambda s, p: ImportedModel(ImportedPart({encoder}, {{}}, {weights}),"
        f" ImportedPart('cola', {{}}, {{}}), 0, {sources}, 0, {left_out})"
    )


@pytest.fixture
def refused(
    mscol: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Refused:
    """Run a command with a plugin that was broken; returns exit code and last line of stderr."""

    def run(change: str, *arguments: object) -> tuple[int, str]:
        install_plugin("mine", WHOLE + change, tmp_path / "site", monkeypatch)
        assert load_registry().failures == []
        code = mscol(*arguments)
        return code, capsys.readouterr().err.splitlines()[-1]

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("Pretext.plan = lambda *_: None", "plan returned NoneType"),
        ("Pretext.plan = lambda *_: CropPlan({})", "plan returned no view"),
        (shifted(start=10**6), "row 0 of view 'anchor' of plan starts at sample 1000000 of track"),
        (shifted(start=-1), "it must start between 0 and"),
        (shifted(track=-1), "track in view 'anchor' of plan has -1, and the store has tracks 0 to"),
        (shifted(source=9), "source in view 'anchor' of plan has 9"),
        (shifted(rows=1), "track in view 'anchor' of plan has shape (5,), not (4,)"),
        (shifted(start=0.5), "start in view 'anchor' of plan is of type float64, not integers"),
        (shifted(gains="np.ones((4, 9))"), "gains in view 'anchor' of plan has shape (4, 9), not"),
        (
            shifted(gains="np.ones((batch_size, len(index.sources)))"),
            "gains in view 'anchor' of plan mixes 'mixture' with other sources",
        ),
        (
            shifted(gains="np.full((batch_size, len(index.sources)), np.nan)"),
            "gains in view 'anchor' of plan has a value that is not finite",
        ),
        (shifted(labels=1), "label 'mask' of plan has shape (5,), not (4, ...)"),
        (NAN, "loss is nan at the first update, not a finite number"),
        ("Pretext.loss = lambda s, e, l: (e['anchor'].mean(1), {})", "is a tensor of 4 numbers"),
        ("Pretext.loss = lambda s, e, l: (0.5, {})", "loss is 0.5"),
        (
            "Pretext.loss = lambda s, e, l: e['anchor'].mean()",
            "loss returned tensor of shape (), not (loss, metrics): return loss, {}",
        ),
        (
            "weight = torch.ones((), requires_grad=True)\n"
            "Pretext.loss = lambda s, e, l: (weight * e['anchor'].detach().mean(), {})",
            "loss has no gradient: it does not depend on the embeddings",
        ),
        ("Pretext.plan = lambda *_: CropPlan([1])", "views of plan have type list, not a mapping"),
        (
            "plan = Pretext.plan\n"
            "Pretext.plan = lambda *arguments: CropPlan(plan(*arguments).views, None)",
            "labels of plan have type NoneType",
        ),
        (UNSEEDED, "plan returned other crops or labels for the same rng"),
        (HOLDING.format("self.head = torch.nn.LazyLinear(4)"), "'head.weight' without a shape"),
        (
            HOLDING.format("self.register_buffer('w', torch.ones(1).expand(4))"),
            "elements of its 'w' share memory",
        ),
        ("Pretext.loss = lambda s, e, l: (torch.zeros(()), {})", "loss has no gradient"),
        ("Pretext.loss = lambda s, e, l: (e['anchor'].mean(), [1])", "metrics have type list"),
        ("Pretext.project = lambda s, e: {'x': e['anchor'][:1]}", "project returned 'x' of shape"),
        ("Pretext.augment_waveforms = lambda s, v, l: None", "augment_waveforms returned NoneType"),
        (
            "Pretext.augment_features = lambda s, v, l: {n: x.double() for n, x in v.items()}",
            "augment_features returned 'anchor' as torch.float64, not torch.float32",
        ),
        ("Pretext.get_extra_state = lambda s: {}", "its state has '_extra_state' of type dict"),
        ("Pretext.check = lambda s, i, b: 'fine'", "check returned 'fine'"),
        (RAISING.format("Pretext.check", "UsageError"), "this row is bad"),
        ("Pretext = lambda: None", "build returned NoneType, not a subclass of Objective"),
    ],
)
def test_an_objective_is_checked_before_there_is_a_run(
    refused: Refused, store: Path, change: str, message: str
) -> None:
    code, line = refused(change, "pretrain", store, "--objective", "pretext", *PRETRAIN)
    assert line.startswith("error: objective 'pretext' (mine 1): ")
    assert message in line
    assert code == 2
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("Pretext.plan = lambda *_: 1 / 0", "plan of 4 rows: ZeroDivisionError"),
        (
            "Pretext.augment_features = lambda s, v, l: {'other': v['anchor']}",
            "loss of random embeddings: KeyError: 'anchor'",
        ),
        (
            "Pretext.loss = lambda *_: sys.exit(0)",
            "sys.exit(0)",
        ),
        (RAISING.format("Pretext.loss", "BadInputError"), "embeddings: BadInputError: this row"),
        (RAISING.format("Pretext.plan", "MissingDataError"), "4 rows: MissingDataError: this row"),
        (
            "Pretext = type('Bare', (Objective,), {})",
            "build: TypeError: Can't instantiate abstract",
        ),
    ],
)
def test_an_exception_of_an_objective_names_it(
    refused: Refused, store: Path, change: str, message: str
) -> None:
    code, line = refused(change, "pretrain", store, "--objective", "pretext", *PRETRAIN)
    assert mentions(line, "error: objective 'pretext' (mine 1): ", message)
    assert code == 1
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ("Pretext.loss = later(Pretext.loss, 3, lambda: 1 / 0)", 1, "step 2: ZeroDivisionError"),
        # Threads plan ahead, so the sixth plan may be that of the third step.
        ("Pretext.plan = later(Pretext.plan, 6, lambda: 1 / 0)", 1, "step [23]: ZeroDivision"),
        ("Pretext.plan = later(Pretext.plan, 6, lambda: None)", 2, "plan returned NoneType"),
        (
            "features = lambda: {'anchor': torch.zeros(3, 8)}\n"
            "Pretext.augment_features = later(Pretext.augment_features, 3, features)",
            2,
            r"augment_features returned 'anchor' of shape \(3, 8\), not \(4, ...\)",
        ),
    ],
)
def test_every_step_is_guarded(
    refused: Refused, store: Path, change: str, code: int, message: str
) -> None:
    arguments = ["pretrain", store, "--objective", "pretext", *PRETRAIN, "--steps", 3]
    found, line = refused(LATER + change, *arguments)
    assert re.search(rf"objective 'pretext' \(mine 1\): {message}", line)
    assert found == code


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ("Net.dim = 9", 2, "forward returned shape (2, 8)"),
        ("del Net.dim", 2, "'dim'"),
        ("Net.sample_rate = '16k'", 2, "sample_rate is '16k'"),
        ("Net.level = 'loud'", 2, "level is 'loud'"),
        ("Net.frontend = lambda s, w: None", 2, "frontend returned NoneType"),
        ("Net.frontend = lambda s, w: w[0, :8]", 2, "frontend returned shape (8,)"),
        ("Net.forward = lambda s, f: f.double()", 2, "torch.float64"),
        ("Net.forward = lambda s, f: f / 0 - f / 0", 2, "not finite"),
        ("Net.forward = lambda s, f: 1 / 0", 1, "forward: ZeroDivisionError"),
        (f"{LATER}Net.forward = later(Net.forward, 3, lambda: 1 / 0)", 1, "a.wav: ZeroDivision"),
        ("Net.forward = lambda s, f: s.linear(f).squeeze()", 2, "shape (8,)"),
        ("Net.frontend = lambda s, w: (w - w.mean(0))[:, :8]", 2, "depends on the other rows"),
        ("Net.forward = lambda s, f: torch.dropout(s.linear(f), 0.5, True)", 2, "random in eval"),
        (RAISING.format("Net.frontend", "UsageError"), 1, "frontend: UsageError: this row is bad"),
    ],
)
def test_an_encoder_is_checked_before_it_embeds(
    refused: Refused, tmp_path: Path, change: str, code: int, message: str
) -> None:
    audio = write_audio(tmp_path / "a.wav", tones(1.2))
    found, line = refused(change, "embed", audio, "--model", "untrained", "--encoder", "net")
    assert line.startswith("error: encoder 'net' (mine 1): ")
    assert message in line
    assert found == code
    assert not Path("embeddings.npz").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("Net.forward = torch.no_grad()(Net.forward)", "forward gives no parameter a gradient"),
        (
            HOLDING.format("self.head = torch.nn.Linear(8, 8)")
            + "Pretext.project = lambda s, e: {n: s.head(x) for n, x in e.items()}\n"
            "Net.forward = torch.no_grad()(Net.forward)",
            "forward gives no parameter a gradient",
        ),
        (
            "Net.forward = lambda s, f: torch.cat([s.linear(f)] * (1 + s.training), 1)",
            "forward returned shape (8, 16), not (batch, dim), which is (8, 8)",
        ),
        ("Net.frontend = lambda s, w: w[:, :8] / (not s.training)", "frontend returned a value"),
        ("Net.forward = lambda s, f: s.linear(f) / (not s.training)", "forward returned a value"),
    ],
)
def test_an_encoder_is_checked_at_the_first_update(
    refused: Refused, store: Path, change: str, message: str
) -> None:
    arguments = ["pretrain", store, "--objective", "pretext", *PRETRAIN, "--encoder", "net"]
    code, line = refused(change, *arguments)
    assert line.startswith("error: encoder 'net' (mine 1): ")
    assert message in line
    assert code == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("Halves.sources = ('low', 'LOW')", "low, LOW"),
        ("Halves.sources = ('../low',)", "'../low'"),
        ("Halves.sources = ('mixture',)", "'mixture'"),
        ("Halves.sources = 'low'", "sources is 'low', not a tuple of names"),
        ("del Halves.sources", "it has no attribute 'sources'"),
        ("Halves.sample_rate = 0", "sample_rate is 0, not a whole number of at least 1"),
        ("Halves.chunking = Chunking(10, 5)", "overlap"),
        ("Halves.passport = {'licence': None}", "passport is {'licence': None}"),
        ("Halves.tracks = lambda s, f: None", "tracks returned NoneType"),
        ("Halves.tracks = lambda s, f: [TrackInput('x')]", "track 'x'"),
        ("Halves.separate = lambda s, a: None", "track 'a': separate returned NoneType"),
        ("Halves.separate = lambda s, a: a", "'low'"),
        ("Halves.separate_many = lambda s, b: []", "separate_many returned 0"),
        ("Halves.separate_many = lambda s, b: None", "separate_many returned NoneType, not a list"),
        ("Halves.sources = ('low',)", "separate returned 'high', which is not in sources: low"),
        (
            "Halves.separate = lambda s, a: {n: a[MIXTURE][:, 1:] for n in (MIXTURE, *s.sources)}",
            "'mixture' of shape (1, 31999)",
        ),
    ],
)
def test_a_separator_is_checked(
    refused: Refused, tmp_path: Path, change: str, message: str
) -> None:
    write_audio(tmp_path / "music" / "a.wav", tones(2))
    code, line = refused(change, "separate", "music", "--separator", "halves", "--device", "cpu")
    assert line.startswith("error: separator 'halves' (mine 1): ")
    assert message in line
    assert code == 2


@pytest.mark.parametrize("entry", load_registry().of_kind("separator"), ids=lambda e: e.card.name)
def test_every_separator_that_is_installed_keeps_the_contract(entry: Entry) -> None:
    request = SeparateRequest(inputs=(), separator=entry.card.name, device="cpu")
    separator, _ = build_separator(request, Silent(), plan_only=True)
    assert separator.sources or entry.card.name == "none"


def test_a_separator_with_a_network_needs_no_context_of_its_own(
    refused: Refused, tmp_path: Path
) -> None:
    write_audio(tmp_path / "music" / "a.wav", tones(1.5))
    change = (
        "weight = torch.nn.Parameter(torch.ones(()))\n"
        "Halves.separate = lambda s, audio: {name: audio[MIXTURE] * weight"
        " for name in (MIXTURE, 'low', 'high')}"
    )
    code, _ = refused(change, "separate", "music", "--separator", "halves", "--device", "cpu")
    assert code == 0


def test_a_track_that_a_separator_rejects_is_skipped(refused: Refused, tmp_path: Path) -> None:
    write_audio(tmp_path / "music" / "a.wav", tones(2))
    change = RAISING.format("Halves.separate", "BadInputError")
    code, line = refused(change, "separate", "music", "--separator", "halves", "--device", "cpu")
    assert mentions(line, "a: this row is bad")
    assert code == 1


def test_an_exception_of_a_separator_names_the_track(refused: Refused, tmp_path: Path) -> None:
    for number, name in enumerate(("a/x", "a/y", "b/z"), 2):
        write_audio(tmp_path / "music" / f"{name}.wav", tones(number))
    # All three make one batch.
    change = """
def fail(audio):
    return 1 / (audio[MIXTURE].shape[-1] != 48000)
separate = Halves.separate
Halves.separate = lambda self, audio: fail(audio) and separate(self, audio)
Halves.batch_samples = 10**9
"""
    code, line = refused(change, "separate", "music", "--separator", "halves", "--device", "cpu")
    message = "separator 'halves' (mine 1): track 'a/y': ZeroDivisionError"
    assert line.startswith(f"error: {message}")
    assert code == 1


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ("Clips.split = 'dev'", 2, "clip '0' has split 'dev'"),
        ("Clips.labels = (2,)", 2, "clip '0' has labels (2,)"),
        ("Clips.labels = (0.0,)", 2, "clip '0' has labels (0.0,)"),
        ("Clips.labels = (0, 1)", 2, "clip '0' has labels (0, 1)"),
        ("Clips.labels = [0]", 2, "labels [0], not a tuple of exactly one int from 0 to 1, such"),
        ("Clips.classes = ('a', 'a')", 2, "classes"),
        ("Clips.test_sets = {'hard': frozenset('9')}", 2, "test set 'hard'"),
        ("str = lambda row: 'same'", 2, "'same'"),
        ("Clips.load = lambda s, f: None", 2, "load returned NoneType"),
        ("Clips.load = lambda s, f: 1 / 0", 1, "music: ZeroDivisionError"),
        ("def load(s, f): raise MemoryError\nClips.load = load", 1, "music: MemoryError"),
        ("Clips.protocol = ProbeProtocol(metrics=('f2',))", 2, "requests metric 'f2': choose"),
        (
            "Clips.protocol = ProbeProtocol(multilabel=True, metrics=('roc_auc',))",
            2,
            "requests metric 'accuracy' for select, its default: choose",
        ),
        ("Clips.protocol = None", 2, "protocol is NoneType"),
        ("Clips.protocol = ProbeProtocol(metrics=())", 2, "metrics"),
        ("Clips.protocol = ProbeProtocol(hidden=-1)", 2, "its protocol: hidden must be at least 0"),
        ("Clips.protocol = ProbeProtocol(epochs='3')", 2, "epochs takes a whole number, not '3'"),
        ("Clips.protocol = ProbeProtocol(classifier='svm')", 2, "mlp, not 'svm'"),
        ("Clips.protocol = ProbeProtocol(multilabel='yes')", 2, "multilabel of its protocol is"),
    ],
)
def test_a_task_is_checked_before_it_is_probed(
    refused: Refused, tmp_path: Path, change: str, code: int, message: str
) -> None:
    (tmp_path / "music").mkdir()
    model = ["--model", "untrained", "--encoder", "small", "--data", "music"]
    found, line = refused(change, "probe", "clips", *model)
    assert line.startswith("error: task 'clips' (mine 1): ")
    assert message in line
    assert found == code
    assert not Path("probes").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"items": None}, "items are NoneType, not a list"),
        ({"items": iter(())}, "items are tuple_iterator, not a list"),
        ({"missing": "abc"}, "missing are str, not a list"),
        ({"notes": (3,)}, "notes have 3, which is not text"),
        ({"failures": ("a",)}, "failures have 'a', not a name and a reason"),
        ({"failures": (("a", 1),)}, "failures have ('a', 1), not a name and a reason"),
        ({"test_sets": None}, "test_sets are NoneType, not sets by name"),
        ({"test_sets": {"hard": "a"}}, "test set 'hard' is str, not a set by name"),
        ({"test_sets": {3: frozenset()}}, "test set 3 is frozenset, not a set by name"),
        ({"test_sets": {"a\n": frozenset()}}, "a test set is named 'a\\n'"),
    ],
)
def test_every_field_of_the_data_of_a_task_is_checked(fields: dict[str, Any], message: str) -> None:
    data = TaskData(**{"classes": ("a",), "items": (), **fields})
    with pytest.raises(PluginError, match=re.escape(f"task 'x': {message}")):
        validate_task_data(data, False, "task 'x'")


@pytest.mark.parametrize("name", ["query", "candidates", "similarity"])
def test_a_choice_of_stem_retrieval_that_there_is_not_is_refused(name: str) -> None:
    task = type("Odd", (StemRetrieval,), {name: "cosin"})()
    with pytest.raises(PluginError, match=f"{name} is 'cosin', not"):
        validate_task(task)


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ("Reader.read = lambda s, p: None", 2, "read returned NoneType"),
        ("Reader.read = lambda s, p: 1 / 0", 1, "x.foreign: ZeroDivisionError"),
        ("ImportedPart = lambda *_: 'small'", 2, "encoder is 'small'"),
        (read("Path('x')", "{}", "{}"), 2, "sources are PosixPath('x'), not a list of files"),
        (read("[p]", "3", "{}"), 2, "left_out is 3, not counts by kind"),
        (read("[p]", "{}", "torch.zeros(1)"), 2, "weights of its encoder are not tensors by name"),
        (
            read("[p]", "{}", "{'linear.bias': torch.zeros(1)}", "'net'"),
            1,
            "linear.bias of net has",
        ),
    ],
)
def test_an_importer_is_checked_before_a_model_is_written(
    refused: Refused, tmp_path: Path, change: str, code: int, message: str
) -> None:
    (tmp_path / "x.foreign").write_bytes(b"x")
    found, line = refused(change, "import", "x.foreign", "-o", "model")
    assert line.startswith("error: importer 'reader' (mine 1): ")
    assert message in line
    assert found == code
    assert not Path("model").exists()


def test_an_importer_that_cannot_look_costs_only_itself(
    refused: Refused, capsys: pytest.CaptureFixture[str], mscol: Command
) -> None:
    code, line = refused("Reader.claims = lambda s, p: 1 / 0", "import", "x", "-o", "model")
    assert code == 4
    assert line.startswith("error: x ")
    assert mscol("import", "x", "-o", "model") == 4
    warning = "warning: importer 'reader' (mine 1): x: ZeroDivisionError: division by zero"
    assert warning in capsys.readouterr().err


def test_verbose_shows_where_a_plugin_failed(
    refused: Refused, mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio = write_audio(tmp_path / "a.wav", tones(1.2))
    embed = ["embed", audio, "--model", "untrained", "--encoder", "net"]
    code, line = refused("Net.forward = lambda self, features: 1 / 0", *embed)
    assert "--verbose" in line
    assert mscol("--verbose", *embed) == code == 1
    assert "Net.forward = lambda self, features: 1 / 0" in capsys.readouterr().err


def test_what_parts_print_leaves_json_on_stdout_alone(
    mscol: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change = """
separate = Halves.separate
Halves.separate = lambda self, audio: print("hm") or separate(self, audio)
"""
    install_plugin("mine", WHOLE + change, tmp_path / "site", monkeypatch)
    write_audio(tmp_path / "music" / "a.wav", tones(2))
    capsys.readouterr()
    assert mscol("separate", "music", "--separator", "halves", "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["tracks"] == 1
    assert "hm" in captured.err
