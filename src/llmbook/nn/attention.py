"""Attention: a readable path that shows its weights, and PyTorch's fused kernel."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from llmbook.config import TransformerConfig
from llmbook.nn.cache import LayerCache
from llmbook.nn.positions import Rotation, rotate


def causal_mask(
    n_query: int,
    n_key: int | None = None,
    device: torch.device | None = None,
    window: int | None = None,
) -> Bool[Tensor, "T S"]:
    """True where a query may look: at its own position and at earlier ones.

    With more keys than queries the queries are the last positions, as they are when a cache
    holds the keys of the tokens before. A ``window`` leaves each query its last keys only
    (Beltagy et al. 2020, section 3.1).
    """
    n_key = n_query if n_key is None else n_key
    if n_key < n_query:
        raise ValueError(
            f"n_key={n_key} < n_query={n_query}: each query needs a key at its own position"
        )
    everything = torch.ones(n_query, n_key, dtype=torch.bool, device=device)
    causal = everything.tril(n_key - n_query)
    return causal if window is None else causal.triu(n_key - n_query - window + 1)


def padding_mask(lengths: Int[Tensor, " B"], n_key: int) -> Bool[Tensor, "B 1 1 S"]:
    """True at the first ``lengths[b]`` keys of sequence b, False at its padding."""
    if int(lengths.max()) > n_key or int(lengths.min()) < 0:
        raise ValueError(f"lengths={lengths.tolist()}: each must lie between 0 and n_key={n_key}")
    return (torch.arange(n_key, device=lengths.device) < lengths[:, None])[:, None, None, :]


def attend(
    q: Float[Tensor, "B H T D"],
    k: Float[Tensor, "B H S D"],
    v: Float[Tensor, "B H S D"],
    mask: Bool[Tensor, "*#broadcast #T S"] | None = None,
) -> tuple[Float[Tensor, "B H T D"], Float[Tensor, "B H T S"]]:
    """Mix values by the similarity of queries to keys: softmax(qkᵀ/√D) v.

    Args:
        q, k, v: per-head activations (unitless).
        mask: True where a query may look, broadcastable to (B, H, T, S). A query
            that may look nowhere (padding) gets zeros, never NaN.

    Returns:
        The mixed values, and the weights, whose rows sum to 1 (or to 0, see mask).

    Source: Vaswani et al. 2017, eq. 1. Taught in chapter 7.
    """
    scores = torch.einsum("bhtd,bhsd->bhts", q, k) / math.sqrt(q.shape[-1])
    if mask is None:
        weights = scores.softmax(dim=-1)
    else:
        weights = scores.masked_fill(~mask, -math.inf).softmax(dim=-1)
        weights = weights.masked_fill(~mask, 0.0)  # a row of -inf came out as NaN
    return torch.einsum("bhts,bhsd->bhtd", weights, v), weights


def attend_biased(
    q: Float[Tensor, "B H T D"],
    k: Float[Tensor, "B H S D"],
    v: Float[Tensor, "B H S D"],
    bias: Float[Tensor, "*#broadcast T S"],
    mask: Bool[Tensor, "*#broadcast #T S"],
) -> tuple[Float[Tensor, "B H T D"], Float[Tensor, "B H T S"]]:
    """As `attend`, with a number added to each score: softmax(qkᵀ/√D + bias) v.

    Source: Press et al. 2022, section 3 (ALiBi). Taught in chapter 8.
    """
    scores = torch.einsum("bhtd,bhsd->bhts", q, k) / math.sqrt(q.shape[-1]) + bias
    weights = scores.masked_fill(~mask, -math.inf).softmax(dim=-1).masked_fill(~mask, 0.0)
    return torch.einsum("bhts,bhsd->bhtd", weights, v), weights


def attend_fused(
    q: Float[Tensor, "B H T D"],
    k: Float[Tensor, "B H S D"],
    v: Float[Tensor, "B H S D"],
    mask: Bool[Tensor, "*#broadcast #T S"] | None = None,
    causal: bool = False,
    bias: Float[Tensor, "*#broadcast T S"] | None = None,
) -> Float[Tensor, "B H T D"]:
    """The same mixture as `attend`, in one kernel that never stores the weights.

    Args:
        q, k, v, mask: as in `attend`.
        causal: apply the square causal mask inside the kernel; needs T = S and no mask.
        bias: added to the scores, as in `attend_biased`; needs a mask.

    Source: PyTorch's scaled_dot_product_attention; Dao et al. 2022. Taught in chapters 7, 10.
    """
    if causal and (mask is not None or q.shape[-2] != k.shape[-2]):
        raise ValueError("causal=True stands for a square causal mask: give no mask, and T = S")
    if mask is None:
        if bias is not None:
            raise ValueError("a bias needs a mask: give causal_mask(T, S), or ones for no limit")
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    blind = ~mask.any(dim=-1, keepdim=True)  # looks nowhere: let it look anywhere, then erase
    allowed = mask | blind
    if bias is not None:
        allowed = bias.to(q.dtype).masked_fill(~allowed, -math.inf)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
    return out.masked_fill(blind, 0.0)


def repeat_kv(x: Float[Tensor, "B G S D"], times: int) -> Float[Tensor, "B H S D"]:
    """Give each group of query heads its shared key or value head: H = G · times."""
    return x if times == 1 else x.repeat_interleave(times, dim=1)


class Attention(nn.Module):
    """Attention with ``n_head`` query heads over ``n_kv_head`` key and value heads.

    Each head projects its input to queries, keys and values of width ``d_head``; the heads'
    mixtures are laid side by side and projected back to ``d_model``. One layer serves decoder
    (causal), encoder (not causal) and cross-attention (keys from a ``memory``).

    Source: Vaswani et al. 2017, section 3.2; grouped queries: Ainslie et al. 2023.
    Taught in chapters 7 and 8.
    """

    def __init__(self, config: TransformerConfig, causal: bool = True) -> None:
        super().__init__()
        d_kv = config.kv_heads * config.d_head
        self.n_head, self.n_kv_head, self.d_head = config.n_head, config.kv_heads, config.d_head
        self.causal, self.window = causal, config.window if causal else None
        self.query = nn.Linear(config.d_model, config.d_model, bias=config.bias)
        self.key = nn.Linear(config.d_model, d_kv, bias=config.bias)
        self.value = nn.Linear(config.d_model, d_kv, bias=config.bias)
        self.out = nn.Linear(config.d_model, config.d_model, bias=config.bias)

    def forward(
        self,
        x: Float[Tensor, "B T C"],
        mask: Bool[Tensor, "*#broadcast #T S"] | None = None,
        rotation: Rotation | None = None,
        cache: LayerCache | None = None,
        keep_weights: bool = False,
        *,
        memory: Float[Tensor, "B S C"] | None = None,
        bias: Float[Tensor, "*#broadcast T S"] | None = None,
    ) -> tuple[Float[Tensor, "B T C"], Float[Tensor, "B H T S"] | None]:
        """Attend as the mask says; without one causally, or everywhere if not ``causal``.

        Args:
            x: the residual stream, normalised; queries come from it.
            mask: True where a query may look; stands in for the causal mask.
            rotation: cosines and sines of the query positions (RoPE), or None.
            cache: keys and values of earlier tokens; the new ones are appended to it. With a
                memory it holds the memory's, computed once.
            keep_weights: take the readable path and return its weights too.
            memory: where keys and values come from, if not from x (cross-attention).
            bias: added to the scores (ALiBi).
        """
        q = self._split_heads(self.query(x), self.n_head)
        if memory is not None and cache is not None and cache.length:
            k, v = cache.held()
        else:
            source = x if memory is None else memory
            k = self._split_heads(self.key(source), self.n_kv_head)
            v = self._split_heads(self.value(source), self.n_kv_head)
            if rotation is not None:
                q, k = rotate(q, rotation), rotate(k, rotation)
            if cache is not None:
                k, v = cache.append(k, v)
        group = self.n_head // self.n_kv_head
        k, v = repeat_kv(k, group), repeat_kv(v, group)
        mixed, weights = self._mix(q, k, v, mask, bias, keep_weights)
        return self.out(mixed.transpose(1, 2).flatten(2)), weights

    def _split_heads(self, x: Tensor, n_head: int) -> Tensor:
        # (B, T, H·D) -> (B, H, T, D)
        return x.unflatten(-1, (n_head, self.d_head)).transpose(1, 2)

    def _mix(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        bias: Tensor | None,
        keep_weights: bool,
    ) -> tuple[Tensor, Tensor | None]:
        n_query, n_key = q.shape[-2], k.shape[-2]
        if mask is not None:
            mask = mask[..., -n_key:]  # a sliding window's cache may have dropped the oldest keys
        if bias is not None:
            bias = bias[..., -n_key:]
        near = self.window is None or n_key <= self.window
        if mask is None and not keep_weights and bias is None and near:
            if not self.causal or n_query == 1:  # one new token may look at every key
                return attend_fused(q, k, v), None
            if n_query == n_key:
                return attend_fused(q, k, v, causal=True), None
        if mask is None:
            mask = self._own_mask(n_query, n_key, q.device)
        if not keep_weights:
            return attend_fused(q, k, v, mask, bias=bias), None
        return attend(q, k, v, mask) if bias is None else attend_biased(q, k, v, bias, mask)

    def _own_mask(self, n_query: int, n_key: int, device: torch.device) -> Tensor:
        if self.causal:
            return causal_mask(n_query, n_key, device, self.window)
        return torch.ones(n_query, n_key, dtype=torch.bool, device=device)
