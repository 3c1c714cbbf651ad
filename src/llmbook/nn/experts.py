"""Mixture of experts: many feed-forward layers, a few of which work on each token."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from llmbook.config import TransformerConfig
from llmbook.nn.mlp import MLP


class MixtureOfExperts(nn.Module):
    """A router picks ``n_expert_active`` of ``n_expert`` layers for each token: Σᵢ gᵢ Eᵢ(x).

    The gates g are the softmax over the chosen experts' router scores.

    After each forward pass ``balance_loss`` holds n_expert · Σᵢ fᵢ Pᵢ, where fᵢ is the share of
    choices that fell on expert i and Pᵢ its mean probability. It is 1 when all experts are
    used alike, and larger otherwise; added to the loss with a small factor it keeps the router
    from sending every token to the same few.

    Source: Shazeer et al. 2017, eq. 1–5 (without noise); Fedus et al. 2022, eq. 4–6 (balance);
    gates as in Jiang et al. 2024 (Mixtral), section 2.1. Taught in chapter 17.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.n_active = config.n_expert_active
        self.router = nn.Linear(config.d_model, config.n_expert, bias=False)
        self.experts = nn.ModuleList(MLP(config) for _ in range(config.n_expert))
        self.balance_loss: Tensor | None = None

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Route each position to its experts and mix what they answer."""
        tokens = x.flatten(0, 1)  # (N, C)
        gates, chosen = self.route(tokens)
        mix = torch.zeros_like(tokens)
        for i, expert in enumerate(self.experts):
            gate = (gates * (chosen == i)).sum(dim=-1, keepdim=True)  # 0 where not chosen
            if torch.compiler.is_compiling():  # one fixed shape: every expert sees all tokens
                mix = mix + gate * expert(tokens)
            else:
                rows = (chosen == i).any(dim=-1).nonzero()[:, 0]
                mix = mix.index_add(0, rows, gate[rows] * expert(tokens[rows]))
        return mix.view_as(x)

    def route(
        self, tokens: Float[Tensor, "N C"]
    ) -> tuple[Float[Tensor, "N K"], Int[Tensor, "N K"]]:
        """The gates of each token's K chosen experts, which sum to 1, and their numbers."""
        probabilities = self.router(tokens).float().softmax(dim=-1)  # (N, E)
        top, chosen = probabilities.topk(self.n_active, dim=-1)
        n_expert = probabilities.shape[-1]
        share = nn.functional.one_hot(chosen, n_expert).float().mean(dim=(0, 1))
        self.balance_loss = n_expert * (share * probabilities.mean(dim=0)).sum()
        return (top / top.sum(dim=-1, keepdim=True)).to(tokens.dtype), chosen
