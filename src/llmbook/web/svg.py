"""Static pictures drawn as SVG text: deterministic, small, without matplotlib."""

import base64
import html
from itertools import pairwise

INK, QUIET, RULE, ACCENT = "#1d2129", "#5a6270", "#d4d9e0", "#c2540a"
# The one sequential colour map for attention, fixed from 0 to 1 (the same stops as js/core.js).
SEQUENTIAL = [
    (0.0, "#fbfcfe"),
    (0.04, "#e4eef9"),
    (0.15, "#b5d2ee"),
    (0.35, "#68a6da"),
    (0.65, "#2a71b6"),
    (1.0, "#0a2f63"),
]


def sequential(weight: float | int) -> str:
    """The colour of an attention weight between 0 and 1, as ``#rrggbb``."""
    for (low, a), (high, b) in pairwise(SEQUENTIAL):
        if weight <= high:
            t = (weight - low) / (high - low)
            pairs = ((int(a[i : i + 2], 16), int(b[i : i + 2], 16)) for i in (1, 3, 5))
            return "#" + "".join(f"{round(x + (y - x) * t):02x}" for x, y in pairs)
    return SEQUENTIAL[-1][1]


def number(value: float | int) -> str:
    """At most one decimal, so that pictures stay small and repeat on every machine."""
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"


def tag(name: str, content: str = "", **attributes: object) -> str:
    """One element; underscores in attribute names become hyphens, numbers are rounded."""
    pairs = []
    for key, value in attributes.items():
        shown = number(value) if isinstance(value, float | int) else html.escape(str(value))
        pairs.append(f' {key.replace("_", "-")}="{shown}"')
    return (
        f"<{name}{''.join(pairs)}>{content}</{name}>" if content else f"<{name}{''.join(pairs)}/>"
    )


def text(x: float | int, y: float | int, words: str, **attributes: object) -> str:
    """Words at a point; ``fill``, ``anchor`` and the like as keyword arguments."""
    if "anchor" in attributes:
        attributes["text_anchor"] = attributes.pop("anchor")
    attributes.setdefault("fill", INK)
    return tag("text", html.escape(words), x=x, y=y, **attributes)


def picture(width: float | int, height: float | int, body: str, alt: str) -> str:
    """An image element that holds the drawing, so that sanitisers which drop SVG keep it."""
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {number(width)} {number(height)}" '
        f'width="{number(width)}" height="{number(height)}" '
        f'font-family="system-ui,sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{body}</svg>'
    )
    data = base64.b64encode(drawing.encode()).decode()
    return (
        f'<img alt="{html.escape(alt)}" width="{number(width)}" style="max-width:100%;height:auto"'
        f' src="data:image/svg+xml;base64,{data}">'
    )


def table(caption: str, head: list[str], rows: list[list[str]]) -> str:
    """A plain table whose first column names the rows."""
    top = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
    body = ""
    for first, *rest in rows:
        cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in rest)
        body += f'<tr><th scope="row">{html.escape(first)}</th>{cells}</tr>'
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
