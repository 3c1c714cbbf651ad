"""Seq2Seq: an encoder reads the source, a decoder writes the target while it looks back at it."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from llmbook.config import Seq2SeqConfig
from llmbook.models.base import Transformer
from llmbook.nn import Block, KVCache, Trace, initialise, make_norm


class Seq2Seq(Transformer):
    """The encoder–decoder Transformer, with one embedding for source, target and output.

    With ``norm_first`` the norms stand before the sub-blocks, and one more after each stack.

    Source: Vaswani et al. 2017, figure 1. Taught in chapters 8 and 19.
    """

    config: Seq2SeqConfig

    def __init__(self, config: Seq2SeqConfig) -> None:
        super().__init__(config)
        blocks, more = range(config.n_layer), range(config.decoder_layers)
        self.encoder = nn.ModuleList(Block(config, causal=False) for _ in blocks)
        self.decoder = nn.ModuleList(Block(config, cross=True) for _ in more)
        self.encoder_norm = make_norm(config) if config.norm_first else nn.Identity()
        self.decoder_norm = make_norm(config) if config.norm_first else nn.Identity()
        self.output = nn.Linear(config.d_model, config.vocab_size)
        if config.tie_embeddings:
            self.output.weight = self.token_embedding.weight
        initialise(self, config.n_layer)
        self.scale = math.sqrt(config.d_model) if config.scale_embeddings else 1.0
        if config.scale_embeddings:  # so that what enters the first block has deviation 1
            nn.init.normal_(self.token_embedding.weight, std=1 / self.scale)

    def forward(
        self,
        source: Int[Tensor, "B S"],
        target: Int[Tensor, "B T"],
        *,
        source_mask: Bool[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token that follows each target position.

        Args:
            source: ids of the text to read, padded to one length.
            target: ids of the text written so far, which begins with a start token.
            source_mask: True at tokens, False at padding; None means that there is no padding.

        Raises:
            ValueError: more positions than ``context_length``, or an id outside the vocabulary.
        """
        return self.decode(target, self.encode(source, source_mask), source_mask)

    def encode(
        self,
        source: Int[Tensor, "B S"],
        source_mask: Bool[Tensor, "B S"] | None = None,
        trace: Trace | None = None,
    ) -> Float[Tensor, "B S C"]:
        """The memory: each source token in its context."""
        n_token = source.shape[1]
        self._check(source, n_token)
        x, rotation = self._place(self.token_embedding(source) * self.scale, slice(0, n_token))
        x = self.dropout(x)
        if trace is not None:
            trace.residual.append(x)
        mask, bias = _over_keys(source_mask), self._bias(n_token, n_token)
        for block in self.encoder:
            x = block(x, mask, rotation, trace=trace, bias=bias)
        return self.encoder_norm(x)

    def decode(
        self,
        target: Int[Tensor, "B T"],
        memory: Float[Tensor, "B S C"],
        memory_mask: Bool[Tensor, "B S"] | None = None,
        cache: KVCache | None = None,
        *,
        memory_cache: KVCache | None = None,
        mask: Bool[Tensor, "*#broadcast #T K"] | None = None,
        positions: Int[Tensor, "B T"] | None = None,
        trace: Trace | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token that follows each target position.

        Args:
            target: ids. With a cache, only the tokens that it does not hold yet.
            memory, memory_mask: what `encode` gave, and the mask that it was given.
            cache: the target's keys and values, filled as a side effect; see `caches`.
            memory_cache: the memory's keys and values, computed in the first call only.
            mask, positions: of target tokens among themselves, as in `GPT.hidden`.
            trace: filled as a side effect with residual streams and attention weights.

        Raises:
            ValueError: more positions than ``context_length``, or an id outside the vocabulary.
        """
        start = 0 if cache is None else cache.length
        end = start + target.shape[1]
        self._check(target, end)
        places = slice(start, end) if positions is None else positions
        x, rotation = self._place(self.token_embedding(target) * self.scale, places)
        x = self.dropout(x)
        if trace is not None:
            trace.residual.append(x)
        bias = self._bias(target.shape[1], end)
        for layer, block in enumerate(self.decoder):
            x = block(
                x,
                mask,
                rotation,
                None if cache is None else cache.layers[layer],
                trace,
                bias=bias,
                memory=memory,
                memory_mask=_over_keys(memory_mask),
                memory_cache=None if memory_cache is None else memory_cache.layers[layer],
            )
        return self.output(self.decoder_norm(x))

    def caches(self, memory: Float[Tensor, "B S C"]) -> tuple[KVCache, KVCache]:
        """Empty caches for `decode`: the target's, and the memory's."""
        own = self.config.replace(n_layer=self.config.decoder_layers)
        over_memory = own.replace(context_length=memory.shape[1], window=None)
        n_row, device, dtype = memory.shape[0], memory.device, memory.dtype
        return KVCache(own, n_row, device, dtype), KVCache(over_memory, n_row, device, dtype)

    def given(
        self, source: Int[Tensor, "B S"], source_mask: Bool[Tensor, "B S"] | None = None
    ) -> GivenSource:
        """The decoder with its source read: a model that `llmbook.generate` can write with."""
        return GivenSource(self, source, source_mask)


class GivenSource(nn.Module):
    """A Seq2Seq whose source is settled; called like a `GPT`, it continues the target.

    The memory is computed once, and so are its keys and values. With more target rows than
    sources each source serves as many neighbouring rows as there are for it (beams).
    """

    def __init__(self, model: Seq2Seq, source: Tensor, source_mask: Tensor | None) -> None:
        super().__init__()
        self.model, self.source_mask = model, source_mask
        self.config = model.config.replace(n_layer=model.config.decoder_layers)
        self.token_embedding = model.token_embedding
        with torch.no_grad():
            self.memory = model.encode(source, source_mask)
        self._spread(len(source))

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return self.model.device

    def forward(
        self,
        ids: Int[Tensor, "B T"],
        *,
        cache: KVCache | None = None,
        mask: Bool[Tensor, "*#broadcast #T K"] | None = None,
        positions: Int[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token that follows each target position; see `Seq2Seq.decode`.

        Raises:
            ValueError: the target's rows cannot be shared out among the sources.
        """
        if len(ids) != len(self._rows[0]):
            self._spread(len(ids))
        memory, memory_mask, memory_cache = self._rows
        return self.model.decode(
            ids,
            memory,
            memory_mask,
            cache,
            memory_cache=memory_cache,
            mask=mask,
            positions=positions,
        )

    def _spread(self, n_row: int) -> None:
        """Lay the memory beside so many rows of the target."""
        n_source = len(self.memory)
        if n_row % n_source:
            raise ValueError(
                f"{n_row} target rows for {n_source} sources: give each source equally many"
            )
        memory, mask = self.memory, self.source_mask
        if n_row != n_source:
            memory = memory.repeat_interleave(n_row // n_source, dim=0)
            mask = None if mask is None else mask.repeat_interleave(n_row // n_source, dim=0)
        self._rows = memory, mask, self.model.caches(memory)[1]


def _over_keys(mask: Tensor | None) -> Tensor | None:
    """(B, S) -> (B, 1, 1, S), to broadcast over heads and queries."""
    return None if mask is None else mask[:, None, None, :]
