"""PPMI with SVD, skip-gram with negative sampling, and GloVe, each from its paper's equations.

Chapter 5 derives the same steps in its cells; tests hold them against automatic differentiation.
"""

import numpy as np
import torch
from torch import Tensor

from word_vectors.text import OUTSIDE, Ids, Reals


def ppmi(rows: Ids, columns: Ids, n: Reals, n_words: int, smoothing: float = 0.75) -> Reals:
    """max(0, log (#(w,c) · Σ#(c)^α) / (#(w) · #(c)^α)) for each pair that occurs.

    Source: Levy, Goldberg and Dagan 2015, section 3 (context distribution smoothing α).
    """
    word = np.bincount(rows, n, n_words)
    context = np.bincount(columns, n, n_words) ** smoothing
    return np.maximum(0, np.log(n * context.sum() / (word[rows] * context[columns])))


def truncated_svd(rows: Ids, columns: Ids, values: Reals, n_words: int, d: int) -> Tensor:
    """U·√Σ of the d largest singular values of a sparse square matrix, by subspace iteration.

    Source: Halko, Martinsson and Tropp 2011; the square root: Levy et al. 2015.
    """
    index = torch.from_numpy(np.stack([rows, columns]))
    size = (n_words, n_words)
    matrix = torch.sparse_coo_tensor(
        index, torch.from_numpy(values).float(), size, check_invariants=True
    ).coalesce()
    turned = matrix.t().coalesce()
    basis = torch.randn(n_words, d + 20, generator=torch.Generator().manual_seed(0))
    for _ in range(5):
        basis, _ = torch.linalg.qr(matrix @ basis)
        basis, _ = torch.linalg.qr(turned @ basis)
    u, sigma, _ = torch.linalg.svd(matrix @ basis, full_matrices=False)
    return u[:, :d] * sigma[:d].sqrt()


def subsample(stream: Ids, counts: Ids, t: float, g: np.random.Generator) -> Ids:
    """Drop each word with probability 1 − √(t/f(w)) (Mikolov et al. 2013b, eq. 5)."""
    keep = np.minimum(1.0, np.sqrt(t * counts.sum() / counts))
    return stream[(stream == OUTSIDE) | (g.random(len(stream)) < keep[stream])]


def draw_pairs(stream: Ids, window: int, g: np.random.Generator) -> tuple[Ids, Ids]:
    """Shuffled pairs (centre, context): each centre has a random window of 1 … window words."""
    reach = g.integers(1, window + 1, len(stream))
    pairs = []
    for distance in range(1, window + 1):
        left, right = stream[:-distance], stream[distance:]
        inside = (left != OUTSIDE) & (right != OUTSIDE)
        for a, b, r in ((left, right, reach[:-distance]), (right, left, reach[distance:])):
            chosen = inside & (r >= distance)
            pairs.append(np.stack([a[chosen], b[chosen]]))
    both = np.concatenate(pairs, axis=1)
    centre, context = both[:, g.permutation(both.shape[1])]
    return centre, context


def sgns_step(
    w: Tensor, c: Tensor, centre: Tensor, seen: Tensor, noise: Tensor, lr: float
) -> float:
    """One gradient step, in place, on −log σ(w·c) − Σ log σ(−w·c′) of a batch of pairs.

    Args:
        w, c: word and context vectors (V, d); centre, seen (B,); noise (B, k).
    Returns:
        The loss in nats per pair, before the step.
    Source: Mikolov et al. 2013b, eq. 4.
    """
    contexts = torch.cat([seen[:, None], noise], dim=1)  # (B, 1 + k)
    x, y = w[centre], c[contexts]
    label = torch.zeros(contexts.shape)
    label[:, 0] = 1
    score = torch.bmm(y, x[:, :, None])[:, :, 0]
    error = torch.sigmoid(score) - label  # the derivative of the loss by each score
    loss = torch.nn.functional.softplus(torch.where(label == 1, -score, score)).sum(1).mean()
    step = -lr * error
    c.index_add_(0, contexts.flatten(), (step[:, :, None] * x[:, None]).flatten(0, 1))
    w.index_add_(0, centre, torch.bmm(step[:, None], y)[:, 0])
    return float(loss)


