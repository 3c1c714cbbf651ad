"""GPT: a decoder that is a GPT-2 or a Llama, as its configuration says."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from llmbook.config import GPTConfig
from llmbook.models.base import Transformer
from llmbook.nn import Block, KVCache, Trace, initialise, make_norm


class GPT(Transformer):
    """A decoder-only Transformer: token ids in, logits of the next token out.

    Source: Radford et al. 2019 (GPT-2) and Touvron et al. 2023 (Llama), by configuration.
    Taught in chapters 8 and 12.
    """

    config: GPTConfig

    def __init__(self, config: GPTConfig) -> None:
        super().__init__(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.norm = make_norm(config)
        self.output = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.output.weight = self.token_embedding.weight
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
        places = slice(start, end) if positions is None else positions
        x, rotation = self._place(self.token_embedding(ids), places)
        x = self.dropout(x)
        bias = self._bias(ids.shape[1], end)
        if trace is not None:
            trace.residual.append(x)
        for layer, block in enumerate(self.blocks):
            layer_cache = None if cache is None else cache.layers[layer]
            x = block(x, mask, rotation, layer_cache, trace, bias=bias)
        return self.norm(x)
