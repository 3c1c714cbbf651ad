"""A small computation, stepped through: values forwards, derivatives backwards."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from llmbook.language import translate
from llmbook.web import svg
from llmbook.web.component import Component

Leaf: TypeAlias = tuple[str, float]
Step: TypeAlias = tuple[str, ...]
Graph: TypeAlias = tuple[str, Sequence[Leaf], Sequence[Step]]
SIGNS = {"add": "+", "mul": "×", "tanh": "tanh"}
N_PARENTS = {"add": 2, "mul": 2, "tanh": 1}
COLUMN, ROW, RADIUS = 150, 74, 30


def differentiate(leaves: Sequence[Leaf], steps: Sequence[Step]) -> dict[str, tuple[float, float]]:
    """For each name: its value, and the derivative of the last step with respect to it.

    Taught in chapter 6.
    """
    values = dict(leaves)
    for name, kind, *parents in steps:
        inputs = [values[p] for p in parents]
        if kind == "tanh":
            values[name] = math.tanh(inputs[0])
        else:
            values[name] = sum(inputs) if kind == "add" else math.prod(inputs)
    slopes = dict.fromkeys(values, 0.0)
    slopes[steps[-1][0]] = 1.0
    for name, kind, *parents in reversed(steps):
        if kind == "tanh":
            local = [1 - values[name] ** 2]
        elif kind == "add":
            local = [1.0, 1.0]
        else:
            local = [values[parents[1]], values[parents[0]]]
        for parent, slope in zip(parents, local, strict=True):
            slopes[parent] += slope * slopes[name]
    return {name: (values[name], slopes[name]) for name in values}


def _checked(graph: Graph) -> dict[str, Any]:
    title, leaves, steps = graph
    known = {name: 0 for name, _ in leaves}  # name -> column
    if len(known) != len(leaves) or not leaves or not steps:
        raise ValueError(f"{title!r} needs leaves of different names, and at least one step")
    for name, kind, *parents in steps:
        if kind not in SIGNS or len(parents) != N_PARENTS.get(kind):
            raise ValueError(f"{title!r}: {name} = {kind}({', '.join(parents)}) is no known step")
        missing = [p for p in parents if p not in known]
        if missing or name in known:
            raise ValueError(f"{title!r}: {name} uses {missing}, or its name is used already")
        known[name] = 1 + max(known[p] for p in parents)
    return {
        "title": translate(title),
        "names": list(known),
        "columns": list(known.values()),
        "rows": _rows(known),
        "leaves": [round(1000 * value) for _, value in leaves],
        "steps": [[kind, *(list(known).index(p) for p in ps)] for _, kind, *ps in steps],
    }


def _rows(columns: dict[str, int]) -> list[int]:
    """Rows in half units, so that each column stands in the middle."""
    height = max(list(columns.values()).count(c) for c in columns.values())
    seen: dict[int, int] = {}
    rows = []
    for column in columns.values():
        size = list(columns.values()).count(column)
        rows.append(height - size + 2 * seen.get(column, 0))
        seen[column] = seen.get(column, 0) + 1
    return rows


def graph_player(graphs: Sequence[Graph], *, caption: str = "") -> Component:
    """Let the reader step forwards and backwards through small computations.

    Args:
        graphs: (title, leaves, steps) each. A leaf is (name, value), a step (name, kind, parents…)
            with the kind add, mul (two parents) or tanh (one). The last step is what is
            differentiated.
    Raises:
        ValueError: no graph, an unknown kind, or a name that is missing or used twice.

    Taught in chapter 6.
    """
    if not graphs:
        raise ValueError("a player needs at least one graph")
    made = [_checked(graph) for graph in graphs]
    summary = f"{len(made)} graph{'s' if len(made) > 1 else ''}"
    return Component(
        "graph_player", {"graphs": made}, _picture(graphs[0], made[0]), summary, caption
    )


def _picture(graph: Graph, made: dict[str, Any]) -> str:
    """The first graph with all values and derivatives."""
    _, leaves, steps = graph
    found = differentiate(leaves, steps)
    places = [
        (50.0 + COLUMN * column, 50.0 + ROW * row / 2)
        for column, row in zip(made["columns"], made["rows"], strict=True)
    ]
    body = ""
    for i, (_, *parents) in enumerate(made["steps"], start=len(leaves)):
        for p in parents:
            (x1, y1), (x2, y2) = places[p], places[i]
            body += svg.tag("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke="#9aa3b0", stroke_width=2)
    signs = [""] * len(leaves) + [SIGNS[kind] for kind, *_ in made["steps"]]
    for (x, y), name, sign in zip(places, made["names"], signs, strict=True):
        value, slope = found[name]
        body += svg.tag("circle", cx=x, cy=y, r=RADIUS, fill="#eef3f9", stroke=svg.INK)
        body += svg.text(x, y - 8, f"{name} {sign}".strip(), anchor="middle", font_weight="bold")
        body += svg.text(x, y + 7, f"{value:.3f}", anchor="middle")
        body += svg.text(x, y + 21, f"{slope:.3f}", anchor="middle", fill=svg.ACCENT)
    width = 100 + COLUMN * max(made["columns"])
    height = 100 + ROW * max(made["rows"]) / 2
    part = translate("{name} {value} with derivative {slope}", "graph_player")
    listed = translate(", ", "graph_player").join(
        part.format(name=name, value=f"{v:.3f}", slope=f"{d:.3f}") for name, (v, d) in found.items()
    )
    alt = translate("The graph of {title}. Value and derivative: {listed}.", "graph_player")
    return svg.picture(width, height, body, alt.format(title=made["title"], listed=listed))
