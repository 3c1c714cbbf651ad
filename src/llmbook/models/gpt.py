"""GPT: a decoder that is a GPT-2 or a Llama, as its configuration says."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from llmbook.config import GPTConfig
from llmbook.nn import Block, KVCache, Rotation, make_norm, rope_rotation


@dataclass
class Trace:
    """What a forward pass leaves behind when it is given one of these.

    ``residual`` holds the stream before the first block and after each, (B, T, C);
    ``attention`` holds each block's weights, (B, H, T, S).
    """

    residual: list[Tensor] = field(default_factory=list)
    attention: list[Tensor] = field(default_factory=list)


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
        self._register_rotation()
        self._initialise()

    def forward(
        self,
        ids: Int[Tensor, "B T"],
        *,
        mask: Bool[Tensor, "*#broadcast #T S"] | None = None,
        cache: KVCache | None = None,
        trace: Trace | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token that follows each position.

        Args:
            ids: token ids. With a cache, only the tokens that it does not hold yet.
            mask: True where a position may look; None means causal.
            cache: filled as a side effect.
            trace: filled as a side effect with residual streams and attention weights.

        Raises:
            ValueError: more positions than ``context_length``, or an id outside the vocabulary.
        """
        x, rotation = self._embed(ids, 0 if cache is None else cache.length)
        for layer, block in enumerate(self.blocks):
            if trace is not None:
                trace.residual.append(x)
            layer_cache = None if cache is None else cache.layers[layer]
            x, weights = block(x, mask, rotation, layer_cache, trace is not None)
            if trace is not None:
                trace.attention.append(weights)
        if trace is not None:
            trace.residual.append(x)
        return self.output(self.norm(x))

    def n_params(self, embeddings: bool = True) -> int:
        """Number of parameters, shared ones counted once; the embeddings left out on request."""
        total = sum(p.numel() for p in self.parameters())
        if embeddings:
            return total
        total -= self.token_embedding.weight.numel()
        if self.position_embedding is not None:
            total -= self.position_embedding.weight.numel()
        return total

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return self.token_embedding.weight.device

    def _embed(self, ids: Tensor, start: int) -> tuple[Tensor, Rotation | None]:
        end = start + ids.shape[1]
        self._check(ids, end)
        x = self.token_embedding(ids)
        if self.position_embedding is not None:
            return self.dropout(x + self.position_embedding.weight[start:end]), None
        rotation = Rotation(self.rope_cos[start:end], self.rope_sin[start:end])
        return self.dropout(x), rotation

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

    def _register_rotation(self) -> None:
        self.rope_cos: Tensor
        self.rope_sin: Tensor
        rotation = rope_rotation(
            self.config.context_length if self.config.position == "rope" else 0,
            self.config.d_head + self.config.d_head % 2,
            self.config.rope_base,
        )
        self.register_buffer("rope_cos", rotation.cos, persistent=False)
        self.register_buffer("rope_sin", rotation.sin, persistent=False)

    def _initialise(self) -> None:
        """Normal with deviation 0.02; layers that write to the stream scaled by 1/√(2·n_layer).

        Source: Radford et al. 2019, section 2.3.
        """
        for name, parameter in self.named_parameters():
            if parameter.dim() < 2:
                continue
            writes = name.endswith(("attention.out.weight", "mlp.down.weight"))
            scale = math.sqrt(2 * self.config.n_layer) if writes else 1.0
            nn.init.normal_(parameter, std=0.02 / scale)
        for module in self.modules():
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
