"""AdamW from PyTorch, Muon written out, and which parameter goes to which."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from llmbook.train.config import TrainConfig
from llmbook.train.parallel import placed_like, whole

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients a, b, c of one step X ← aX + b(XXᵀ)X + c(XXᵀ)²X (Jordan et al. 2024)."""


def orthogonalise(
    matrix: Float[Tensor, "M N"], steps: int = 5, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "M N"]:
    """Push a matrix's singular values towards 1 and keep its directions (Newton–Schulz).

    Five steps leave them between about 0.7 and 1.2: equal enough, and only matrix products.

    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers".
    """
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).to(dtype)
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal, for matrices inside a network.

    With momentum μ: B ← μB + g, then W ← (1 - lr·λ)W - lr · 0.2·√max(M, N) · NS(g + μB).
    The factor makes an update as large as AdamW's typical one, so that both share a learning
    rate (Liu et al. 2025, eq. 4).

    Source: Jordan et al. 2024; Liu et al. 2025, "Muon is scalable for LLM training".
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        self.dtype = dtype
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.dim() != 2:
                    raise ValueError(
                        f"Muon updates matrices, not a tensor of shape {tuple(parameter.shape)}: "
                        "give that one to AdamW"
                    )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every matrix that has a gradient."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group["lr"], group["weight_decay"], group["momentum"])
        return loss

    def _update(self, w: Tensor, lr: float, weight_decay: float, momentum: float) -> None:
        assert w.grad is not None
        state = self.state[w]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(w)
        buffer = state["momentum_buffer"].lerp_(w.grad, 1 - momentum)
        mean = whole(w.grad.lerp(buffer, momentum))  # under FSDP a process holds some rows only
        direction = placed_like(orthogonalise(mean, dtype=self.dtype), w)
        w.mul_(1 - lr * weight_decay)
        w.add_(direction, alpha=-lr * 0.2 * math.sqrt(max(w.shape)))


def make_optimizers(
    model: nn.Module, config: TrainConfig, dtype: torch.dtype = torch.float32
) -> list[torch.optim.Optimizer]:
    """The optimizers of a run: AdamW alone, or Muon for the blocks' matrices beside it."""
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    inner = [p for n, p in named if p.dim() == 2 and any(x.isdigit() for x in n.split("."))]
    muon = inner if config.optimizer == "muon" else []
    chosen = {id(p) for p in muon}
    matrices = [p for _, p in named if p.dim() >= 2 and id(p) not in chosen]
    vectors = [p for _, p in named if p.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)
    ]
    if muon:
        optimizers.append(
            Muon(muon, lr=config.learning_rate, weight_decay=config.weight_decay, dtype=dtype)
        )
    return optimizers
