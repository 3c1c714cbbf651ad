"""One row per model, oldest first: how many parameters, and how many tokens it was trained on."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from llmbook.language import mark

UNPUBLISHED = "unpublished"
PARAMETERS, TOKENS, QUIET = "#0072B2", "#D55E00", "#767676"  # Okabe–Ito blue and vermillion
_UNITS = {6: "M", 9: "B", 12: "T"}
_DATE = re.compile(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?")

Row = Mapping[str, str]


def parse_count(text: str) -> int | None:
    """A cell of the table as a number; None where it is empty or "unpublished".

    Raises:
        ValueError: the cell holds anything else.
    """
    if text in ("", UNPUBLISHED):
        return None
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"{text!r} is no count: write a whole number, 'unpublished' or nothing")
    return int(text)


def parse_date(text: str) -> date:
    """A year, year-month or year-month-day; what is not said counts as the first of it.

    Raises:
        ValueError: the text is none of these.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no date: write YYYY, YYYY-MM or YYYY-MM-DD")
    return date(*(int(part or 1) for part in match.groups()))


def timeline(rows: Sequence[Row], ax: Axes | None = None) -> Axes:
    """Draw parameters (circles) and training tokens (diamonds) of each model on one log axis.

    A filled circle means that the weights can be downloaded, a hollow one that they cannot. A
    bar to the left of a circle ends at the parameters that work on one token, where only
    some do. Rows are sorted by date.

    Args:
        rows: dictionaries with ``model, date, parameters, active_parameters, training_tokens,
            open_weights``, as in ``load_table("timeline")``; counts are plain numbers.

    Raises:
        ValueError: no rows, or a cell that is neither a count nor a date.

    Taught in chapter 1.
    """
    if not rows:
        raise ValueError("a timeline needs at least one row")
    rows = sorted(rows, key=lambda row: parse_date(row["date"]))
    if ax is None:
        _, ax = plt.subplots(figsize=(4.8, 0.235 * len(rows) + 0.9), layout="constrained")
    for y, row in enumerate(rows):
        _draw_row(ax, y, row)
    _mark_years(ax, rows)
    _label_marks(ax, rows)
    _dress_axes(ax, rows)
    return ax


def _draw_row(ax: Axes, y: int, row: Row) -> None:
    total, active = parse_count(row["parameters"]), parse_count(row["active_parameters"])
    tokens = parse_count(row["training_tokens"])
    if total is None:
        size = mark("size unpublished", "figure")
        ax.text(0.01, y, size, transform=ax.get_yaxis_transform(), color=QUIET,
                style="italic", size=8, va="center")  # fmt: skip
    else:
        face = PARAMETERS if row["open_weights"] in ("yes", "research") else "white"
        ax.plot(total, y, "o", ms=7, color=PARAMETERS, mfc=face, mew=1.5, zorder=3)
    if total is not None and active is not None:
        ax.plot([active, total], [y, y], "-|", color=PARAMETERS, lw=1.5, ms=7, zorder=2)
    if tokens is not None:
        ax.plot(tokens, y, "D", ms=5, color=TOKENS, zorder=3)


def _mark_years(ax: Axes, rows: Sequence[Row]) -> None:
    last = ""
    for y, row in enumerate(rows):
        year = row["date"][:4]
        if year != last:
            ax.axhline(y - 0.5, color=QUIET, lw=0.4, alpha=0.6)
            ax.text(1.01, y, year, transform=ax.get_yaxis_transform(), va="center", size=9)
        last = year


def _label_marks(ax: Axes, rows: Sequence[Row]) -> None:
    """Name each kind of mark once, beside the first row that shows it."""
    kinds = [
        ("parameters", mark("parameters", "figure"), PARAMETERS, "right"),
        ("training_tokens", mark("training tokens", "figure"), TOKENS, "left"),
        ("active_parameters", mark("active", "figure"), PARAMETERS, "right"),
    ]
    for column, label, colour, side in kinds:
        counts = [parse_count(row[column]) for row in rows]
        first = next((y for y, count in enumerate(counts) if count is not None), None)
        if first is not None:
            gap = 7 if side == "left" else -7
            ax.annotate(label, (counts[first], first), (gap, 0), textcoords="offset points",
                        color=colour, size=9, va="center", ha=side)  # fmt: skip


def _dress_axes(ax: Axes, rows: Sequence[Row]) -> None:
    low, high = _decades(rows)
    ax.set_xscale("log")
    ax.set_xlim(10**low, 10**high)
    powers = range(low, high + 1, 1 if high - low < 6 else 2)
    ax.set_xticks([10**power for power in powers], [_tick_label(power) for power in powers])
    ax.minorticks_off()
    ax.set_xlabel(mark("M million, B billion, T trillion", "figure"))
    ax.set_yticks(range(len(rows)), [row["model"] for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.grid(axis="x", lw=0.4, alpha=0.6)
    ax.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)


def _decades(rows: Sequence[Row]) -> tuple[int, int]:
    """Powers of ten that enclose every count of the table, from millions to trillions."""
    columns = ("parameters", "active_parameters", "training_tokens")
    counts = [parse_count(row[column]) for row in rows for column in columns]
    known = [count for count in counts if count is not None] or [10**9]
    return max(6, math.floor(math.log10(min(known)))), max(9, math.ceil(math.log10(max(known))))


def _tick_label(power: int) -> str:
    thousands = min(12, power // 3 * 3)
    return f"{10 ** (power - thousands)} {_UNITS[thousands]}"
