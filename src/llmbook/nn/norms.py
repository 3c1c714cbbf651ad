"""Keeping the residual stream at a steady size."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from llmbook.config import TransformerConfig


class RMSNorm(nn.Module):
    """Divide by the root mean square, then scale: x / √(mean(x²) + ε) · g.

    Source: Zhang and Sennrich 2019, eq. 4. Taught in chapter 8.
    """

    def __init__(self, d_model: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.eps = eps

    def forward(self, x: Float[Tensor, "... C"]) -> Float[Tensor, "... C"]:
        """Normalise the last axis, in float32 or better whatever the input's format."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        scale = self.weight.to(wide.dtype)
        return nn.functional.rms_norm(wide, scale.shape, scale, self.eps).to(x.dtype)


def make_norm(config: TransformerConfig) -> nn.Module:
    """The norm that the configuration names."""
    if config.norm == "layernorm":
        return nn.LayerNorm(config.d_model, eps=config.norm_eps, bias=config.bias)
    return RMSNorm(config.d_model, config.norm_eps)
