"""Bars of a distribution and curves of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from llmbook.language import mark
from llmbook.plot.words import Verbatim

BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#767676"


def next_token_bars(
    tokens: Sequence[str],
    probabilities: ArrayLike | torch.Tensor,
    ax: Axes | None = None,
    chosen: str | None = None,
) -> Axes:
    """Draw the probabilities of the next token, the first at the top, each with its number.

    Args:
        tokens: the labels, as they are to be read.
        probabilities: one for each, between 0 and 1.
        chosen: the label to mark, for example the token that was drawn.

    Raises:
        ValueError: not one probability for each token.
    """
    values = np.asarray(torch.as_tensor(probabilities).detach().cpu().double())
    if values.shape != (len(tokens),):
        raise ValueError(f"{len(tokens)} tokens need as many probabilities, got {values.shape}")
    if ax is None:
        _, ax = plt.subplots(figsize=(5.6, 0.9 + 0.32 * len(tokens)))
    colours = [VERMILLION if token == chosen else BLUE for token in tokens]
    ax.barh(range(len(tokens)), values, color=colours, height=0.72)
    for row, value in enumerate(values):
        ax.text(value, row, f" {value:.1%}", va="center", size=10)
    ax.set_yticks(range(len(tokens)), [Verbatim(token) for token in tokens])
    ax.set_ylim(len(tokens) - 0.5, -0.5)
    ax.set_xlim(0, min(1.0, float(values.max(initial=0.0)) * 1.18 + 1e-9))
    ax.set_xlabel(mark("probability of the next token", "figure"))
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    return ax


def loss_curve(
    records: Sequence[Mapping[str, float]],
    ax: Axes | None = None,
    levels: Mapping[str, float] | None = None,
) -> Axes:
    """Draw a run's log: training loss as a line, validation loss as points, both in nats.

    Args:
        records: with ``step`` and ``loss``, some with ``val_loss``, as `train` returns them.
        levels: losses to compare with, each drawn as a labelled dashed line.

    Raises:
        ValueError: an empty log.
    """
    if not records:
        raise ValueError("an empty log: train for at least one step")
    if ax is None:
        _, ax = plt.subplots()
    steps = [record["step"] for record in records]
    ax.plot(steps, [record["loss"] for record in records], color=BLUE, lw=1.0, alpha=0.8)
    _label_end(ax, steps[-1], records[-1]["loss"], mark("training", "figure"), BLUE, -9)
    checked = [record for record in records if "val_loss" in record]
    if checked:
        x, y = zip(*((r["step"], r["val_loss"]) for r in checked), strict=True)
        ax.plot(x, y, "o-", color=VERMILLION, ms=4, lw=1.2)
        _label_end(ax, x[-1], y[-1], mark("validation", "figure"), VERMILLION, 9)
    for name, level in (levels or {}).items():
        ax.axhline(level, color=GREY, lw=1, ls="--")
        ax.text(steps[-1], level, name, color=GREY, ha="right", va="bottom", size=9)
    ax.set_xlabel(mark("optimizer steps", "figure"))
    ax.set_ylabel(mark("loss (nats per token)", "figure"))
    ax.margins(x=0.02)
    return ax


def _label_end(ax: Axes, x: float, y: float, text: str, colour: str, rise: float) -> None:
    ax.annotate(
        text, (x, y), (4, rise), textcoords="offset points", color=colour, va="center", size=10
    )
