"""The feed-forward layer: each position by itself, wide and non-linear."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu, silu

from llmbook.config import GPTConfig


class MLP(nn.Module):
    """GELU: W₂ gelu(W₁ x). SwiGLU: W₂ (silu(W_g x) ∘ W₁ x).

    GPT-2 uses the tanh approximation of GELU.

    Source: Hendrycks and Gimpel 2016; Shazeer 2020, eq. 6. Taught in chapter 8.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.d_model, config.ff_width, bias=config.bias)
        self.gate = (
            nn.Linear(config.d_model, config.ff_width, bias=config.bias)
            if config.mlp == "swiglu"
            else None
        )
        self.down = nn.Linear(config.ff_width, config.d_model, bias=config.bias)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Apply the two layers at every position."""
        if self.gate is None:
            return self.down(gelu(self.up(x), approximate="tanh"))
        return self.down(silu(self.gate(x)) * self.up(x))
