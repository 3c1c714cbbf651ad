"""What GPT, BERT and Seq2Seq share: embeddings, positions, and the check of what comes in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from llmbook.config import TransformerConfig
from llmbook.nn import (
    MixtureOfExperts,
    Rotation,
    alibi_bias,
    alibi_slopes,
    rope_rotation,
    sinusoidal_positions,
)


class Transformer(nn.Module):
    """Token embeddings and positions of any kind; the families add their blocks."""

    config: TransformerConfig
    rope_cos: Tensor
    rope_sin: Tensor
    waves: Tensor | None
    slopes: Tensor | None

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.position_embedding = (
            nn.Embedding(config.context_length, config.d_model)
            if config.position == "learned"
            else None
        )
        self.dropout = nn.Dropout(config.dropout)
        self._register_positions()

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

    def _place(self, x: Tensor, places: slice | Tensor) -> tuple[Tensor, Rotation | None]:
        """Add to embeddings what says where they stand, or give the rotation that will."""
        if self.position_embedding is not None:
            x = x + self.position_embedding.weight[places]
        if self.waves is not None:
            x = x + self.waves[places]
        if self.config.position != "rope":
            return x, None
        cos, sin = self.rope_cos[places], self.rope_sin[places]
        if cos.dim() == 3:  # one row of positions for each text: (B, T, D) -> (B, 1, T, D)
            cos, sin = cos[:, None], sin[:, None]
        return x, Rotation(cos, sin)

    def _bias(self, n_query: int, n_key: int) -> Tensor | None:
        return None if self.slopes is None else alibi_bias(self.slopes, n_query, n_key)

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
