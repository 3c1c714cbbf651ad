"""Beam search: follow the most probable texts side by side."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from llmbook.generate.reader import Decoder, Reader


class Beam(NamedTuple):
    """A text and its score: log-probability of the new tokens / (their number)^length_penalty."""

    ids: Int[Tensor, " N"]
    score: float


@torch.inference_mode()
def beam_search(
    model: Decoder,
    ids: Int[Tensor, "1 T"],
    *,
    n_beams: int,
    max_new_tokens: int,
    length_penalty: float = 1.0,
    stop_id: int | None = None,
    use_cache: bool = True,
) -> list[Beam]:
    """The best continuations found, best first.

    In each step every running text is continued by every token; the best that have not ended
    go on. A text ends with ``stop_id`` or when it has ``max_new_tokens``, and counts if it was
    among the best ``n_beams`` of its step. The search is over when the best running text, judged
    at its present length, is no better than the worst of ``n_beams`` that have ended. With
    n_beams ≥ V^max_new_tokens nothing is left out, and the search is exhaustive.

    Args:
        model: a `GPT` or `Seq2Seq.given` its source, put into evaluation mode by the caller.
        ids: one prompt.
        n_beams: how many texts run side by side.
        max_new_tokens: the most tokens to add.
        length_penalty: the exponent α of the length. 0 compares log-probabilities, which
            favours short texts; 1 compares their means per token.
        stop_id: the token that ends a text, and belongs to it.
        use_cache: keep keys and values of the tokens read.

    Raises:
        ValueError: more than one prompt, an empty one, or a setting outside its range.

    Source: Wu et al. 2016, whose length penalty is ((5 + |Y|)/6)^α; here it is |Y|^α, as in
    ``transformers``, whose rules are followed. Taught in chapter 14.
    """
    if ids.shape[0] != 1 or ids.shape[1] == 0 or n_beams < 1 or max_new_tokens < 1:
        raise ValueError(
            f"ids of shape {tuple(ids.shape)}, n_beams={n_beams}, max_new_tokens={max_new_tokens}: "
            "give one prompt of at least one token, and at least 1 of both"
        )
    read = Reader(model, use_cache=use_cache)
    if ids.shape[1] > 1:
        read(ids[:, :-1])  # once for all beams
        read.reorder(torch.zeros(n_beams, dtype=torch.long, device=ids.device))
    ids = ids.expand(n_beams, -1)
    log_p = torch.full((n_beams,), -math.inf, device=ids.device)  # of each running text:
    log_p[0] = 0.0  # they are the same as yet, so that one counts
    ended: list[Beam] = []
    for n_new in range(1, max_new_tokens + 1):
        total = log_p[:, None] + read(ids)[:, -1].log_softmax(dim=-1)  # (beams, V)
        log_p, rows, tokens = _best(total, 2 * n_beams)
        texts = torch.cat([ids[rows], tokens[:, None]], dim=1)
        ends = (tokens == (-1 if stop_id is None else stop_id)) | (n_new == max_new_tokens)
        best = (ends & log_p.isfinite())[:n_beams].nonzero()[:, 0]
        ended += [Beam(texts[i], float(log_p[i]) / n_new**length_penalty) for i in best]
        ended = sorted(ended, key=lambda beam: -beam.score)[:n_beams]
        running = (~ends).nonzero()[:n_beams, 0]
        ids, log_p = texts[running], log_p[running]
        read.reorder(rows[running])
        full = len(ended) == n_beams
        if not len(ids) or (full and float(log_p[0]) / n_new**length_penalty <= ended[-1].score):
            break
    return ended


def _best(
    total: Float[Tensor, "R V"], n: int
) -> tuple[Float[Tensor, " K"], Int[Tensor, " K"], Int[Tensor, " K"]]:
    """The n largest log-probabilities, each with its row and its token."""
    values, places = total.flatten().topk(min(n, total.numel()))
    return values, places // total.shape[1], places % total.shape[1]
