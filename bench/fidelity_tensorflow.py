"""Numerical agreement with TensorFlow: log-mel, encoder, head and similarity of a checkpoint.

The two commands may run in separate environments:

    pip install tensorflow tf_keras numpy       # tf_keras for TensorFlow 2.16 and later
    python bench/fidelity_tensorflow.py reference fidelity/

    python bench/fidelity_tensorflow.py compare fidelity/       # with mscol installed

`reference` builds the EfficientNet-B0 of Keras, the projection head and the bilinear similarity of
the MSA paper (arXiv 2302.07077) with random weights. It saves a checkpoint in the published layout,
and the outputs of the network for a synthetic clip. `compare` imports the checkpoint, computes the
same outputs, and prints the maximum differences; it exits with 1 if one exceeds a thousandth of the
maximum value.
"""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SAMPLE_RATE, SECONDS = 16_000, 8
FRAMES, BANDS, PROJECTION = 98, 64, 512
ARRAYS = "reference.npz"
CHECKPOINT = "checkpoint"
TOLERANCE = 1e-3
"""Relative to the maximum absolute value."""


def synthetic_clip(seed: int) -> Array:
    """Decaying notes, noise and a second of silence, (samples,) at 16 kHz."""
    rng = np.random.default_rng(seed)
    time = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    notes = []
    for _ in range(2 * SECONDS):
        tones = [np.sin(2 * np.pi * hertz * time) for hertz in rng.uniform(60, 7000, 4)]
        notes.append(np.sum(tones, axis=0) * np.exp(-4 * time) * rng.uniform(0.01, 1))
    clip = np.concatenate(notes) + 0.002 * rng.standard_normal(SAMPLE_RATE * SECONDS)
    clip[3 * SAMPLE_RATE : 4 * SAMPLE_RATE] = 0
    return clip.astype(np.float32)


def _windows(log_mel: Array) -> Array:
    """Reshape a log-mel, (frames, 64), to the input of the network, (windows, 98, 64, 1)."""
    return log_mel[: len(log_mel) // FRAMES * FRAMES].reshape(-1, FRAMES, BANDS, 1)


# --- with TensorFlow -----------------------------------------------------------------------------


def write_reference(folder: Path, seed: int) -> None:
    """Save a checkpoint and the outputs of TensorFlow in `folder`."""
    import tensorflow as tf

    keras = _keras_2(tf)
    keras.utils.set_random_seed(seed)
    network, embedding_model = _build_models(keras)
    others = [_log_mel(tf, synthetic_clip(seed + number))[1] for number in range(1, 9)]
    _randomise(network, np.concatenate([_windows(each) for each in others]), seed)
    similarity = _similarity_layer(keras)
    folder.mkdir(parents=True, exist_ok=True)
    _save(tf, keras, embedding_model, similarity, folder / CHECKPOINT)

    waveform = synthetic_clip(seed)
    matrix, log_mel = _log_mel(tf, waveform)
    windows = _windows(log_mel)
    projected = embedding_model(windows, training=False).numpy()
    half = len(projected) // 2
    bilinear = similarity.bilinear_product_weight
    logits = tf.matmul(tf.matmul(projected[:half], bilinear), projected[half:], transpose_b=True)
    np.savez(
        folder / ARRAYS,
        waveform=waveform,
        mel_matrix=matrix,
        log_mel=log_mel,
        encoder_output=network(windows, training=False).numpy(),
        projected=projected,
        logits=logits.numpy(),
        versions=f"tensorflow {tf.__version__}, keras {_version(keras)}",
    )
    print(f"{folder}: checkpoint and {ARRAYS}, tensorflow {tf.__version__}")


def _keras_2(tf: Any) -> Any:
    """Keras 2, which writes checkpoints in the published layout; Keras 3 does not."""
    try:
        import tf_keras as keras
    except ImportError:
        keras = tf.keras
    if not _version(keras).startswith("2."):
        sys.exit(f"Keras {_version(keras)} writes another layout: pip install tf_keras")
    return keras


def _version(keras: Any) -> str:
    # Some releases of TensorFlow do not state the version of their Keras 2.
    return str(getattr(keras, "__version__", "2.x"))


def _build_models(keras: Any) -> tuple[Any, Any]:
    """EfficientNet-B0 with one input channel, without and with its projection head."""
    network = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(None, BANDS, 1), pooling="max"
    )
    head = [
        keras.layers.Dense(PROJECTION),
        keras.layers.LayerNormalization(),
        keras.layers.Activation("tanh"),
    ]
    return network, keras.Sequential([keras.Input((None, BANDS, 1)), network, *head])


def _randomise(network: Any, windows: Array, seed: int) -> None:
    """Set random scales and shifts, and running statistics close to those of log-mel windows.

    Distant statistics would amplify activations, and rounding errors with them.
    """
    rng = np.random.default_rng(seed)
    norms = [layer for layer in network.layers if type(layer).__name__ == "BatchNormalization"]
    for norm in norms:
        gamma, beta, mean, variance = (weight.numpy() for weight in norm.weights)
        gamma, beta = rng.uniform(0.8, 1.2, gamma.shape), rng.normal(0, 0.2, beta.shape)
        norm.set_weights([gamma, beta, mean, variance])
        norm.momentum = 0.0
    # A pass with momentum 0 sets the statistics to those of its batch.
    network(windows, training=True)
    for norm in norms:
        gamma, beta, mean, variance = (weight.numpy() for weight in norm.weights)
        mean = mean + rng.normal(0, 0.1, mean.shape) * np.sqrt(variance)
        variance = variance * rng.uniform(0.8, 1.25, variance.shape)
        norm.set_weights([gamma, beta, mean, variance])


