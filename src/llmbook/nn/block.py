"""One block: attention moves information between positions, the MLP works on each."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn

from llmbook.config import GPTConfig
from llmbook.nn.attention import Attention
from llmbook.nn.cache import LayerCache
from llmbook.nn.mlp import MLP
from llmbook.nn.norms import make_norm
from llmbook.nn.positions import Rotation


class Block(nn.Module):
    """Pre-norm residual block: x + attention(norm(x)), then x + mlp(norm(x)).

    Source: Radford et al. 2019, section 2.3 (norms moved to the input of each sub-block);
    Xiong et al. 2020. Taught in chapter 8.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.attention_norm = make_norm(config)
        self.attention = Attention(config)
        self.mlp_norm = make_norm(config)
        self.mlp = MLP(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "B T C"],
        mask: Bool[Tensor, "*#broadcast #T S"] | None = None,
        rotation: Rotation | None = None,
        cache: LayerCache | None = None,
        keep_weights: bool = False,
    ) -> tuple[Float[Tensor, "B T C"], Float[Tensor, "B H T S"] | None]:
        """Add both sub-blocks' outputs to the residual stream; see `Attention` for the rest."""
        mixed, weights = self.attention(self.attention_norm(x), mask, rotation, cache, keep_weights)
        x = x + self.dropout(mixed)
        return x + self.dropout(self.mlp(self.mlp_norm(x))), weights