def train_sgns(
    stream: Ids, counts: Ids, *, d: int, window: int, k: int, t: float, epochs: int,
    lr: float = 0.025, batch: int = 512, seed: int = 0,
) -> tuple[Tensor, Tensor, list[float]]:  # fmt: skip
    """Skip-gram with negative sampling; returns both sets of vectors and the loss per epoch."""
    g, torch_g = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    w = (torch.rand(len(counts), d, generator=torch_g) - 0.5) / d
    c = torch.zeros(len(counts), d)
    noise_share = counts**0.75
    edges = np.cumsum(noise_share / noise_share.sum())
    losses = []
    for epoch in range(epochs):
        centre, seen = map(torch.from_numpy, draw_pairs(subsample(stream, counts, t, g), window, g))
        total, n_batches = 0.0, -(-len(centre) // batch)
        for i in range(n_batches):
            part = slice(i * batch, (i + 1) * batch)
            left = 1 - (epoch + i / n_batches) / epochs
            drawn = np.searchsorted(edges, g.random((len(centre[part]), k))).clip(0, len(w) - 1)
            noise = torch.from_numpy(drawn)
            total += sgns_step(w, c, centre[part], seen[part], noise, lr * max(left, 1e-4))
        losses.append(total / n_batches)
        print(f"sgns epoch {epoch + 1}: {len(centre):,} pairs, loss {losses[-1]:.4f}", flush=True)
    return w, c, losses


def glove_weight(x: Tensor, x_max: float = 100.0, alpha: float = 0.75) -> Tensor:
    """f(x) = (x/x_max)^α below x_max, else 1 (Pennington et al. 2014, eq. 9)."""
    return (x / x_max).clamp(max=1).pow(alpha)


class Glove:
    """Both sets of vectors with their biases, and AdaGrad's sums of squares."""

    def __init__(self, n_words: int, d: int, seed: int = 0) -> None:
        g = torch.Generator().manual_seed(seed)
        # The bias is a further column; (V, d + 1) for words, and the same for contexts.
        self.tables = [(torch.rand(n_words, d + 1, generator=g) - 0.5) / (d + 1) for _ in range(2)]
        self.squares = [torch.ones(n_words, d + 1) for _ in range(2)]

    def gradients(
        self, rows: Tensor, columns: Tensor, x: Tensor, x_max: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss f(X)(w·c + b + b̃ − log X)² of each cell, and half its gradient on both sides."""
        w, c = self.tables[0][rows], self.tables[1][columns]
        gap = (w[:, :-1] * c[:, :-1]).sum(1) + w[:, -1] + c[:, -1] - x.log()
        weighted = glove_weight(x, x_max) * gap
        one = torch.ones(len(x), 1)
        to_w = weighted[:, None] * torch.cat([c[:, :-1], one], 1)
        to_c = weighted[:, None] * torch.cat([w[:, :-1], one], 1)
        return weighted * gap, to_w, to_c

    def step(self, rows: Tensor, columns: Tensor, x: Tensor, x_max: float, lr: float) -> float:
        """One AdaGrad step on a batch of cells; returns their mean loss before it."""
        loss, *slopes = self.gradients(rows, columns, x, x_max)
        for table, squares, at, slope in zip(
            self.tables, self.squares, (rows, columns), slopes, strict=True
        ):
            table.index_add_(0, at, -lr * slope * squares[at].rsqrt())
            squares.index_add_(0, at, slope.square())
        return float(loss.mean())


def train_glove(
    rows: Ids, columns: Ids, n: Reals, *, n_words: int, d: int, x_max: float, epochs: int,
    lr: float = 0.05, batch: int = 512, seed: int = 0,
) -> tuple[Tensor, list[float]]:  # fmt: skip
    """GloVe; returns w + c for each word (Pennington et al. 2014, section 4.2), and the losses."""
    model, g = Glove(n_words, d, seed), np.random.default_rng(seed)
    losses = []
    for epoch in range(epochs):
        order = g.permutation(len(rows))
        i, j = torch.from_numpy(rows[order]), torch.from_numpy(columns[order])
        x, total = torch.from_numpy(n[order]).float(), 0.0
        starts = range(0, len(order), batch)
        for at in starts:
            part = slice(at, at + batch)
            total += model.step(i[part], j[part], x[part], x_max, lr)
        losses.append(total / len(starts))
        print(f"glove epoch {epoch + 1}: {len(order):,} cells, loss {losses[-1]:.5f}", flush=True)
    return (model.tables[0] + model.tables[1])[:, :-1], losses
