"""BERT: an encoder that reads both ways, and sentence embeddings made with one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from llmbook.config import BERTConfig
from llmbook.models.base import Transformer
from llmbook.nn import Block, Trace, activate, initialise, make_norm
from llmbook.tokenizers import WordPieceTokenizer


class BERTOutput(NamedTuple):
    """What the encoder found.

    ``hidden`` (B, T, C) is each token in its context; ``pooled`` (B, C) the first token's state
    after the pooler, None without one; ``logits`` (B, T, V) what stands at each place, None
    without a masked-language-model head.
    """

    hidden: Tensor
    pooled: Tensor | None
    logits: Tensor | None


class MaskedHead(nn.Module):
    """What stood at a masked place: logits = norm(σ(W h + b)) Eᵀ + c, with the embeddings E.

    Source: Devlin et al. 2019, section 3.1; the published code. Taught in chapter 13.
    """

    def __init__(self, config: BERTConfig) -> None:
        super().__init__()
        self.activation = config.mlp
        self.dense = nn.Linear(config.d_model, config.d_model)
        self.norm = make_norm(config)
        self.output = nn.Linear(config.d_model, config.vocab_size)

    def forward(self, hidden: Float[Tensor, "B T C"]) -> Float[Tensor, "B T V"]:
        """Logits over the vocabulary at every position."""
        return self.output(self.norm(activate(self.dense(hidden), self.activation)))


class BERT(Transformer):
    """An encoder-only Transformer: every token looks at every other one.

    Token, position and segment embeddings are added and normalised, and pass through blocks
    whose norms follow the residual sums.

    Source: Devlin et al. 2019. Taught in chapters 8 and 13.
    """

    config: BERTConfig

    def __init__(self, config: BERTConfig) -> None:
        super().__init__(config)
        self.type_embedding = nn.Embedding(config.n_type, config.d_model)
        self.embedding_norm = make_norm(config)
        self.blocks = nn.ModuleList(Block(config, causal=False) for _ in range(config.n_layer))
        self.norm = make_norm(config) if config.norm_first else nn.Identity()
        self.pooler = nn.Linear(config.d_model, config.d_model) if config.pooler else None
        self.head = MaskedHead(config) if config.mlm_head else None
        if self.head is not None and config.tie_embeddings:
            self.head.output.weight = self.token_embedding.weight
        initialise(self, config.n_layer)

    def forward(
        self,
        ids: Int[Tensor, "B T"],
        *,
        types: Int[Tensor, "B T"] | None = None,
        mask: Bool[Tensor, "B T"] | None = None,
        trace: Trace | None = None,
    ) -> BERTOutput:
        """Read whole texts.

        Args:
            ids: token ids, padded to one length.
            types: which segment each token belongs to; None means the first.
            mask: True at tokens, False at padding; None means that there is no padding.
            trace: filled as a side effect with residual streams and attention weights.

        Raises:
            ValueError: more positions than ``context_length``, or an id outside the vocabulary.
        """
        n_token = ids.shape[1]
        self._check(ids, n_token)
        kinds = torch.zeros_like(ids) if types is None else types
        x, rotation = self._place(self.token_embedding(ids), slice(0, n_token))
        x = self.dropout(self.embedding_norm(x + self.type_embedding(kinds)))
        if trace is not None:
            trace.residual.append(x)
        allowed = None if mask is None else mask[:, None, None, :]  # (B, T) -> (B, 1, 1, S)
        bias = self._bias(n_token, n_token)
        for block in self.blocks:
            x = block(x, allowed, rotation, trace=trace, bias=bias)
        hidden = self.norm(x)
        return BERTOutput(
            hidden,
            None if self.pooler is None else self.pooler(hidden[:, 0]).tanh(),
            None if self.head is None else self.head(hidden),
        )


def mean_pool(hidden: Float[Tensor, "B T C"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B C"]:
    """The mean over each text's own tokens; zeros for a text that has none."""
    weight = mask.to(hidden.dtype)[:, :, None]
    return (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


@torch.inference_mode()
def sentence_embeddings(
    model: BERT,
    tokenizer: WordPieceTokenizer,
    texts: Sequence[str],
    *,
    max_length: int = 256,
    batch_size: int = 32,
) -> Float[Tensor, "N C"]:
    """One vector of length 1 for each text: the mean of its tokens' states, normalised.

    The scalar product of two such vectors is the cosine of the angle between them.

    Args:
        model: put into evaluation mode by the caller.
        tokenizer: the model's own.
        texts: as many as you like; they are read ``batch_size`` at a time, short ones together.
        max_length: longer texts are cut; 256 tokens is what all-MiniLM-L6-v2 was published with.

    Source: Reimers and Gurevych 2019, section 3. Taught in chapter 17.
    """
    max_length = min(max_length, model.config.context_length)
    vectors = torch.zeros(len(texts), model.config.d_model, device=model.device)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for start in range(0, len(texts), batch_size):
        rows = order[start : start + batch_size]
        batch = tokenizer.encode_batch([texts[i] for i in rows], max_length=max_length)
        ids, types, mask = (part.to(model.device) for part in batch)
        hidden = model(ids, types=types, mask=mask).hidden
        vectors[rows] = normalize(mean_pool(hidden, mask).float(), dim=-1)
    return vectors
