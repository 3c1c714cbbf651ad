"""Gradient descent on a bowl or a valley: choose the step, watch it arrive, zigzag or diverge."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmbook.language import translate
from llmbook.web import svg
from llmbook.web.component import Component
from llmbook.web.quantise import Numbers, as_array, milli, same_length

LEVELS = (0.02, 0.08, 0.2, 0.4, 0.7, 1.0, 1.5, 2.2, 3.2)
"""Contours are drawn where the loss above its minimum is this share of what it is at the start."""


def descend(
    hessian: NDArray[np.float64],
    minimum: NDArray[np.float64],
    start: NDArray[np.float64],
    rate: float | int,
    n_steps: int,
) -> NDArray[np.float64]:
    """The places x ← x − rate · hessian (x − minimum), start included, as the script finds them."""
    places = [start]
    for _ in range(n_steps):
        places.append(places[-1] - rate * hessian @ (places[-1] - minimum))
    return np.stack(places)


def _surface(name: str, given: Mapping[str, Numbers]) -> dict[str, Any]:
    arrays = {key: as_array(given[key], f"{key} of {name!r}") for key in ("hessian", "minimum")}
    hessian, minimum = arrays["hessian"], arrays["minimum"]
    if hessian.shape != (2, 2) or minimum.shape != (2,):
        raise ValueError(
            f"{name!r} needs a hessian (2, 2) and a minimum (2,), "
            f"not {hessian.shape} and {minimum.shape}"
        )
    if not np.allclose(hessian, hessian.T) or np.linalg.eigvalsh(hessian)[0] <= 0:
        raise ValueError(f"the hessian of {name!r} is no bowl: symmetric and positive is needed")
    return {
        "name": translate(name),
        "hessian": hessian,
        "minimum": minimum,
        "least": float(given["least"]),
    }


def descent_explorer(
    surfaces: Mapping[str, Mapping[str, Numbers]],
    *,
    start: Sequence[float] = (0.0, 0.0),
    rate: float = 0.05,
    n_steps: int = 40,
    axes: Sequence[str] = ("x", "y"),
    caption: str = "",
) -> Component:
    """Let the reader turn the learning rate and move the start of gradient descent.

    Args:
        surfaces: by name, quadratic losses least + ½ (x − minimum)ᵀ hessian (x − minimum).
        start: where the descent begins.
        rate: learning rate at first, below 2.8 divided by the first surface's largest curvature.
        n_steps: steps that are drawn at most.
        axes: names of the two parameters.
    Raises:
        ValueError: for a surface that is no bowl, or a rate out of range.

    Taught in chapter 0.
    """
    if not surfaces:
        raise ValueError("a descent needs at least one surface")
    made = [_surface(name, given) for name, given in surfaces.items()]
    same_length(2, start=start, axes=axes)
    axes = [translate(axis) for axis in axes]
    limit = 2.8 / float(np.linalg.eigvalsh(made[0]["hessian"])[-1])
    if not 0 < rate <= limit:
        raise ValueError(f"rate is {rate}, but must lie in 0..{limit:.3f}")
    begin = as_array(start, "start")
    data: dict[str, object] = {
        "surfaces": [
            {
                "name": one["name"],
                "hessian": milli(one["hessian"], "hessian"),
                "minimum": milli(one["minimum"], "minimum"),
                "least": round(one["least"] * 1000),
            }
            for one in made
        ],
        "start": milli(begin, "start"),
        "rate": round(rate * 1000),
        "steps": int(n_steps),
        "levels": [round(1000 * level) for level in LEVELS],
        "axes": list(axes),
    }
    picture = static_descent(made[0], begin, rate, n_steps, axes)
    summary = f"{len(made)} surface{'s' if len(made) > 1 else ''}, learning rate {rate:g}"
    return Component("descent_explorer", data, picture, summary, caption)


def static_descent(
    surface: dict[str, Any],
    start: NDArray[np.float64],
    rate: float | int,
    n_steps: int,
    axes: Sequence[str],
) -> str:
    """The first surface from above, with its contours and one path."""
    hessian, minimum = surface["hessian"], surface["minimum"]
    side, reach = 360.0, 1.35 * float(np.abs(start - minimum).max())
    scale = side / 2 / reach

    def place(point: NDArray[np.float64]) -> tuple[float, float]:
        x, y = np.clip((point - minimum) * scale, -2 * side, 2 * side)
        return side / 2 + float(x), side / 2 - float(y)

    values, vectors = np.linalg.eigh(hessian)
    angle = -float(np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0])))
    height = float((start - minimum) @ hessian @ (start - minimum)) / 2
    body = ""
    for level in LEVELS:
        rx, ry = np.sqrt(2 * level * height / values) * scale
        turn = f"rotate({angle:.1f} {side / 2:g} {side / 2:g})"
        body += svg.tag(
            "ellipse",
            cx=side / 2,
            cy=side / 2,
            rx=float(rx),
            ry=float(ry),
            transform=turn,
            fill="none",
            stroke="#9aa3b0",
        )
    path = [place(point) for point in descend(hessian, minimum, start, rate, n_steps)]
    points = " ".join(f"{svg.number(x)},{svg.number(y)}" for x, y in path)
    body += svg.tag("polyline", points=points, fill="none", stroke=svg.ACCENT, stroke_width=2)
    for x, y in path:
        body += svg.tag("circle", cx=x, cy=y, r=3, fill=svg.ACCENT)
    body += svg.text(side / 2, side / 2 + 5, "+", anchor="middle", font_size=20)
    body += svg.text(side - 6, side - 8, f"{axes[0]} →", anchor="end")
    body += svg.text(8, 16, f"↑ {axes[1]}")
    alt = translate(
        "Contours of the loss around its minimum, marked +, and the path of {n} steps of "
        "gradient descent with learning rate {rate}.",
        "descent_explorer",
    )
    return svg.picture(side, side, body, alt.format(n=n_steps, rate=f"{rate:g}"))
