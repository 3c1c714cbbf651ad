"""Writing text: turn logits into a distribution, draw a token, append it, go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from llmbook.generate.constrained import Constraint
from llmbook.generate.filters import Sampling, adjusted, filtered, probabilities
from llmbook.generate.reader import Decoder, Reader, left_pad
from llmbook.models import GPT

Prompts = Int[Tensor, "B T"] | Sequence[Sequence[int]]
Seed = int | Sequence[int] | None


@overload
def generate(model: Decoder, ids: Tensor, **settings: Any) -> Tensor: ...
@overload
def generate(model: Decoder, ids: Sequence[Sequence[int]], **settings: Any) -> list[list[int]]: ...
def generate(model: Decoder, ids: Prompts, **settings: Any) -> Tensor | list[list[int]]:
    """Continue each row of ids; ``settings`` are the arguments of `stream`.

    Returns:
        The given ids and the new ones. For a tensor (B, T) a tensor (B, N), N = T + the number
        of tokens drawn, where a row that has stopped is filled with its last token. For lists,
        which may differ in length, lists that end where each row stopped.

    Taught in chapters 1 and 14.
    """
    new = [token[:, None] for token in stream(model, ids, **settings)]
    if isinstance(ids, Tensor):
        return torch.cat([ids, *new], dim=1)
    stops = _stops(settings.get("stop_id"), settings.get("stop", ()), settings.get("constraint"))
    rows = torch.cat(new, dim=1).tolist() if new else [[] for _ in ids]
    return [[*prompt, *_until(stops, row)] for prompt, row in zip(ids, rows, strict=True)]


@torch.inference_mode()
def stream(
    model: Decoder | Reader,
    ids: Prompts,
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float = 1.0,
    seed: Seed = None,
    stop_id: int | None = None,
    stop: Sequence[Sequence[int]] = (),
    constraint: Constraint | None = None,
    use_cache: bool = True,
) -> Iterator[Int[Tensor, " B"]]:
    """Yield one new token for every row, as soon as it is drawn.

    Args:
        model: a `GPT` or `Seq2Seq.given` its source, put into evaluation mode by the caller.
            A `Reader` of one goes on from what it has read, with which ``ids`` must begin.
        ids: the prompts: a tensor, all of one length T ≥ 1, or lists of different lengths.
            Each row meets the distributions that it would meet alone.
        max_new_tokens: how many to draw at most.
        temperature, top_k, top_p, min_p, repetition_penalty: see `Sampling`.
        seed: makes the draws repeatable; None draws anew each time. One number serves the
            whole batch, so that a row's draws depend on its neighbours; with a number for each
            row they do not.
        stop_id: a row ends once it has drawn this token.
        stop: token sequences; a row ends once it has drawn one of them.
        constraint: lets through what its pattern allows, and ends a row that is complete.
        use_cache: keep keys and values of the tokens read (same tokens, less work). Once the
            text is longer than the context, the window slides and each step reads it anew.

    Raises:
        ValueError: an empty prompt, or a setting outside its range.
    """
    sampling = Sampling(repetition_penalty, temperature, top_k, top_p, min_p)
    read = model if isinstance(model, Reader) else Reader(model, use_cache=use_cache)
    if not isinstance(ids, Tensor):
        ids, read.n_pad = left_pad(ids, read.model.device)
    _check(ids, max_new_tokens)
    generators = _generators(seed, len(ids), ids.device)
    stops = [torch.tensor(s, device=ids.device) for s in _stops(stop_id, stop, constraint)]
    stopped = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    states = constraint.start(len(ids), max_new_tokens) if constraint else []
    n_prompt = ids.shape[1]
    for n_left in range(max_new_tokens, 0, -1):
        logits = read(ids)[:, -1]
        allowed = constraint.allowed(states, n_left, logits) if constraint else None
        token = _draw(logits, sampling, ids, allowed, generators)
        if stops:
            token = torch.where(stopped, ids[:, -1], token)
        yield token
        ids = torch.cat([ids, token[:, None]], dim=1)
        if stops:
            stopped |= _ends_with(ids[:, n_prompt:], stops)
            if bool(stopped.all()):
                return
        states = constraint.advance(states, token) if constraint else []


@torch.inference_mode()
def next_token_distribution(
    model: GPT, ids: Int[Tensor, "1 T"], temperature: float = 1.0
) -> Float[Tensor, " V"]:
    """Probabilities of the token that follows: softmax(logits / temperature)."""
    _check(ids, 1, temperature, None, None)
    logits = model(ids[:, -model.config.context_length :])[0, -1]
    return probabilities(logits[None], temperature)[0]


def _draw(
    logits: Tensor,
    sampling: Sampling,
    ids: Tensor,
    allowed: Tensor | None,
    generators: list[torch.Generator | None],
) -> Tensor:
    if sampling.temperature == 0:
        return adjusted(logits, sampling, ids, allowed).argmax(dim=-1)
    weights = filtered(logits, sampling, ids, allowed).softmax(dim=-1)
    if len(generators) == 1:
        return torch.multinomial(weights, 1, generator=generators[0])[:, 0]
    rows = zip(weights, generators, strict=True)
    return torch.cat([torch.multinomial(row, 1, generator=g) for row, g in rows])


def _generators(seed: Seed, n_rows: int, device: torch.device) -> list[torch.Generator | None]:
    if seed is None:
        return [None]
    seeds = [seed] if isinstance(seed, int) else list(seed)
    if not isinstance(seed, int) and len(seeds) != n_rows:
        raise ValueError(f"{len(seeds)} seeds for {n_rows} rows: give one for each, or one number")
    return [torch.Generator(device).manual_seed(s) for s in seeds]


def _stops(
    stop_id: int | None, stop: Sequence[Sequence[int]], constraint: Constraint | None
) -> list[list[int]]:
    """Every token sequence that ends a row."""
    single = [stop_id, constraint.end_id if constraint else None]
    stops = [[i] for i in single if i is not None] + [list(sequence) for sequence in stop]
    if not all(stops):
        raise ValueError("a stop sequence is empty: give each at least one token")
    return stops


def _ends_with(new: Int[Tensor, "B N"], stops: list[Tensor]) -> Bool[Tensor, " B"]:
    ends = torch.zeros(len(new), dtype=torch.bool, device=new.device)
    for stop in stops:
        if new.shape[1] >= len(stop):
            ends |= (new[:, -len(stop) :] == stop).all(dim=1)
    return ends


def _until(stops: list[list[int]], row: list[int]) -> list[int]:
    """The row up to the first stop sequence, which it keeps."""
    for n in range(1, len(row)):
        if any(row[:n][-len(stop) :] == stop for stop in stops):
            return row[:n]
    return row


def _check(
    ids: Tensor,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> None:
    if ids.dim() != 2 or ids.shape[1] == 0:
        raise ValueError(
            f"ids has shape {tuple(ids.shape)}: give a (B, T) tensor with at least one token a "
            "row, for example the end-of-text id"
        )
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens={max_new_tokens}: give 0 or more")
    Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
