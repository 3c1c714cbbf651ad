"""The KV cache: keys and values of the tokens already read, one buffer per layer."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from llmbook.config import TransformerConfig


class LayerCache:
    """Preallocated keys and values of one layer, filled from the left."""

    def __init__(
        self, batch_size: int, config: TransformerConfig, device: torch.device, dtype: torch.dtype
    ) -> None:
        shape = (batch_size, config.kv_heads, config.context_length, config.d_head)
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.length = 0

    def append(
        self, k: Float[Tensor, "B G T D"], v: Float[Tensor, "B G T D"]
    ) -> tuple[Float[Tensor, "B G S D"], Float[Tensor, "B G S D"]]:
        """Write the new tokens' keys and values and return all those held so far."""
        end = self.length + k.shape[2]
        if end > self.keys.shape[2]:
            raise ValueError(
                f"the cache has room for {self.keys.shape[2]} tokens and would need {end}: "
                "start a new cache with a shorter prompt"
            )
        self.keys[:, :, self.length : end] = k
        self.values[:, :, self.length : end] = v
        self.length = end
        return self.held()

    def held(self) -> tuple[Float[Tensor, "B G S D"], Float[Tensor, "B G S D"]]:
        """The keys and values held so far."""
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]


class KVCache:
    """One `LayerCache` per layer. Memory: 2 · n_layer · B · n_kv_head · context · d_head numbers.

    Source: Shazeer 2019 (the cost of incremental decoding). Taught in chapter 10.
    """

    def __init__(
        self,
        config: TransformerConfig,
        batch_size: int = 1,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        device = torch.device(device)
        self.layers = [LayerCache(batch_size, config, device, dtype) for _ in range(config.n_layer)]

    @property
    def length(self) -> int:
        """Number of tokens held."""
        return self.layers[0].length
