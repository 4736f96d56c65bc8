"""Options of several commands, and all options of a training run, each declared once.

The declaration determines the command-line option, the key in recipes and studies, the entry in
run.json, and whether a resumed run may change the option.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from mscol_cli.contracts.options import Option, option, options_of, parameter

Role = Literal["result", "length", "saving", "where"]
"""Role of an option:

* `result`: determines what is learned. Recipes set it; a resumed run cannot change it.
* `length`: length of training. Recipes set it; a resumed run may change it.
* `saving`: what is written when. A resumed run may change it; recipes set it only with `recipe`.
* `where`: where and how to compute. It depends on the machine, so recipes do not set it.
"""


def setting(
    default: Any,
    help: str,
    role: Role,
    *,
    key: str = "",
    recipe: bool | None = None,
    flag: bool = True,
    metavar: str = "",
    minimum: float | None = None,
    choices: tuple[str, ...] | None = None,
    later: bool = False,
) -> Any:
    """Declare one option of a run, as a dataclass field.

    Args:
        default: Value if neither the command line nor a recipe sets one.
        help: One sentence for `mscol pretrain --help`.
        role: Role of the option.
        key: Name in recipes and on the command line; empty for the name of the field.
        recipe: Whether recipes set it; None follows the role.
        flag: Whether it is an option of the command line.
        metavar: Placeholder of the value in the help; empty for the default of the type.
        minimum: Smallest value allowed, inclusive.
        choices: The only values allowed.
        later: Whether there are runs without it, which were trained as by its default.
    """
    declared = option(default, help, minimum=minimum, choices=choices)
    recipe = role in ("result", "length") if recipe is None else recipe
    extra = {"role": role, "key": key, "recipe": recipe, "flag": flag, "metavar": metavar}
    return field(default=default, metadata={**declared.metadata, **extra, "later": later})


@dataclass(frozen=True)
class PartsSettings:
    """Objective, encoder and training clips."""

    objective: str = setting(
        "",
        "Objective: msa, cola, mws, random-mask, clmr, multi-positive, submixtures, remix or that"
        " of a plugin. msa+mws trains msa on crops augmented as in mws.",
        "result",
    )
    encoder: str = setting("efficientnet_b0", "Encoder.", "result")
    init: str = setting(
        "",
        "Start from the encoder weights of a model (as for --model), or from timm's pre-trained"
        " weights. Without --encoder, the encoder is that of the model.",
        "result",
        metavar="MODEL|timm",
    )
    train_split: str = setting(
        "all",
        "Train on the training clips of this probe task only (data in data/TASK, or TASK=DIR), so"
        " that no test clip is used, or on all tracks.",
        "result",
        metavar="TASK|all",
    )


@dataclass(frozen=True)
class TrainingSettings:
    """Length, batch size, learning rate, saving and device."""

    steps: int = setting(
        10_000, "Number of training steps; 0 saves the untrained encoder.", "length", minimum=0
    )
    batch_size: int = setting(128, "Pairs per step, over all processes.", "result")
    learning_rate: float = setting(1e-3, "Learning rate.", "result", key="lr")
    schedule: str = setting(
        "halved",
        "Learning rate schedule: halved (at half of the steps), cosine (falling to 0) or constant.",
        "result",
        choices=("halved", "cosine", "constant"),
    )
    warmup: int = setting(
        0,
        "Steps at the start over which the learning rate rises linearly.",
        "result",
        minimum=0,
        later=True,
    )
    weight_decay: float = setting(
        0.0,
        "Decoupled weight decay (AdamW) of all weights but biases and those of normalisations.",
        "result",
        minimum=0.0,
        later=True,
    )
    seed: int = setting(0, "Random seed for weights and crops.", "result", minimum=0)
    save_every: int = setting(1_000, "Steps between checkpoints.", "saving", recipe=True, minimum=1)
    log_every: int = setting(
        10, "Steps between lines of metrics.jsonl.", "saving", flag=False, minimum=1
    )
    keep_last: int = setting(
        2,
        "Number of latest checkpoints to keep, in addition to the best.",
        "saving",
        recipe=True,
        minimum=1,
    )
    processes: int = setting(
        1, "Number of processes that share a batch.", "where", flag=False, minimum=1
    )
    device: str = setting("auto", "Device: auto, cpu, cuda or cuda:N.", "where")
    store_on: str = setting(
        "auto",
        "Keep the store in the memory of the device, or read it from the host. auto: on a GPU if it"
        " fits.",
        "where",
        choices=("auto", "device", "host"),
    )
    precision: str = setting(
        "auto",
        "Precision of the encoder. auto: bf16 on a GPU that supports it, if the step agrees with"
        " fp32; otherwise fp32.",
        "where",
        choices=("auto", "fp32", "bf16"),
    )
    compile: str = setting(
        "auto",
        "Compile the encoder. auto: on for a single GPU, if the compiled step agrees with float32.",
        "where",
        choices=("auto", "on", "off"),
    )


class PretrainOptions(TypedDict, total=False):
    """The same options as arguments of `mscol.pretrain`, written out for type checkers and editors.

    docs/commands/pretrain.md describes them and has the defaults. An option that is left out takes
    the recipe's value, then the default.
    """

    objective: str
    encoder: str
    init: str
    train_split: str
    steps: int
    batch_size: int
    learning_rate: float
    schedule: str
    warmup: int
    weight_decay: float
    seed: int
    save_every: int
    keep_last: int
    device: str
    store_on: str
    precision: str
    compile: str


def device_option() -> Any:
    """The device of a command that is not part of a recipe."""
    return parameter("auto", "auto (a GPU if there is one), cpu, cuda or cuda:N.", "NAME")


def plugin_options() -> Any:
    """`KEY=VALUE` for the plugin of a command."""
    about = "Option of the plugin; repeat for more. See 'mscol plugins show NAME'."
    return parameter((), about, "KEY=VALUE", key="opt")


def recipe_option() -> Any:
    """The recipe of a command."""
    about = "Name (see 'mscol recipes') or file of a recipe; other options override it."
    return parameter(None, about, "NAME|FILE")


def source_option() -> Any:
    """The source to take from stores."""
    return parameter("mixture", "Source to take from the stores, such as drums.", "NAME")


def untrained_encoder() -> Any:
    """The encoder of a model without a run."""
    about = "Encoder for '--model untrained'. [default: that of the default model]"
    return parameter(None, about, "NAME")


PRETRAIN = (*options_of(PartsSettings), *options_of(TrainingSettings))
"""All options of a run."""
IN_RECIPES: dict[str, list[Option]] = {
    "separate": [Option("separator", str), Option("model", str)],
    "pretrain": [item for item in PRETRAIN if item.metadata["recipe"]],
    "probe": [Option("seeds", int)],
}
"""Options that recipes set, by command."""


def named(*roles: Role) -> list[str]:
    """Names of the options of a run with one of these roles."""
    return [item.name for item in PRETRAIN if item.metadata["role"] in roles]
