"""Documents packed into rows: little padding, and no token looks into another document."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from llmbook.datasets.batches import IGNORE, check_position
from llmbook.nn import causal_mask


def packed_mask(
    documents: Int[Tensor, "B T"], window: int | None = None
) -> Bool[Tensor, "B 1 T T"]:
    """True where a query may look: at its own and earlier tokens of its own document.

    Args:
        documents: which document of its row each token belongs to; -1 at padding, which looks
            nowhere and is looked at by nobody.
        window: how many of the last tokens it may look at; None means all.
    """
    own = (documents[:, :, None] == documents[:, None, :]) & (documents >= 0)[:, :, None]
    causal = causal_mask(documents.shape[1], device=documents.device, window=window)
    return (own & causal)[:, None]


class PackedBatches(Iterator[dict[str, Tensor]]):
    """An endless stream of rows of T tokens, each row holding whole pieces of documents.

    A document longer than a row is cut into pieces that share one token, so that every token
    but a document's first is a target exactly once per epoch. The longest pieces are placed
    first, each into the row with the least room that still takes it (best fit). Epochs differ
    in the order of rows. Batch number n is a function of ``(seed, n)`` alone.

    Args:
        tokens: ids (n_tokens,), an array or a memory-mapped file.
        starts: where each document begins, and the end of the last (n_documents + 1,), as
            `tokenize_documents` gives them.
        context_length: tokens per row, T.
        batch_size: rows per batch, B.
        seed: of the order of rows.

    A batch holds ``ids``, ``targets`` (-100 where there is none), ``positions`` (from 0 in each
    piece) and ``documents`` (see `packed_mask`), (B, T) each.

    Raises:
        ValueError: sizes below 1, starts that do not rise from 0 to the end, or no document of
            two tokens.

    Source: Ding et al. 2024, "Fewer truncations improve language modeling", algorithm 1; the
    mask: Krell et al. 2021, section 3.2.4. Taught in chapter 11.
    """

    def __init__(
        self,
        tokens: np.ndarray,
        starts: Sequence[int] | np.ndarray,
        context_length: int,
        batch_size: int,
        seed: int = 0,
    ) -> None:
        starts = np.asarray(starts, dtype=np.int64)
        if min(context_length, batch_size) < 1 or seed < 0:
            raise ValueError(
                f"context_length={context_length}, batch_size={batch_size}, seed={seed}: give "
                "sizes of at least 1 and a seed of at least 0"
            )
        if len(starts) < 2 or starts[0] or starts[-1] != len(tokens) or (np.diff(starts) < 0).any():
            raise ValueError(
                f"starts must rise from 0 to the {len(tokens)} tokens: give what "
                "tokenize_documents returned with these tokens"
            )
        self.tokens, self.context_length = tokens, context_length
        self.batch_size, self.seed, self.step = batch_size, seed, 0
        self.rows = _best_fit(_pieces(starts, context_length), context_length)
        if not self.rows:
            raise ValueError("no document has two tokens, so there is nothing to predict")
        self._order: tuple[int, np.ndarray] = (-1, np.zeros(0, np.int64))

    def __next__(self) -> dict[str, Tensor]:
        """The next batch."""
        first = self.step * self.batch_size
        self.step += 1
        rows = [self._row(self.rows[self._place(first + i)]) for i in range(self.batch_size)]
        return {k: torch.from_numpy(np.stack([row[k] for row in rows])) for k in rows[0]}

    @property
    def fill(self) -> float:
        """The share of positions that predict something; the rest is padding."""
        used = sum(n for row in self.rows for _, n in row)
        return used / (len(self.rows) * self.context_length)

    def state_dict(self) -> dict[str, Any]:
        """The position in the stream, and what the stream is made of."""
        return {"step": self.step, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved position; refuses one of another stream, as `TokenBatches` does."""
        self.step = check_position(state, self._identity())

    def _identity(self) -> dict[str, int]:
        return {
            "n_tokens": len(self.tokens),
            "n_rows": len(self.rows),
            "context_length": self.context_length,
            "batch_size": self.batch_size,
            "seed": self.seed,
        }

    def _place(self, n: int) -> int:
        """Which row stands at place n of the stream: a new shuffle for each epoch."""
        epoch, place = divmod(n, len(self.rows))
        if self._order[0] != epoch:
            raw = np.random.Philox(key=self.seed, counter=[0, 0, 1, epoch]).random_raw(
                len(self.rows)
            )
            self._order = (epoch, np.argsort(raw, kind="stable"))
        return int(self._order[1][place])

    def _row(self, pieces: list[tuple[int, int]]) -> dict[str, np.ndarray]:
        shape = self.context_length
        row = {
            "ids": np.zeros(shape, np.int64),
            "targets": np.full(shape, IGNORE, np.int64),
            "positions": np.zeros(shape, np.int64),
            "documents": np.full(shape, -1, np.int64),
        }
        at = 0
        for number, (start, n) in enumerate(pieces):
            here = slice(at, at + n)
            window = self.tokens[start : start + n + 1].astype(np.int64)
            row["ids"][here], row["targets"][here] = window[:-1], window[1:]
            row["positions"][here] = np.arange(n)
            row["documents"][here] = number
            at += n
        return row


def _pieces(starts: np.ndarray, longest: int) -> list[tuple[int, int]]:
    """(start, number of targets) of each piece, at most ``longest`` targets."""
    return [
        (place, min(longest, int(end) - 1 - place))
        for begin, end in itertools.pairwise(starts)
        for place in range(int(begin), int(end) - 1, longest)
    ]


def _best_fit(pieces: list[tuple[int, int]], room: int) -> list[list[tuple[int, int]]]:
    """Place the longest first, each where the least room is left over."""
    rows: list[list[tuple[int, int]]] = []
    with_room: dict[int, list[int]] = {}  # rows by the room that they have left
    rooms = 0  # bit r is set if a row has room r: the smallest that fits is found in one step
    for piece in sorted(pieces, key=lambda p: -p[1]):
        fitting = rooms >> piece[1]
        if fitting:
            left = (fitting & -fitting).bit_length() - 1 + piece[1]
            row = with_room[left].pop()
            if not with_room[left]:
                rooms &= ~(1 << left)
        else:
            left, row = room, len(rows)
            rows.append([])
        rows[row].append(piece)
        left -= piece[1]
        if left:
            with_room.setdefault(left, []).append(row)
            rooms |= 1 << left
    return rows
