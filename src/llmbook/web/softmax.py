"""A dictionary whose look-up is soft: keys in the plane, a query to drag, values that mix."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llmbook.language import translate
from llmbook.web import svg
from llmbook.web.component import Component
from llmbook.web.quantise import Numbers, as_array, milli, same_length


def soft_lookup(
    keys: NDArray[np.float64],
    values: NDArray[np.float64],
    query: NDArray[np.float64],
    beta: float | int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Scores q·k, weights softmax(β q·k) and the mixed value, as the script computes them."""
    scores = keys @ query
    powers = np.exp(beta * (scores - scores.max()))
    weights = powers / powers.sum()
    return scores, weights, float(weights @ values)


def softmax_dictionary(
    keys: Numbers,
    values: Numbers,
    *,
    names: Sequence[str] | None = None,
    query: Sequence[float] = (0.6, 0.4),
    sharpness: float | int = 1.0,
    max_sharpness: float | int = 20.0,
    unit: str = "",
    caption: str = "",
) -> Component:
    """Let the reader drag a query among keys and watch the weights and the mixed value.

    Args:
        keys: n points (n, 2), 2 to 12 of them.
        values: n numbers, in ``unit``.
        names: of the keys; a, b, c, … otherwise.
        query: where the query starts.
        sharpness: β in softmax(β q·k) at first, between 0 and ``max_sharpness``.
    Raises:
        ValueError: for wrong shapes or a sharpness out of range.

    Taught in chapter 7.
    """
    points, numbers = as_array(keys, "keys"), as_array(values, "values")
    if points.ndim != 2 or points.shape[1] != 2 or not 2 <= len(points) <= 12:
        raise ValueError(f"keys must have shape (n, 2) with n from 2 to 12, not {points.shape}")
    if numbers.shape != (len(points),):
        raise ValueError(f"values must have shape ({len(points)},), not {numbers.shape}")
    names = list(names) if names is not None else [chr(97 + i) for i in range(len(points))]
    same_length(len(points), names=names)
    names, unit = [translate(name) for name in names], translate(unit)
    same_length(2, query=query)
    if not 0 <= sharpness <= max_sharpness:
        raise ValueError(f"sharpness is {sharpness}, but must lie in 0..{max_sharpness}")
    start = as_array(query, "query")
    reach = 1.25 * max(float(np.abs(points).max()), float(np.abs(start).max()), 0.1)
    data: dict[str, object] = {
        "keys": milli(points, "keys"),
        "values": milli(numbers, "values"),
        "names": names,
        "query": milli(start, "query"),
        "sharpness": round(sharpness * 1000),
        "max_sharpness": round(max_sharpness * 1000),
        "reach": round(reach * 1000),
        "unit": unit,
    }
    picture = static_plane(points, numbers, names, start, sharpness, reach, unit)
    summary = f"{len(points)} keys, sharpness {sharpness:g}"
    return Component("softmax_dictionary", data, picture, summary, caption)


def static_plane(
    keys: NDArray[np.float64],
    values: NDArray[np.float64],
    names: Sequence[str],
    query: NDArray[np.float64],
    beta: float | int,
    reach: float,
    unit: str,
) -> str:
    """The starting position as a picture: each key's size and shade is its weight."""
    _, weights, mixed = soft_lookup(keys, values, query, beta)
    side = 300.0

    def place(point: NDArray[np.float64]) -> tuple[float, float]:
        return side / 2 * (1 + point[0] / reach), side / 2 * (1 - point[1] / reach)

    body = svg.tag("path", d=f"M0 {side / 2:g}H{side:g}M{side / 2:g} 0V{side:g}", stroke=svg.RULE)
    qx, qy = place(query)
    for key, name, weight in zip(keys, names, weights, strict=True):
        x, y = place(key)
        body += svg.tag(
            "line",
            x1=qx,
            y1=qy,
            x2=x,
            y2=y,
            stroke=svg.ACCENT,
            stroke_width=0.5 + 7 * weight,
            opacity=0.5,
        )
        body += svg.tag(
            "circle",
            cx=x,
            cy=y,
            r=5 + 13 * weight**0.5,
            fill=svg.sequential(weight),
            stroke="#2a71b6",
        )
        body += svg.text(x, y - 9 - 13 * weight**0.5, name, anchor="middle")
    body += svg.tag("circle", cx=qx, cy=qy, r=7, fill=svg.ACCENT)
    body += svg.text(qx + 11, qy + 4, "q", fill=svg.ACCENT, font_weight="bold")
    rows = list(zip(names, weights, values, strict=True))
    for i, (name, weight, value) in enumerate(rows):
        y = 30.0 + 24 * i
        body += svg.text(side + 100, y, name, anchor="end")
        body += svg.tag(
            "rect", x=side + 108, y=y - 12, width=max(1.0, 110 * weight), height=16, fill="#0b65b0"
        )
        body += svg.text(side + 112 + 110 * weight, y, f"{100 * weight:.0f} %")
        body += svg.text(side + 330, y, f"{value:g} {unit}".strip(), anchor="end", fill=svg.QUIET)
    total = translate("mixed value {value}", "softmax_dictionary")
    total = total.format(value=f"{mixed:.2f} {unit}".strip())
    body += svg.text(side + 330, 46.0 + 24 * len(rows), total, anchor="end", font_weight="bold")
    words = ", ".join(f"{n}: {100 * w:.0f} %" for n, w in zip(names, weights, strict=True))
    alt = translate(
        "A query among {n} keys; softmax weights {weights}; {total}.", "softmax_dictionary"
    )
    alt = alt.format(n=len(names), weights=words, total=total)
    return svg.picture(side + 340, max(side, 60.0 + 24 * len(rows)), body, alt)
