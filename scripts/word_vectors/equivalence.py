"""Does w·c of skip-gram with negative sampling become PMI − log k? (Levy and Goldberg 2014)"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from word_vectors.text import cooccurrences, joined, read_corpus

N_WORDS, WINDOW, STEPS, RATE = 500, 5, 1500, 0.1
WIDTHS, NEGATIVES, POWERS = (4, 16, 64, 256, 500), (1, 5, 15), (1.0, 0.75)


def small_counts(n_words: int) -> Tensor:
    """Co-occurrence counts of the most frequent words of the corpus, (n_words, n_words)."""
    words, _, documents = read_corpus(10)
    rows, columns, n = cooccurrences(joined(documents, WINDOW), len(words), WINDOW, "linear")
    chosen = (rows < n_words) & (columns < n_words)
    dense = torch.zeros(n_words, n_words, dtype=torch.float64)
    dense[rows[chosen], columns[chosen]] = torch.from_numpy(n[chosen])
    return dense


def noise(counts: Tensor, power: float) -> Tensor:
    """Probability of each context as a negative: #(c)^power, normalised."""
    raised = counts.sum(0) ** power
    return raised / raised.sum()


def converge(counts: Tensor, d: int, k: float, power: float = 1.0) -> tuple[Tensor, float]:
    """Minimise the expected loss of SGNS over the whole matrix with Adam.

        −Σ #(w,c) log σ(w·c) − k Σ #(w) q(c) log σ(−w·c)

    Returns:
        The matrix of all w·c, and the largest entry of its change in the last tenth of the run
        (over the cells that occur): small where it has converged.
    Source: Levy and Goldberg 2014, section 3.1.
    """
    n = (counts / counts.sum()).float()
    against = (k * n.sum(1, keepdim=True) * noise(counts, power)[None]).float()
    g = torch.Generator().manual_seed(0)
    tables = [(torch.randn(len(n), d, generator=g) / d**0.5).requires_grad_() for _ in range(2)]
    adam = torch.optim.Adam(tables, lr=RATE)
    before = torch.zeros_like(n)
    for step in range(STEPS):
        for group in adam.param_groups:
            group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / STEPS)) / d**0.25
        adam.zero_grad()
        score = tables[0] @ tables[1].T
        (n * softplus(-score) + against * softplus(score)).sum().backward()
        adam.step()
        if step == STEPS * 9 // 10:
            before = score.detach().clone()
    score = (tables[0] @ tables[1].T).detach()
    return score.double(), float((score - before)[n > 0].abs().max())


def compare(counts: Tensor, score: Tensor, k: float, power: float, smoothed: float) -> dict:
    """How well w·c agrees with PMI − log k (of contexts raised to ``smoothed``) where n > 0."""
    total = counts.sum()
    expected = counts.sum(1, keepdim=True) * noise(counts, smoothed)[None]
    seen = counts > 0
    target = (counts / expected).log()[seen] - math.log(k)
    x, weight = score[seen], counts[seen] / total
    slope = np.polyfit(target.numpy(), x.numpy(), 1)[0]

    def correlation(a: Tensor, b: Tensor, share: Tensor) -> float:
        a, b = a - (share * a).sum(), b - (share * b).sum()
        parts = (share * a * b).sum(), (share * a * a).sum(), (share * b * b).sum()
        return float(parts[0] / (parts[1] * parts[2]).sqrt())

    even = torch.full_like(target, 1 / len(target))
    return {
        "k": k,
        "power": power,
        "compared_with_power": smoothed,
        "r": round(correlation(x, target, even), 4),
        "r_weighted": round(correlation(x, target, weight), 4),
        "rmse": round(float((x - target).square().mean().sqrt()), 4),
        "rmse_weighted": round(float((weight * (x - target).square()).sum().sqrt()), 4),
        "slope": round(float(slope), 4),
        "mean_of_score": round(float(x.mean()), 4),
        "mean_of_target": round(float(target.mean()), 4),
        "mean_unseen": round(float(score[~seen].mean()), 4),
    }


def measure() -> dict[str, Any]:
    """Every width with every k; and noise raised to 0.75, held against both kinds of PMI."""
    counts = small_counts(N_WORDS)
    rows = []
    plan = [(d, k, 1.0) for d in WIDTHS for k in NEGATIVES] + [(N_WORDS, 5, 0.75)]
    for d, k, power in plan:
        score, moved = converge(counts, d, k, power)
        for smoothed in sorted({1.0, power}):
            row = compare(counts, score, k, power, smoothed)
            rows.append({"d": d, **row, "last_change": round(moved, 4)})
            print(rows[-1], flush=True)
    return {
        "words": N_WORDS,
        "window": WINDOW,
        "steps": STEPS,
        "cells": N_WORDS**2,
        "cells_seen": int((counts > 0).sum()),
        "pairs": round(float(counts.sum())),
        "rows": rows,
    }
