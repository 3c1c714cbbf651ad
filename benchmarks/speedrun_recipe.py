"""A fast recipe for a small character model on a processor: a network, an optimizer, a schedule.

Every trick can be switched off by one field of `Recipe`, and `speedrun_ablations` does so. None of
them counts anything in the text: all that the model knows of it, it learns by gradient descent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CONTEXT = 64
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


@dataclass(frozen=True)
class Recipe:
    """Sizes, learning rates and tricks of one run.

    Args:
        steps, batch_size: optimizer steps, and windows of 64 characters in each.
        n_layer, n_head, d_model, d_ff: sizes, as everywhere in the book.
        matrix_lr: Muon's rate. The others are AdamW's: `embedding_lr`, `output_lr`, and
            `vector_lr` for the look-back gates.
        momentum: Muon's.
        orthogonal_steps: Newton–Schulz iterations in each Muon update.
        look_back: each channel mixes in the token before, by a learnt amount ("smear").
        squared_relu: ReLU² instead of GELU (So et al. 2021).
        zero_projections: what writes into the residual stream starts at zero.
        qk_norm: queries and keys have length √D (Henry et al. 2020).
        rope: rotary positions instead of learnt ones.
        muon: orthogonal updates for the matrices (Jordan et al. 2024), otherwise AdamW.
        linear_cooldown: the rate falls in a straight line from the first step to the last,
            otherwise warm-up and cosine as in the textbook recipe.
        flush_denormals: numbers below 1e-38 count as zero.
    """

    steps: int = 220
    batch_size: int = 8
    n_layer: int = 2
    n_head: int = 2
    d_model: int = 128
    d_ff: int = 512
    matrix_lr: float = 0.03
    embedding_lr: float = 0.1
    output_lr: float = 0.015
    vector_lr: float = 0.05
    momentum: float = 0.9
    orthogonal_steps: int = 3
    look_back: bool = True
    squared_relu: bool = True
    zero_projections: bool = True
    qk_norm: bool = True
    rope: bool = True
    muon: bool = True
    linear_cooldown: bool = True
    flush_denormals: bool = True


def norm(x: Tensor) -> Tensor:
    """Divide by the root mean square; no weights to learn."""
    return F.rms_norm(x, (x.shape[-1],))


def before(x: Tensor) -> Tensor:
    """Each position gets what the position before it holds, the first one zeros. (B, T, C)"""
    return F.pad(x, (0, 0, 1, -1))


class FastModel(nn.Module):
    """A Transformer whose matrices of one shape lie in one tensor, so that Muon takes them at once.

    ``attention`` holds query, key, value and output matrices, (4, L, C, C); ``mlp`` the upper
    matrix and the transposed lower one, (2, L, F, C).
    """

    def __init__(self, recipe: Recipe, vocab_size: int) -> None:
        super().__init__()
        self.recipe = recipe
        n, c, f = recipe.n_layer, recipe.d_model, recipe.d_ff
        self.embedding = nn.Parameter(torch.randn(vocab_size, c))
        self.output = nn.Parameter(torch.zeros(vocab_size, c))
        writes = 0.0 if recipe.zero_projections else 0.02 / math.sqrt(2 * n)
        self.attention = nn.Parameter(torch.randn(4, n, c, c) / math.sqrt(c))
        self.mlp = nn.Parameter(torch.randn(2, n, f, c) / math.sqrt(c))
        with torch.no_grad():
            self.attention[3] *= writes * math.sqrt(c)
            self.mlp[1] *= writes * math.sqrt(c)
        self.gates = nn.Parameter(torch.zeros(1 + 2 * n, c))
        self.positions = nn.Parameter(torch.zeros(0 if recipe.rope else CONTEXT, c))
        d = c // recipe.n_head
        angle = torch.outer(torch.arange(CONTEXT), 1000.0 ** -(torch.arange(0, d, 2) / d))
        self.register_buffer("cos", torch.cat([angle, angle], 1).cos())
        self.register_buffer("sin", torch.cat([-angle, angle], 1).sin())

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (B, T, V) of the character after each of ids (B, T)."""
        x = self.embedding[ids]
        if not self.recipe.rope:
            x = x + self.positions[: ids.shape[1]]
        x = norm(self.smear(x, 0))
        for layer in range(self.recipe.n_layer):
            x = x + self.attend(self.smear(norm(x), 1 + 2 * layer), layer)
            x = x + self.think(self.smear(norm(x), 2 + 2 * layer), layer)
        return norm(x) @ self.output.T

    def smear(self, x: Tensor, gate: int) -> Tensor:
        """Add a learnt share of the position before: one look back, for the price of one sum."""
        return x + before(x) * self.gates[gate] if self.recipe.look_back else x

    def attend(self, x: Tensor, layer: int) -> Tensor:
        """Causal attention."""
        matrices = self.attention[:3, layer].flatten(0, 1)  # (3·C, C)
        heads = (x @ matrices.T).unflatten(-1, (3, self.recipe.n_head, -1))
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # (B, H, T, D) each
        if self.recipe.qk_norm:
            q, k = norm(q), norm(k)
        if self.recipe.rope:
            q, k = self.rotate(q), self.rotate(k)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return mixed.transpose(1, 2).flatten(2) @ self.attention[3, layer].T

    def rotate(self, x: Tensor) -> Tensor:
        """Rotary positions, half-split. (B, H, T, D)"""
        first, second = x.chunk(2, -1)
        t = x.shape[2]
        return x * self.cos[:t] + torch.cat([second, first], -1) * self.sin[:t]

    def think(self, x: Tensor, layer: int) -> Tensor:
        """The feed-forward layer."""
        up = x @ self.mlp[0, layer].T
        up = F.relu(up).square() if self.recipe.squared_relu else F.gelu(up, approximate="tanh")
        return up @ self.mlp[1, layer]


