"""One block: attention moves information between positions, the MLP works on each."""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxtyping import Bool, Float
from torch import Tensor, nn

from llmbook.config import TransformerConfig
from llmbook.nn.attention import Attention
from llmbook.nn.cache import LayerCache
from llmbook.nn.experts import MixtureOfExperts
from llmbook.nn.mlp import MLP
from llmbook.nn.norms import make_norm
from llmbook.nn.positions import Rotation


@dataclass
class Trace:
    """What a forward pass leaves behind when it is given one of these.

    ``residual`` holds the stream before the first block and after each, (B, T, C);
    ``attention`` holds each block's weights, (B, H, T, S); ``cross_attention`` those over a
    memory, in a decoder that has one.
    """

    residual: list[Tensor] = field(default_factory=list)
    attention: list[Tensor] = field(default_factory=list)
    cross_attention: list[Tensor] = field(default_factory=list)


class Block(nn.Module):
    """Residual block: x + attention(norm(x)), then x + mlp(norm(x)).

    With ``norm_first=False`` the norms follow the sums: norm(x + attention(x)), and so on. A
    ``cross`` block attends to a memory between the two. With experts, a router stands in the
    MLP's place.

    Source: Vaswani et al. 2017, section 3.1 (norm after); Radford et al. 2019, section 2.3 and
    Xiong et al. 2020 (norm first). Taught in chapter 8.
    """

    def __init__(self, config: TransformerConfig, causal: bool = True, cross: bool = False) -> None:
        super().__init__()
        self.norm_first = config.norm_first
        self.attention_norm = make_norm(config)
        self.attention = Attention(config, causal)
        self.cross_norm = make_norm(config) if cross else None
        self.cross_attention = Attention(config, causal=False) if cross else None
        self.mlp_norm = make_norm(config)
        self.mlp = MixtureOfExperts(config) if config.n_expert else MLP(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "B T C"],
        mask: Bool[Tensor, "*#broadcast #T S"] | None = None,
        rotation: Rotation | None = None,
        cache: LayerCache | None = None,
        trace: Trace | None = None,
        *,
        bias: Float[Tensor, "*#broadcast T S"] | None = None,
        memory: Float[Tensor, "B M C"] | None = None,
        memory_mask: Bool[Tensor, "*#broadcast #T M"] | None = None,
        memory_cache: LayerCache | None = None,
    ) -> Float[Tensor, "B T C"]:
        """Add the sub-blocks' outputs to the residual stream; see `Attention` for the rest."""
        keep = trace is not None
        mixed, weights = self.attention(
            self._before(x, self.attention_norm), mask, rotation, cache, keep, bias=bias
        )
        x = self._add(x, mixed, self.attention_norm)
        cross_weights = None
        if self.cross_attention is not None and self.cross_norm is not None:
            mixed, cross_weights = self.cross_attention(
                self._before(x, self.cross_norm),
                memory_mask,
                None,
                memory_cache,
                keep,
                memory=memory,
            )
            x = self._add(x, mixed, self.cross_norm)
        x = self._add(x, self.mlp(self._before(x, self.mlp_norm)), self.mlp_norm)
        if trace is not None:
            trace.residual.append(x)
            trace.attention.append(weights)
            if cross_weights is not None:
                trace.cross_attention.append(cross_weights)
        return x

    def _before(self, x: Tensor, norm: nn.Module) -> Tensor:
        return norm(x) if self.norm_first else x

    def _add(self, x: Tensor, change: Tensor, norm: nn.Module) -> Tensor:
        x = x + self.dropout(change)
        return x if self.norm_first else norm(x)
