"""Draw the book's logo, favicon and preview card, each from the same few numbers.

The mark is a causal attention map: a lower triangle of squares, each row's weights darker near
the diagonal, the last cell of a row in the accent colour. It is the picture that the book builds.
Run `python scripts/draw_logo.py`; the files are committed, and the same run gives the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch, Rectangle

matplotlib.use("Agg")

STATIC = Path(__file__).resolve().parents[1] / "book" / "_static"
INK, ACCENT, PAPER = "#0072b2", "#e69f00", "#ffffff"  # Okabe–Ito blue and orange
N = 4  # rows of the triangle
SIZE, MARGIN, GAP = 64, 4, 3  # units of the drawing

# How strongly the query of a row (first index) looks at each key; each row sums to 1.
WEIGHTS = [[1.0], [0.35, 0.65], [0.2, 0.25, 0.55], [0.3, 0.1, 0.15, 0.45]]


def tint(colour: str, strength: float) -> str:
    """A colour mixed with white: opaque, so that it is as clear on dark as on light."""
    channels = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(255 + (c - 255) * strength):02x}" for c in channels)


def cells() -> list[tuple[float, float, float, str]]:
    """The squares as (x, y, side, colour), y downwards from the top."""
    side = (SIZE - 2 * MARGIN - (N - 1) * GAP) / N
    drawn = []
    for row, weights in enumerate(WEIGHTS):
        for column, weight in enumerate(weights):
            x, y = (MARGIN + index * (side + GAP) for index in (column, row))
            blue = tint(INK, 0.45 + 0.55 * weight / max(weights))
            drawn.append((x, y, side, ACCENT if column == row else blue))
    return drawn


def svg() -> str:
    """The mark as SVG, 64 by 64, readable on white and on black."""
    squares = "\n".join(
        f'  <rect x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}" rx="2.5" fill="{colour}"/>'
        for x, y, side, colour in cells()
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" role="img" '
        f'aria-label="A causal attention map">\n{squares}\n</svg>\n'
    )


def draw_mark(axes: plt.Axes, left: float, top: float, scale: float) -> None:
    """The mark on matplotlib axes whose y runs downwards."""
    for x, y, side, colour in cells():
        axes.add_patch(
            FancyBboxPatch(
                (left + x * scale, top + y * scale),
                side * scale,
                side * scale,
                boxstyle=f"round,pad=0,rounding_size={2.5 * scale}",
                facecolor=colour,
                linewidth=0,
            )
        )


def canvas(width: int, height: int) -> tuple[plt.Figure, plt.Axes]:
    """A figure of exactly width by height pixels, y downwards."""
    figure = plt.figure(figsize=(width / 100, height / 100), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    return figure, axes


def save(figure: plt.Figure, name: str, **kwargs: Any) -> None:
    """Write a PNG without the software's version or date."""
    figure.savefig(STATIC / name, dpi=100, metadata={"Software": None}, **kwargs)
    plt.close(figure)


def favicon(pixels: int = 180) -> None:
    """The mark as PNG, for browsers and home screens that take no SVG."""
    figure, axes = canvas(pixels, pixels)
    draw_mark(axes, 0, 0, pixels / SIZE)
    save(figure, "favicon.png", transparent=True)


def card(width: int = 1200, height: int = 630) -> None:
    """The picture that a link to the book unfolds into."""
    figure, axes = canvas(width, height)
    axes.add_patch(Rectangle((0, 0), width, height, facecolor=PAPER))
    draw_mark(axes, 70, 155, 5.0)
    text: dict[str, Any] = {"family": "DejaVu Sans", "color": "#1a1a2e", "va": "baseline"}
    axes.text(450, 280, "Language Models", fontsize=50, weight="bold", **text)
    axes.text(450, 350, "from First Principles", fontsize=35, **text)
    axes.text(450, 410, "to the Economy", fontsize=35, **text)
    save(figure, "card.png")


def main() -> None:
    STATIC.mkdir(parents=True, exist_ok=True)
    for name in ("logo.svg", "favicon.svg"):
        (STATIC / name).write_text(svg(), encoding="utf-8")
    favicon()
    card()


if __name__ == "__main__":
    main()
