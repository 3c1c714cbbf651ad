"""GPT: a decoder that is a GPT-2 or a Llama, as its configuration says."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from llmbook.config import GPTConfig
from llmbook.nn import (
    Block,
    KVCache,
    MixtureOfExperts,
    Rotation,
    Trace,
    alibi_bias,
    alibi_slopes,
    initialise,
    make_norm,
    rope_rotation,
    sinusoidal_positions,
)


class GPT(nn.Module):
    """A decoder-only Transformer: token ids in, logits of the next token out.

    Source: Radford et al. 2019 (GPT-2) and Touvron et al. 2023 (Llama), by configuration.
    Taught in chapters 8 and 12.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.position_embedding = (
            nn.Embedding(config.context_length, config.d_model)
            if config.position == "learned"
            else None
        )
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.norm = make_norm(config)
        self.output = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.output.weight = self.token_embedding.weight
        self._register_positions()
        initialise(self, config.n_layer)

    def forward(
        self,
        ids: Int[Tensor, "B T"],
        *,
        mask: Bool[Tensor, "*#broadcast #T S"] | None = None,
        cache: KVCache | None = None,
        trace: Trace | None = None,
        positions: Int[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token that follows each position; see `hidden` for the arguments."""
        hidden = self.hidden(ids, mask=mask, cache=cache, trace=trace, positions=positions)
        return self.output(hidden)

    def hidden(
        self,
        ids: Int[Tensor, "B T"],
        *,
        mask: Bool[Tensor, "*#broadcast #T S"] | None = None,
        cache: KVCache | None = None,
        trace: Trace | None = None,
        positions: Int[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T C"]:
        """The normalised residual stream, of which `output` makes logits.

        Args:
            ids: token ids. With a cache, only the tokens that it does not hold yet.
            mask: True where a position may look; None means causal, within the window.
            cache: filled as a side effect.
            trace: filled as a side effect with residual streams and attention weights.
            positions: each token's place in its own text, where rows are padded on the left or
                hold several documents; None counts from the cache's length.

        Raises:
            ValueError: more positions than ``context_length``, or an id outside the vocabulary.
        """
        start = 0 if cache is None else cache.length
        end = start + ids.shape[1]
        self._check(ids, end)
        x, rotation = self._embed(ids, slice(start, end) if positions is None else positions)
        bias = None if self.slopes is None else alibi_bias(self.slopes, ids.shape[1], end)
        if trace is not None:
            trace.residual.append(x)
        for layer, block in enumerate(self.blocks):
            layer_cache = None if cache is None else cache.layers[layer]
            x = block(x, mask, rotation, layer_cache, trace, bias=bias)
        return self.norm(x)

    def n_params(self, embeddings: bool = True) -> int:
        """Number of parameters, shared ones counted once; the embeddings left out on request."""
        total = sum(p.numel() for p in self.parameters())
        if embeddings:
            return total
        total -= self.token_embedding.weight.numel()
        if self.position_embedding is not None:
            total -= self.position_embedding.weight.numel()
        return total

    def balance_loss(self) -> Tensor | None:
        """Mean over the blocks of the experts' balance losses; None in a model without experts."""
        losses = [m.balance_loss for m in self.modules() if isinstance(m, MixtureOfExperts)]
        found = [loss for loss in losses if loss is not None]
        return torch.stack(found).mean() if found else None

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return self.token_embedding.weight.device

    def _embed(self, ids: Tensor, places: slice | Tensor) -> tuple[Tensor, Rotation | None]:
        x = self.token_embedding(ids)
        if self.position_embedding is not None:
            x = x + self.position_embedding.weight[places]
        if self.waves is not None:
            x = x + self.waves[places]
        if self.config.position != "rope":
            return self.dropout(x), None
        cos, sin = self.rope_cos[places], self.rope_sin[places]
        if cos.dim() == 3:  # one row of positions for each text: (B, T, D) -> (B, 1, T, D)
            cos, sin = cos[:, None], sin[:, None]
        return self.dropout(x), Rotation(cos, sin)

    def _check(self, ids: Tensor, end: int) -> None:
        if end > self.config.context_length:
            raise ValueError(
                f"{end} tokens do not fit into context_length={self.config.context_length}: "
                "give fewer tokens, or keep only the last ones"
            )
        if torch.compiler.is_compiling() or ids.is_cuda or ids.numel() == 0:
            return  # reading a value back would stall the device
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high >= self.config.vocab_size:
            raise ValueError(
                f"token id {low if low < 0 else high} is outside the vocabulary of "
                f"{self.config.vocab_size}: encode the text with this model's own tokenizer"
            )

    def _register_positions(self) -> None:
        """Tables that are computed and not learned: they move with the model, unsaved."""
        self.rope_cos: Tensor
        self.rope_sin: Tensor
        self.waves: Tensor | None
        self.slopes: Tensor | None
        config = self.config
        rotation = rope_rotation(
            config.context_length if config.position == "rope" else 0,
            config.d_head + config.d_head % 2,
            config.rope_base,
            scaling=config.rope_scaling,
        )
        sinusoidal, alibi = config.position == "sinusoidal", config.position == "alibi"
        tables = {
            "rope_cos": rotation.cos,
            "rope_sin": rotation.sin,
            "waves": sinusoidal_positions(config.context_length, config.d_model)
            if sinusoidal
            else None,
            "slopes": alibi_slopes(config.n_head) if alibi else None,
        }
        for name, table in tables.items():
            self.register_buffer(name, table, persistent=False)