def orthogonalise(matrices: Tensor, steps: int) -> Tensor:
    """Newton–Schulz on many matrices at once, (…, M, N) with M ≥ N.

    Each step multiplies X by P = a + bG + cG², G = XᵀX. The P of all steps commute with G, so
    they are multiplied among themselves, N × N, and meet the large X once, at the end.
    """
    a, b, c = NEWTON_SCHULZ
    x = matrices.flatten(0, -3)
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    gram = x.mT @ x
    total = torch.eye(x.shape[2]).expand_as(gram)
    for step in range(steps):
        p = torch.baddbmm(b * gram, gram, gram, alpha=c)
        p.diagonal(dim1=1, dim2=2).add_(a)
        total = p @ total if step else p
        if step < steps - 1:
            gram = p @ gram @ p
    return (x @ total).view_as(matrices)


class Muon:
    """Momentum, made orthogonal. The rate is a tensor, so that a compiled update serves all."""

    def __init__(self, weights: list[nn.Parameter], recipe: Recipe) -> None:
        self.weights, self.recipe = weights, recipe
        self.buffers = [torch.zeros_like(w) for w in weights]
        self.update = self._update

    @torch.no_grad()
    def step(self, lr: Tensor) -> None:
        """Update every weight from its gradient."""
        for w, buffer in zip(self.weights, self.buffers, strict=True):
            assert w.grad is not None
            self.update(w, buffer, w.grad, lr)

    def _update(self, w: Tensor, buffer: Tensor, grad: Tensor, lr: Tensor) -> None:
        momentum = self.recipe.momentum
        buffer.lerp_(grad, 1 - momentum)
        direction = orthogonalise(grad.lerp(buffer, momentum), self.recipe.orthogonal_steps)
        w.sub_(direction * (lr * math.sqrt(w.shape[-2] / w.shape[-1])))


def schedule(step: int, recipe: Recipe) -> float:
    """The share of the learning rates that step 0, 1, … uses."""
    if recipe.linear_cooldown:
        return 1 - step / recipe.steps
    warmup = recipe.steps // 20
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / (recipe.steps - warmup)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * progress))


class FastTrainer:
    """The model, its optimizers, and one training step."""

    def __init__(self, recipe: Recipe, vocab_size: int, compiled: bool = False) -> None:
        self.recipe, self.done = recipe, 0
        self.model = model = FastModel(recipe, vocab_size)
        matrices = [model.attention, model.mlp]
        self.muon = Muon(matrices if recipe.muon else [], recipe)
        groups = [
            {"params": [model.embedding, model.positions], "lr": recipe.embedding_lr},
            {"params": [model.output], "lr": recipe.output_lr},
            {"params": [model.gates], "lr": recipe.vector_lr},
            {"params": [] if recipe.muon else matrices, "lr": recipe.matrix_lr},
        ]
        for group in groups:
            group["highest"] = group["lr"]
        self.adamw = torch.optim.AdamW(
            groups, betas=(0.9, 0.99), eps=1e-10, weight_decay=0.0, fused=True
        )
        self.loss = torch.compile(self._loss) if compiled else self._loss
        if compiled:
            self.muon.update = torch.compile(self.muon.update)

    def _loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(self.model(inputs).flatten(0, 1), targets.flatten())

    def step(self, inputs: Tensor, targets: Tensor) -> None:
        """One gradient, one update."""
        share = schedule(self.done, self.recipe)
        self.loss(inputs, targets).backward()
        for group in self.adamw.param_groups:
            group["lr"] = group["highest"] * share
        self.adamw.step()
        self.muon.step(torch.tensor(self.recipe.matrix_lr * share))
        self.model.zero_grad()
        self.done += 1
