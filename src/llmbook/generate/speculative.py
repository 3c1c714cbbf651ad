"""Speculative decoding: a small model guesses ahead, a large one checks all guesses at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from llmbook.generate.filters import Sampling, filtered
from llmbook.generate.reader import Decoder, Reader


@dataclass(frozen=True)
class Speculation:
    """What speculative decoding wrote, and what it cost."""

    ids: Int[Tensor, "1 N"]
    n_new: int
    n_calls: int
    n_drafted: int
    n_accepted: int

    @property
    def acceptance_rate(self) -> float:
        """Share of the guesses that were accepted."""
        return self.n_accepted / max(1, self.n_drafted)

    @property
    def tokens_per_call(self) -> float:
        """New tokens for each forward pass of the large model; 1 without guesses."""
        return self.n_new / max(1, self.n_calls)


@torch.inference_mode()
def speculate(
    model: Decoder,
    draft: Decoder,
    ids: Int[Tensor, "1 T"],
    *,
    max_new_tokens: int,
    n_draft: int = 4,
    seed: int | None = None,
    stop_id: int | None = None,
    **settings: Any,
) -> Speculation:
    """Write tokens that are distributed as ``model``'s own, in fewer passes through it.

    Each round the draft draws ``n_draft`` tokens; one pass of the model gives its distribution
    p at each of them and after the last. A guess x that the draft drew from q is accepted with
    probability min(1, p(x)/q(x)). The first that is not is replaced by a draw from
    max(0, p - q), made to sum to 1; if all are accepted, one more token is drawn from p.

    Args:
        model, draft: of one vocabulary, in evaluation mode. A text longer than the model's
            context is continued one token at a time.
        ids: one prompt.
        max_new_tokens: how many to write at most.
        n_draft: guesses in a round, γ in the paper.
        seed: makes the draws repeatable.
        stop_id: the text ends with this token.
        settings: of `Sampling`; they shape both models' distributions.

    Raises:
        ValueError: two vocabularies, more than one prompt, or a setting outside its range.

    Source: Leviathan et al. 2023; Chen et al. 2023, algorithm 2. Taught in chapter 14.
    """
    _check(model, draft, ids, max_new_tokens, n_draft)
    sampling, n_prompt = Sampling(**settings), ids.shape[1]
    generator = None if seed is None else torch.Generator(ids.device).manual_seed(seed)
    checker, guesser = Reader(model), Reader(draft)
    n_calls = n_drafted = n_accepted = 0
    while ids.shape[1] - n_prompt < max_new_tokens:
        left = max_new_tokens - (ids.shape[1] - n_prompt)
        room = model.config.context_length - ids.shape[1]
        guessed, q = _guess(guesser, ids, min(n_draft, left - 1, room), sampling, generator)
        p = _distributions(checker, guessed, 1 + len(q), sampling)
        tokens = _verify(p, q, guessed[0, ids.shape[1] :].tolist(), generator)
        n_calls, n_drafted = n_calls + 1, n_drafted + len(q)
        n_accepted += len(tokens) - 1
        if stop_id in tokens:
            tokens = tokens[: tokens.index(stop_id) + 1]
        ids = torch.cat([ids, torch.tensor([tokens], device=ids.device)], dim=1)
        if tokens[-1] == stop_id:
            break
        checker.rewind(ids.shape[1] - 1)
        guesser.rewind(ids.shape[1] - 1)
    return Speculation(ids, ids.shape[1] - n_prompt, n_calls, n_drafted, n_accepted)


def _guess(
    read: Reader, ids: Tensor, n: int, sampling: Sampling, generator: torch.Generator | None
) -> tuple[Int[Tensor, "1 N"], list[Tensor]]:
    """The text with n tokens of the draft, and the distributions that they were drawn from."""
    q: list[Tensor] = []
    for _ in range(n):
        q += _distributions(read, ids, 1, sampling)
        ids = torch.cat(
            [ids, torch.tensor([[_choose(q[-1], generator)]], device=ids.device)], dim=1
        )
    return ids, q


def _distributions(
    read: Reader, ids: Int[Tensor, "1 N"], last: int, sampling: Sampling
) -> list[Float[Tensor, " V"]]:
    """What is drawn from after each of the last positions."""
    logits, first = read(ids, last)[0], ids.shape[1] - last + 1
    return [
        filtered(row[None], sampling, ids[:, : first + i]).softmax(dim=-1)[0]
        for i, row in enumerate(logits)
    ]


def _verify(
    p: list[Tensor], q: list[Tensor], guesses: list[int], generator: torch.Generator | None
) -> list[int]:
    """The guesses that are accepted, and one token more."""
    for i, (guess, wanted, drawn_from) in enumerate(zip(guesses, p, q, strict=False)):
        accept = (wanted[guess] / drawn_from[guess]).clamp(max=1)
        if _choose(torch.stack([1 - accept, accept]), generator) == 0:
            missing = (wanted - drawn_from).clamp(min=0)
            known = missing if missing.any() else wanted  # p = q but for rounding
            return [*guesses[:i], _choose(known, generator)]
    return [*guesses, _choose(p[-1], generator)]


def _choose(weights: Float[Tensor, " V"], generator: torch.Generator | None) -> int:
    """Draw an index with probability proportional to its weight."""
    return int(torch.multinomial(weights, 1, generator=generator))


def _check(model: Decoder, draft: Decoder, ids: Tensor, max_new_tokens: int, n_draft: int) -> None:
    if model.config.vocab_size != draft.config.vocab_size:
        raise ValueError(
            f"the draft has {draft.config.vocab_size} tokens and the model "
            f"{model.config.vocab_size}: both must read the same tokenizer's ids"
        )
    if ids.shape[0] != 1 or ids.shape[1] == 0 or max_new_tokens < 0 or n_draft < 1:
        raise ValueError(
            f"ids of shape {tuple(ids.shape)}, max_new_tokens={max_new_tokens}, n_draft={n_draft}: "
            "give one prompt of at least one token, 0 or more new tokens and at least 1 guess"
        )
