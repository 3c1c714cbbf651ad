"""How much a number measured on documents would move with other documents: the bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Numbers = Sequence[float] | Sequence[int] | np.ndarray


class Interval(NamedTuple):
    """An estimate and the ends of its interval."""

    estimate: float
    low: float
    high: float


def bootstrap_interval(
    values: Numbers,
    weights: Numbers | None = None,
    *,
    strata: Sequence[str] | np.ndarray | None = None,
    level: float = 0.95,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Σ values / Σ weights with its percentile interval when whole documents are drawn anew.

    The documents are the unit of chance, since the tokens of one document depend on each other:
    each resample draws as many documents as there are, with replacement, and takes the ratio of
    its sums. For bits per byte give ``values = nats / ln 2`` and ``weights = bytes``.

    Args:
        values: one per document.
        weights: one per document; without them each document weighs 1, which gives the mean.
        strata: one name per document; documents are then drawn within each name.
        level: share of the resamples inside the interval.

    Raises:
        ValueError: fewer than two documents, lengths that differ, weights that are not positive,
            or a level outside 0 … 1.

    Source: Efron and Tibshirani 1993, chapter 13 (percentile interval).
    """
    value, weight = _checked(values, weights, level)
    names = np.zeros(len(value)) if strata is None else np.asarray(strata)
    if names.shape != value.shape:
        raise ValueError(f"strata {names.shape} and values {value.shape}: one per document each")
    generator = np.random.default_rng(seed)
    resampled = sum(
        _resampled_sums(np.stack([value[names == s], weight[names == s]]), n_resamples, generator)
        for s in np.unique(names)
    )
    assert isinstance(resampled, np.ndarray)
    low, high = np.quantile(resampled[0] / resampled[1], [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value.sum() / weight.sum()), float(low), float(high))


def paired_bootstrap(
    values: Numbers,
    other: Numbers,
    weights: Numbers | None = None,
    *,
    strata: Sequence[str] | np.ndarray | None = None,
    level: float = 0.95,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """(Σ values − Σ other) / Σ weights with its interval, both measured on the same documents.

    Each resample draws the same documents for both, so that what makes a document hard for either
    model cancels: the interval of the difference is narrower than the two intervals suggest.
    ``strata`` as in `bootstrap_interval`.
    """
    if len(values) != len(other):
        raise ValueError(
            f"{len(values)} and {len(other)} documents: both need the same ones, in the same order"
        )
    difference = np.asarray(values, dtype=float) - np.asarray(other, dtype=float)
    return bootstrap_interval(
        difference, weights, strata=strata, level=level, n_resamples=n_resamples, seed=seed
    )


def _resampled_sums(
    columns: NDArray[np.float64], n_resamples: int, generator: np.random.Generator
) -> Reals:
    """Sums of each row of ``columns`` (K, N) over N documents drawn with replacement, (K, R)."""
    n_documents = columns.shape[1]
    equal = np.full(n_documents, 1 / n_documents)
    sums = np.empty((columns.shape[0], n_resamples))
    for at in range(0, n_resamples, 1000):  # how often each document is drawn, 1000 times at once
        draws = generator.multinomial(n_documents, equal, size=min(1000, n_resamples - at))
        sums[:, at : at + len(draws)] = columns @ draws.T
    return sums


def _checked(values: Numbers, weights: Numbers | None, level: float) -> tuple[Reals, Reals]:
    value = np.asarray(values, dtype=float)
    weight = np.ones_like(value) if weights is None else np.asarray(weights, dtype=float)
    if value.ndim != 1 or value.shape != weight.shape:
        raise ValueError(f"values {value.shape} and weights {weight.shape}: one per document each")
    if len(value) < 2:
        raise ValueError(f"{len(value)} document(s): resampling needs at least two")
    if not (weight > 0).all():
        raise ValueError("a document has weight 0 or less: leave empty documents out")
    if not 0 < level < 1:
        raise ValueError(f"level={level}: choose between 0 and 1, such as 0.95")
    return value, weight
