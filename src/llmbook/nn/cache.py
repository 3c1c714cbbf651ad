"""The KV cache: keys and values of the tokens already read, one buffer per layer."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from llmbook.config import TransformerConfig

SPARE = 64  # tokens beyond a sliding window that are kept, so that as many can be taken back


class LayerCache:
    """Preallocated keys and values of one layer, filled from the left.

    With a ``window`` only the last keys are kept: when the buffer is full they move to its
    beginning, which happens once in `SPARE` tokens. Unlike in a ring, they stay in order.

    ``length`` counts the tokens read, whether or not they are still held.
    """

    def __init__(
        self,
        batch_size: int,
        config: TransformerConfig,
        device: torch.device,
        dtype: torch.dtype,
        capacity: int | None = None,
        window: int | None = None,
    ) -> None:
        room = config.context_length if capacity is None else capacity
        self.window = window
        self.rolls = window is not None and window + 2 * SPARE < room
        if window is not None and self.rolls:
            room = window + 2 * SPARE
        shape = (batch_size, config.kv_heads, room, config.d_head)
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.length = self.dropped = 0

    def append(
        self, k: Float[Tensor, "B G T D"], v: Float[Tensor, "B G T D"]
    ) -> tuple[Float[Tensor, "B G S D"], Float[Tensor, "B G S D"]]:
        """Write the new tokens' keys and values and return all that their queries may see.

        Raises:
            ValueError: no room, or another number of sequences than the cache was made for.
        """
        if k.shape[0] != self.keys.shape[0]:
            raise ValueError(
                f"keys of {k.shape[0]} sequences for a cache of {self.keys.shape[0]}: make the "
                "cache with this batch_size, or call reorder"
            )
        n_new, begin = k.shape[2], self.length - self.dropped
        end = begin + n_new
        if end > self.keys.shape[2]:
            if self.window is None or not self.rolls:
                raise ValueError(
                    f"the cache has room for {self.keys.shape[2]} tokens and would need {end}: "
                    "start a new cache with a shorter prompt"
                )
            return self._roll(k, v, self.window)
        self.keys[:, :, begin:end] = k
        self.values[:, :, begin:end] = v
        self.length += n_new
        return self.held(n_new)

    def held(self, n_query: int = 1) -> tuple[Float[Tensor, "B G S D"], Float[Tensor, "B G S D"]]:
        """The keys and values that the last ``n_query`` tokens may see: all, or a window's."""
        end = self.length - self.dropped
        first = 0 if self.window is None else max(0, end - self.window - n_query + 1)
        return self.keys[:, :, first:end], self.values[:, :, first:end]

    def truncate(self, length: int) -> None:
        """Take back the tokens after the first ``length``, as if they had not been read.

        Raises:
            ValueError: more than were read, or so few that a window has dropped what they need.
        """
        needed = 0 if self.window is None else max(0, length - self.window + 1)
        if not 0 <= length <= self.length or needed < self.dropped:
            raise ValueError(
                f"truncate to {length} tokens: {self.length} were read"
                + (f" and the first {self.dropped} are dropped" if self.dropped else "")
            )
        self.length = length

    def reorder(self, index: Int[Tensor, " N"]) -> None:
        """Let row i hold what row ``index[i]`` held: what a beam search keeps of its beams.

        The number of rows may change.
        """
        end = self.length - self.dropped
        for name in ("keys", "values"):
            old = getattr(self, name)
            kept = old[:, :, :end].index_select(0, index)
            new = old if len(index) == len(old) else old.new_zeros(len(index), *old.shape[1:])
            new[:, :, :end] = kept
            setattr(self, name, new)

    def _roll(self, k: Tensor, v: Tensor, window: int) -> tuple[Tensor, Tensor]:
        """Append where there is no room: keep the last keys, moved to the beginning."""
        begin = self.length - self.dropped
        all_k = torch.cat([self.keys[:, :, :begin], k], dim=2)
        all_v = torch.cat([self.values[:, :, :begin], v], dim=2)
        self.length += k.shape[2]
        kept = min(all_k.shape[2], window - 1 + SPARE)
        self.keys[:, :, :kept] = all_k[:, :, -kept:]
        self.values[:, :, :kept] = all_v[:, :, -kept:]
        self.dropped = self.length - kept
        n_seen = min(all_k.shape[2], window - 1 + k.shape[2])
        return all_k[:, :, -n_seen:], all_v[:, :, -n_seen:]


class KVCache:
    """One `LayerCache` per layer. Memory: 2 · n_layer · B · n_kv_head · room · d_head numbers.

    Args:
        config: the model's; its ``window`` lets the cache drop what no query will see again.
        batch_size: sequences side by side.
        device, dtype: the model's own.
        capacity: room for so many tokens; the context length when left out.

    Source: Shazeer 2019 (the cost of incremental decoding). Taught in chapter 10.
    """

    def __init__(
        self,
        config: TransformerConfig,
        batch_size: int = 1,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        capacity: int | None = None,
    ) -> None:
        device = torch.device(device)
        self.layers = [
            LayerCache(batch_size, config, device, dtype, capacity, config.window)
            for _ in range(config.n_layer)
        ]

    @property
    def length(self) -> int:
        """Number of tokens read."""
        return self.layers[0].length

    def truncate(self, length: int) -> None:
        """Take back the tokens after the first ``length`` (speculative decoding does)."""
        for layer in self.layers:
            layer.truncate(length)

    def reorder(self, index: Int[Tensor, " N"]) -> None:
        """Let row i go on from what row ``index[i]`` has read (beam search does)."""
        for layer in self.layers:
            layer.reorder(index)
