"""Maps of numbers between 0 and 1: who looks at whom."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from llmbook.language import mark
from llmbook.plot.words import Verbatim

MAX_NUMBERED = 8
"""Maps of up to this many keys have their weights written into the cells."""


def attention_map(
    weights: ArrayLike | torch.Tensor,
    queries: Sequence[str],
    keys: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw attention weights (T, S): one row per query, darker where it looks more.

    The colours always run from 0 to 1, so that maps can be compared.

    Args:
        weights: (T, S), each between 0 and 1.
        queries: T labels, from top to bottom.
        keys: S labels; the queries' where left out.

    Raises:
        ValueError: labels that do not fit the weights, or weights outside 0 … 1.
    """
    table = _as_table(weights)
    keys = queries if keys is None else keys
    if table.shape != (len(queries), len(keys)):
        raise ValueError(
            f"weights {table.shape} need {table.shape[0]} query and {table.shape[1]} key labels, "
            f"got {len(queries)} and {len(keys)}"
        )
    if ax is None:
        side = min(6.0, 1.4 + 0.34 * max(table.shape))
        _, ax = plt.subplots(figsize=(side + 0.6, side))
    image = ax.imshow(table, vmin=0.0, vmax=1.0, cmap="Blues", aspect="equal")
    labels = [Verbatim(key) for key in keys]
    ax.set_xticks(range(len(keys)), labels, rotation=60, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(queries)), [Verbatim(query) for query in queries])
    ax.set_xlabel(mark("looks at (key)", "figure"))
    ax.set_ylabel(mark("query", "figure"))
    ax.tick_params(length=0)
    for side_name in ("top", "right", "bottom", "left"):
        ax.spines[side_name].set_visible(False)
    _number_cells(ax, table)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.8, ticks=[0, 0.5, 1])
    bar.set_label(mark("weight", "figure"))
    bar.outline.set_visible(False)
    return ax


def _as_table(weights: ArrayLike | torch.Tensor) -> np.ndarray:
    if isinstance(weights, torch.Tensor):
        weights = weights.detach().cpu().double().numpy()
    table = np.asarray(weights, dtype=float)
    if table.ndim != 2:
        raise ValueError(f"weights has shape {table.shape}: give one head's map, (T, S)")
    if not (np.isfinite(table).all() and table.min() >= -1e-6 and table.max() <= 1 + 1e-6):
        raise ValueError(f"weights lie from {table.min():.3g} to {table.max():.3g}, not in 0 … 1")
    return table


def _number_cells(ax: Axes, table: np.ndarray) -> None:
    if max(table.shape) > MAX_NUMBERED:
        return
    for (row, column), value in np.ndenumerate(table):
        ink = "white" if value > 0.55 else "#222222"
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=ink, size=9)