def _similarity_layer(keras: Any) -> Any:
    class BilinearProduct(keras.layers.Layer):  # type: ignore[misc]
        def build(self, input_shape: Any) -> None:
            self.bilinear_product_weight = self.add_weight(
                name="bilinear_product_weight",
                shape=(PROJECTION, PROJECTION),
                initializer="random_normal",
            )

    layer = BilinearProduct()
    layer.build(None)
    return layer


def _save(tf: Any, keras: Any, embedding_model: Any, similarity: Any, prefix: Path) -> None:
    """Save a checkpoint in the published layout, with an optimiser, its slots and its counter."""

    class ContrastiveModel(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.embedding_model = embedding_model
            self._similarity_layer = similarity

    model = ContrastiveModel()
    model.compile(optimizer=getattr(keras.optimizers, "legacy", keras.optimizers).Adam())
    variables = model.trainable_variables
    # Zero gradients create the slots and increment the counter without changing weights.
    model.optimizer.apply_gradients([(tf.zeros_like(each), each) for each in variables])
    tf.train.Checkpoint(model).save(str(prefix))


def _log_mel(tf: Any, waveform: Array) -> tuple[Array, Array]:
    """Mel matrix, (513, 64), and log-mel, (frames, 64), of a clip scaled to L2 norm 1."""
    scaled = waveform / (np.sqrt(np.sum(np.square(waveform, dtype=np.float64))) + 1e-9)
    spectrum = tf.signal.stft(scaled.astype(np.float32), 400, 160, 1024, pad_end=False)
    matrix = tf.signal.linear_to_mel_weight_matrix(BANDS, 513, SAMPLE_RATE, 60.0, 7800.0)
    mel = tf.tensordot(tf.abs(spectrum), matrix, 1)
    return matrix.numpy(), tf.math.log(tf.clip_by_value(mel, 1e-5, 1e8)).numpy()


# --- with mscol ----------------------------------------------------------------------------------


def compare(folder: Path) -> int:
    """Import the checkpoint and print differences; returns 1 if one exceeds the tolerance."""
    import torch

    if not (folder / ARRAYS).is_file():
        sys.exit(f"{folder} lacks {ARRAYS}: run '{sys.argv[0]} reference {folder}'")
    with np.load(folder / ARRAYS, allow_pickle=False) as file:
        reference = dict(file)
    print(f"reference: {reference.pop('versions')}")
    print(f"mscol: torch {torch.__version__}, Python {platform.python_version()}\n")
    with TemporaryDirectory() as temporary:
        computed = _compute(folder, Path(temporary) / "model", reference)
    print(f"{'':24}{'shape':>16}{'largest':>12}{'difference':>12}{'relative':>12}")
    worst = max(_report(name, reference, values) for name, values in computed.items())
    return int(worst > TOLERANCE)


def _compute(folder: Path, output: Path, reference: dict[str, Array]) -> dict[str, Array]:
    """Outputs of mscol: of each part for the input of TensorFlow, and `whole:` for the clip."""
    import torch
    from safetensors.torch import load_file

    from mscol_cli.contracts.progress import Silent
    from mscol_cli.engine.embedding import at_level, embed_clip
    from mscol_cli.engine.models import build_objective, load_model
    from mscol_cli.host import find_objective, load_registry
    from mscol_cli.importing.request import ImportRequest
    from mscol_cli.importing.workflow import run

    result = run(ImportRequest(folder, output), Silent())
    print(f"imported in {result.seconds:.2f} s: {result.mapped} variables, step {result.step}")
    registry = load_registry()
    encoder = load_model(output, registry, torch.device("cpu")).encoder
    parts = find_objective(registry, result.objective)
    objective: Any = build_objective(parts, encoder, seed=0)
    objective.load_state_dict(load_file(output / "objective.safetensors"))

    windows = torch.from_numpy(_windows(reference["log_mel"])[..., 0])
    projected = torch.from_numpy(reference["projected"])
    half = len(projected) // 2
    with torch.inference_mode():
        whole = torch.from_numpy(embed_clip(encoder, reference["waveform"]).windows)
        leveled = torch.from_numpy(at_level(reference["waveform"], encoder.level))
        values = {
            "mel_matrix": encoder.get_buffer("log_mel.mel"),
            "log_mel": encoder.frontend(leveled[None])[0],
            "encoder_output": encoder(windows),
            "projected": objective.head(torch.from_numpy(reference["encoder_output"])),
            "logits": objective.similarity(projected[:half], projected[half:]),
            "whole: encoder_output": whole,
            "whole: projected": objective.head(whole),
        }
    return {name: tensor.numpy() for name, tensor in values.items()}


def _report(name: str, reference: dict[str, Array], values: Array) -> float:
    """Print one line; returns the maximum difference relative to the maximum value."""
    expected = reference[name.removeprefix("whole: ")]
    difference = float(np.abs(values - expected).max())
    largest = float(np.abs(expected).max())
    shape = " x ".join(map(str, expected.shape))
    relative = difference / largest
    print(f"{name:24}{shape:>16}{largest:12.4g}{difference:12.2e}{relative:12.2e}")
    return relative


def main() -> int:
    """Run a command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    reference = commands.add_parser("reference", help="write the outputs of TensorFlow")
    reference.add_argument("--seed", type=int, default=0, help="seed of weights and clip")
    for command in (reference, commands.add_parser("compare", help="compare mscol with them")):
        command.add_argument("folder", type=Path, help="folder of the reference")
    arguments = parser.parse_args()
    if arguments.command == "compare":
        return compare(arguments.folder)
    write_reference(arguments.folder, arguments.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
