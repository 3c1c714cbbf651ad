"""A map of word vectors to fly through: several models, neighbours, arrows between pairs."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from llmbook.language import translate
from llmbook.web import svg
from llmbook.web.component import Component
from llmbook.web.quantise import Numbers, as_array

REACH = 999
"""Coordinates are integers from 0 to this."""
NEAR = 8


def word_map(
    words: Sequence[str],
    vectors: Mapping[str, Numbers],
    *,
    relations: Mapping[str, Sequence[tuple[str, str]]] | None = None,
    word: str | None = None,
    caption: str = "",
) -> Component:
    """Words on the plane of their two principal components, one map for each model.

    The readers pan, zoom, search, hop from neighbour to neighbour and draw the arrows of a
    relation. Neighbours are the words of the list with the largest cosine in *all* dimensions.

    Args:
        words: the most important first; where labels would overlap, the earlier word is written.
        vectors: for each model's name a table (n_words, d). Give doubles, so that the integers
            repeat on another machine.
        relations: for each name of a relation its pairs of words; all must be in ``words``.
        word: chosen at first; the first of all without it.
    Raises:
        ValueError: tables that do not fit the words, words given twice, or unknown ones.

    Taught in chapter 5.
    """
    number = {w: i for i, w in enumerate(words)}
    if len(number) != len(words) or len(words) <= NEAR:
        raise ValueError(f"the map needs more than {NEAR} words, each of them once")
    wanted = [w for pairs in (relations or {}).values() for pair in pairs for w in pair]
    for w in [*wanted, *([word] if word else [])]:
        if w not in number:
            raise ValueError(f"{w!r} is not among the {len(words)} words of the map")
    maps: list[dict[str, object]] = []
    for name, given in vectors.items():
        table = as_array(given, name)
        if table.ndim != 2 or len(table) != len(words) or table.shape[1] < 2:
            raise ValueError(f"{name}: {table.shape} vectors for {len(words)} words")
        maps.append({"name": translate(name), **_reduce(table, name)})
    if not maps:
        raise ValueError("the map needs the vectors of at least one model")
    chosen = number[word] if word else 0
    arrows = [
        {"name": translate(name), "pairs": [number[w] for pair in pairs for w in pair]}
        for name, pairs in (relations or {}).items()
    ]
    data: dict[str, object] = {
        "words": list(words), "maps": maps, "relations": arrows, "near": NEAR, "word": chosen,
        "reach": REACH,
    }  # fmt: skip
    summary = f"{len(words)} words, {len(maps)} model{'s' if len(maps) > 1 else ''}"
    return Component("word_map", data, _still(words, maps, chosen), summary, caption)


def _reduce(table: NDArray[np.float64], name: str) -> dict[str, object]:
    """Coordinates, nearest words and their cosines in hundredths, as flat lists of integers."""
    norm = np.linalg.norm(table, axis=1, keepdims=True)
    if not norm.all():
        raise ValueError(f"{name}: a word's vector is zero, so it has no direction")
    unit = table / norm
    centred = unit - unit.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    plane = centred @ axes[:2].T
    plane *= np.sign(plane[np.abs(plane).argmax(axis=0), [0, 1]])  # the sign of an axis is free
    low, high = plane.min(axis=0), plane.max(axis=0)
    points = np.rint((plane - low) / np.maximum(high - low, 1e-12) * REACH).astype(int)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -2)
    near = np.argsort(-np.round(cosine, 9), axis=1, kind="stable")[:, :NEAR]
    close = np.rint(np.take_along_axis(cosine, near, axis=1) * 100).astype(int)
    return {"xy": points.ravel().tolist(), "near": near.ravel().tolist(),
            "cosine": close.ravel().tolist()}  # fmt: skip


def _still(words: Sequence[str], maps: Sequence[Mapping[str, object]], chosen: int) -> str:
    """The nearest words of the chosen one and of some others, as a table for each model."""
    shown = [chosen, *[i for i in range(len(words)) if i != chosen][:7]]
    rows = []
    for i in shown:
        row = [words[i]]
        for one in maps:
            near = one["near"]
            assert isinstance(near, list)
            row.append(", ".join(words[j] for j in near[NEAR * i : NEAR * i + 4]))
        rows.append(row)
    head = [translate("word", "word_map"), *[str(m["name"]) for m in maps]]
    return svg.table(translate("Nearest words on the map", "word_map"), head, rows)
