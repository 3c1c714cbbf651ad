"""FlashAttention's tiles, one after the other: the running maximum, sum and mixture of each row."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmbook.language import translate
from llmbook.web import svg
from llmbook.web.component import Component
from llmbook.web.quantise import Numbers, as_array

MAX_TOKENS, MAX_WIDTH = 8, 4
LARGEST = 9.99
Floats = NDArray[np.float64]


def tiling_player(
    q: Numbers,
    k: Numbers,
    v: Numbers,
    *,
    tile: tuple[int, int] = (2, 2),
    causal: bool = False,
    bytes_per_number: int = 4,
    caption: str = "",
) -> Component:
    """Let the reader step through the tiles of one head's attention, and count what is moved.

    Args:
        q: queries (T, D) of one head, T at most 8 and D at most 4. Kept in hundredths.
        k, v: keys and values (S, D), S at most 8.
        tile: queries and keys per tile at first; the reader may choose others.
        causal: each query sees the keys up to its own; what no query sees is not read.
        bytes_per_number: for the counts; 4 is float32.
        caption: a sentence below the component.
    Raises:
        ValueError: shapes that do not fit, or numbers beyond ±9.99.

    Queries are the outer loop and keys the inner one, as in Dao 2023, algorithm 1. Taught in
    chapter 10.
    """
    parts = _checked(q, k, v, causal)
    n_query, n_key = len(parts[0]), len(parts[1])
    if not (1 <= tile[0] <= n_query and 1 <= tile[1] <= n_key):
        raise ValueError(f"tile is {tile}: give 1 to {n_query} queries and 1 to {n_key} keys")
    if bytes_per_number < 1:
        raise ValueError(f"bytes_per_number is {bytes_per_number}: give a positive number")
    data: dict[str, object] = {
        name: np.rint(100 * part).astype(int).tolist()
        for name, part in zip("qkv", parts, strict=True)
    }
    data |= {"tile": list(tile), "causal": int(causal), "bytes": bytes_per_number}
    static = _static(parts, tile, causal, bytes_per_number)
    summary = f"{n_query} queries, {n_key} keys, tiles of {tile[0]} × {tile[1]}"
    return Component("tiling_player", data, static, summary, caption)


def walk(
    q: Numbers, k: Numbers, v: Numbers, tile: tuple[int, int], causal: bool = False
) -> list[dict[str, Any]]:
    """The state after each tile.

    Returns:
        One mapping per tile that is read: ``rows`` and ``columns`` (ranges), ``scores`` (rows,
        columns), minus infinity where masked, ``m_old`` and ``m``, ``factor`` = exp(m_old − m),
        ``l`` (all per row) and ``acc`` (rows, D). After a row's last tile acc / l is its output.

    Source: Milakov and Gimelshein 2018, algorithm 3; Dao 2023, algorithm 1. Taught in chapter 10.
    """
    queries, keys, values = _checked(q, k, v, causal)
    steps = []
    for rows in _blocks(len(queries), tile[0]):
        m = np.full(len(rows), -np.inf)
        total, acc = np.zeros(len(rows)), np.zeros((len(rows), values.shape[1]))
        for columns in _seen(rows, len(keys), tile[1], causal):
            scores = queries[rows] @ keys[columns].T / np.sqrt(queries.shape[1])
            if causal:
                future = np.array(columns)[None] > np.array(rows)[:, None]
                scores = np.where(future, -np.inf, scores)
            m_old, m = m, np.maximum(m, scores.max(axis=1))
            factor, weights = np.exp(m_old - m), np.exp(scores - m[:, None])
            total = total * factor + weights.sum(axis=1)
            acc = acc * factor[:, None] + weights @ values[columns]
            steps.append(
                {"rows": rows, "columns": columns, "scores": scores, "m_old": m_old, "m": m}
                | {"factor": factor, "l": total, "acc": acc}
            )
    return steps


def moved(
    n_query: int, n_key: int, d_head: int, tile: tuple[int, int], causal: bool = False
) -> dict[str, int]:
    """Numbers read from and written to slow memory by the forward pass.

    * ``tiled``: queries, outputs and L = m + log l once; keys and values once for each block of
      queries that sees them.
    * ``naive``: qkᵀ reads queries and keys and writes the scores; softmax reads them and writes
      the weights; the mixture reads weights and values and writes the outputs.

    Source: Dao et al. 2022, theorem 2 (which counts the same in O-notation). Taught in chapter 10.
    """
    keys = sum(
        len(columns)
        for rows in _blocks(n_query, tile[0])
        for columns in _seen(rows, n_key, tile[1], causal)
    )
    ends = 2 * n_query * d_head
    naive = ends + 2 * n_key * d_head + 4 * n_query * n_key
    return {"tiled": ends + n_query + 2 * keys * d_head, "naive": naive}


def _blocks(n: int, size: int) -> list[range]:
    return [range(start, min(start + size, n)) for start in range(0, n, size)]


def _seen(rows: range, n_key: int, size: int, causal: bool) -> Iterator[range]:
    """Blocks of keys of which some query of the block sees at least one."""
    return (c for c in _blocks(n_key, size) if not causal or c.start <= rows[-1])


def _checked(q: Numbers, k: Numbers, v: Numbers, causal: bool) -> tuple[Floats, Floats, Floats]:
    """The three in hundredths, as the page has them."""
    q, k, v = (as_array(x, name) for x, name in ((q, "q"), (k, "k"), (v, "v")))
    if q.ndim != 2 or k.ndim != 2 or k.shape != v.shape or q.shape[1] != k.shape[1]:
        raise ValueError(f"q {q.shape}, k {k.shape} and v {v.shape} must be (T, D), (S, D), (S, D)")
    longest, width = max(len(q), len(k)), q.shape[1]
    if not (min(len(q), len(k), width) >= 1 and longest <= MAX_TOKENS and width <= MAX_WIDTH):
        raise ValueError(f"{longest} tokens of width {width}: at most {MAX_TOKENS} and {MAX_WIDTH}")
    if causal and len(q) != len(k):
        raise ValueError(f"{len(q)} queries and {len(k)} keys: causal needs as many of both")
    largest = max(float(np.abs(x).max()) for x in (q, k, v))
    if largest > LARGEST:
        raise ValueError(f"a number is as large as {largest:.2f}: at most {LARGEST} is shown")
    return q.round(2), k.round(2), v.round(2)


def _static(
    parts: Sequence[Floats], tile: tuple[int, int], causal: bool, bytes_per_number: int
) -> str:
    """Each tile with the state after it, as a table."""
    q, k, v = parts
    width, so_far, rows = q.shape[1], 0, []
    steps = walk(q, k, v, tile, causal)
    for i, step in enumerate(steps):
        n_row, last = len(step["rows"]), i + 1 == len(steps) or steps[i + 1]["rows"] != step["rows"]
        so_far += 2 * len(step["columns"]) * width
        so_far += n_row * width * (step["columns"].start == 0) + n_row * (width + 1) * last
        out = [" ".join(_show(x) for x in row) for row in step["acc"] / step["l"][:, None]]
        rows.append(
            [_span(step["rows"]), _span(step["columns"])]
            + [", ".join(_show(x) for x in step[name]) for name in ("m", "factor", "l")]
            + [" | ".join(out) if last else "", f"{so_far * bytes_per_number:,}"]
        )
    naive = moved(len(q), len(k), width, tile, causal)["naive"] * bytes_per_number
    here = "tiling_player"
    title = translate("Attention, tile by tile. The naive way moves {n} bytes in all", here)
    head = [
        translate("Queries", here),
        translate("Keys", here),
        "m",
        translate("exp(m before − m)", here),
        "l",
        translate("Output", here),
        translate("Bytes moved so far", here),
    ]
    return svg.table(title.format(n=f"{naive:,}"), head, rows)


def _span(block: range) -> str:
    return str(block[0]) if len(block) == 1 else f"{block[0]}–{block[-1]}"


def _show(value: float) -> str:
    return f"{value + 0.0:.3f}".replace("-0.000", "0.000").replace("-", "−")
