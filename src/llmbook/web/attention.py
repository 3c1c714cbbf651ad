"""The attention explorer: every head of a model on one sentence."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llmbook.language import translate
from llmbook.web import svg
from llmbook.web.component import Component
from llmbook.web.quantise import (
    WEIGHT_STEPS,
    Numbers,
    is_causal,
    pack,
    quantise_attention,
    same_length,
    visible,
)

MAX_TOKENS = 40


def attention_explorer(
    tokens: Sequence[str],
    weights: Numbers,
    *,
    layer: int = 0,
    head: int = 0,
    query: int | None = None,
    caption: str = "",
) -> Component:
    """Show where each token of a sentence looks, for every layer and head.

    Args:
        tokens: the T tokens as strings, at most 40.
        weights: attention weights (L, H, T, T) or (H, T, T); row t says where token t looks.
            Compute them in double precision where another machine must print the same output.
        layer, head, query: what is chosen at first; the query defaults to the last token.
        caption: a sentence below the component.
    Raises:
        ValueError: for wrong shapes, rows that do not sum to 1, or a choice that does not exist.

    Taught in chapter 7.
    """
    integers = quantise_attention(weights)
    n_layer, n_head, t, _ = integers.shape
    same_length(t, tokens=tokens)
    if not 1 <= t <= MAX_TOKENS:
        raise ValueError(f"{t} tokens given: the explorer shows 1 to {MAX_TOKENS}")
    query = t - 1 if query is None else query
    for name, value, size in (
        ("layer", layer, n_layer),
        ("head", head, n_head),
        ("query", query, t),
    ):
        if not 0 <= value < size:
            raise ValueError(f"{name} is {value}, but must lie in 0..{size - 1}")
    shown = [visible(token) for token in tokens]
    causal = is_causal(integers)
    data: dict[str, object] = {
        "tokens": list(shown),
        "layers": n_layer,
        "heads": n_head,
        "causal": int(causal),
        "weights": pack(integers, causal),
        "layer": layer,
        "head": head,
        "query": query,
    }
    return Component(
        name="attention_explorer",
        data=data,
        static=static_map(shown, integers[layer, head], _title(layer, head)),
        summary=f"{n_layer} layers × {n_head} heads × {t} tokens",
        caption=caption,
    )


def _title(layer: int, head: int) -> str:
    title = translate("Layer {layer}, head {head}", "attention_explorer.map_title")
    return title.format(layer=layer, head=head)


def heat_paths(weights: NDArray[np.uint8], cell: int, x0: float | int, y0: float | int) -> str:
    """The cells of a map (T, T) of bytes, one path for each of 32 shades (small)."""
    shades: dict[int, list[str]] = {}
    for (row, column), weight in np.ndenumerate(weights):
        if weight:
            move = f"M{x0 + column * cell:g} {y0 + row * cell:g}h{cell}v{cell}h-{cell}z"
            shades.setdefault(int(weight) // 8, []).append(move)
    return "".join(
        svg.tag("path", fill=svg.sequential((8 * shade + 4) / WEIGHT_STEPS), d="".join(moves))
        for shade, moves in sorted(shades.items())
    )


def static_map(tokens: Sequence[str], weights: NDArray[np.uint8], title: str) -> str:
    """One head's map as a picture with tokens on both axes, and its strongest links in words."""
    t = len(tokens)
    cell = max(12, min(26, 520 // t))
    margin = 14 + 7.3 * max(len(token) for token in tokens)
    size = t * cell
    body = svg.tag(
        "rect", x=margin, y=margin, width=size, height=size, fill="#fbfcfe", stroke=svg.RULE
    )
    body += heat_paths(weights, cell, margin, margin)
    for i, token in enumerate(tokens):
        centre = margin + (i + 0.5) * cell
        body += svg.text(margin - 6, centre + 4, token, anchor="end", font_family="monospace")
        turn = f"rotate(-90 {svg.number(centre + 4)} {svg.number(margin - 6)})"
        body += svg.text(centre + 4, margin - 6, token, transform=turn, font_family="monospace")
    words = translate("{title}. Row: looking; column: looked at.", "attention_explorer")
    body += svg.text(margin, margin + size + 20, words.format(title=title), fill=svg.QUIET)
    width = max(margin + size + 10, margin + 300)
    return svg.picture(width, margin + size + 30, body, describe(tokens, weights, title))


def describe(tokens: Sequence[str], weights: NDArray[np.uint8], title: str) -> str:
    """The map in words: where each of the five most decided tokens looks most."""
    strongest = weights.max(axis=1).astype(int)
    strongest[0] = 0  # the first token of a causal map has no choice
    rows = sorted(np.argsort(-strongest, kind="stable")[:5])
    link = translate("{token} at {other} ({percent} %)", "attention_explorer")
    links = [
        link.format(
            token=tokens[i],
            other=tokens[int(weights[i].argmax())],
            percent=round(100 * strongest[i] / 255),
        )
        for i in rows
        if strongest[i]
    ]
    words = translate(
        "{title}: attention between {n} tokens. Looking most: {links}.", "attention_explorer"
    )
    joined = translate("; ", "attention_explorer").join(links)
    return words.format(title=title, n=len(tokens), links=joined)
