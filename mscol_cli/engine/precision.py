"""In which number format the encoder computes; all else stays in float32."""

from __future__ import annotations

import torch

PRECISIONS = ("auto", "fp32", "bf16")


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """The format of the encoder's activations; weights and statistics are float32 in any case.

    Args:
        name: `auto` is `bf16` on a GPU that has it, and `fp32` elsewhere.
        device: Where the encoder is.
    """
    if name == "auto":
        has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(False)
        return torch.bfloat16 if has_bf16 else torch.float32
    return torch.bfloat16 if name == "bf16" else torch.float32


def forbid_tf32() -> None:
    """Let float32 be float32 on a GPU: torch rounds the inputs of convolutions to 10 bits there.

    Who wants speed has bf16; front end, similarity and loss are too small a share to gain from it.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
