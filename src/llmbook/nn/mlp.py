"""The feed-forward layer: each position by itself, wide and non-linear."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu, relu, silu

from llmbook.config import TransformerConfig


def activate(x: Tensor, name: str) -> Tensor:
    """The non-linearity that a configuration names, element by element.

    Source: GELU, Hendrycks and Gimpel 2016 (``gelu`` is its tanh approximation); ReLU², So et
    al. 2021; SiLU, Elfwing et al. 2018.
    """
    if name == "gelu" and torch.compiler.is_compiling():  # the same, at half the compiled tanh's
        return x * torch.sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3))
    if name == "gelu":
        return gelu(x, approximate="tanh")
    if name == "gelu_erf":
        return gelu(x)
    if name == "relu2":
        return relu(x).square()
    return relu(x) if name == "relu" else silu(x)


class MLP(nn.Module):
    """W₂ σ(W₁ x), or for SwiGLU W₂ (silu(W_g x) ∘ W₁ x).

    Source: Vaswani et al. 2017, eq. 2; Shazeer 2020, eq. 6. Taught in chapter 8.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.activation = config.mlp
        self.up = nn.Linear(config.d_model, config.ff_width, bias=config.bias)
        self.gate = (
            nn.Linear(config.d_model, config.ff_width, bias=config.bias)
            if config.mlp == "swiglu"
            else None
        )
        self.down = nn.Linear(config.ff_width, config.d_model, bias=config.bias)

    def forward(self, x: Float[Tensor, "... C"]) -> Float[Tensor, "... C"]:
        """Apply the two layers at every position."""
        if self.gate is None:
            return self.down(activate(self.up(x), self.activation))
        return self.down(silu(self.gate(x)) * self.up(x))
