"""Writing text: turn logits into a distribution, draw a token, append it, go on."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from llmbook.models import GPT
from llmbook.nn import KVCache


def generate(
    model: GPT,
    ids: Int[Tensor, "B T"],
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    stop_id: int | None = None,
    use_cache: bool = True,
) -> Int[Tensor, "B N"]:
    """Continue each row of ids; see `stream` for the arguments.

    Returns:
        The given ids and the new ones, N = T + the number of tokens drawn. A row that drew
        ``stop_id`` is filled with it to the end.

    Taught in chapters 1 and 14.
    """
    new = stream(
        model,
        ids,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        stop_id=stop_id,
        use_cache=use_cache,
    )
    return torch.cat([ids, *(token[:, None] for token in new)], dim=1)


@torch.inference_mode()
def stream(
    model: GPT,
    ids: Int[Tensor, "B T"],
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    stop_id: int | None = None,
    use_cache: bool = True,
) -> Iterator[Int[Tensor, " B"]]:
    """Yield one new token for every row, as soon as it is drawn.

    Args:
        model: put into evaluation mode by the caller.
        ids: the prompts, all of one length T ≥ 1.
        max_new_tokens: how many to draw at most.
        temperature: divides the logits; 0 means greedy, the most probable token.
        top_k: keep the k most probable tokens.
        top_p: keep the fewest tokens whose probabilities reach p (Holtzman et al. 2020).
        seed: makes the draws repeatable; None draws anew each time.
        stop_id: end once every row has drawn it.
        use_cache: keep keys and values of the tokens read (same tokens, less work). Once the
            text is longer than the context, the window slides and each step reads it anew.

    Raises:
        ValueError: an empty prompt, or a setting outside its range.
    """
    _check(ids, max_new_tokens, temperature, top_k, top_p)
    generator = _generator(seed, ids.device)
    dtype = model.token_embedding.weight.dtype
    cache = KVCache(model.config, ids.shape[0], ids.device, dtype) if use_cache else None
    window = model.config.context_length
    stopped = torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)
    for _ in range(max_new_tokens):
        if cache is not None and ids.shape[1] <= window:
            logits = model(ids[:, cache.length :], cache=cache)[:, -1]
        else:
            logits = model(ids[:, -window:])[:, -1]
        token = _draw(logits, temperature, top_k, top_p, generator)
        if stop_id is not None:
            token = token.masked_fill(stopped, stop_id)
            stopped |= token == stop_id
        yield token
        if stop_id is not None and bool(stopped.all()):
            return
        ids = torch.cat([ids, token[:, None]], dim=1)


@torch.inference_mode()
def next_token_distribution(
    model: GPT, ids: Int[Tensor, "1 T"], temperature: float = 1.0
) -> Float[Tensor, " V"]:
    """Probabilities of the token that follows: softmax(logits / temperature)."""
    _check(ids, 1, temperature, None, None)
    logits = model(ids[:, -model.config.context_length :])[0, -1]
    return probabilities(logits[None], temperature)[0]


def probabilities(logits: Float[Tensor, "B V"], temperature: float) -> Float[Tensor, "B V"]:
    """softmax(logits / temperature); its limit at 0, all on the largest logit.

    Source: Ackley, Hinton and Sejnowski 1985 (the temperature of a Boltzmann distribution).
    """
    if temperature == 0:
        return torch.zeros_like(logits).scatter(-1, logits.argmax(-1, keepdim=True), 1.0)
    return (logits / temperature).softmax(dim=-1)


def keep_top_k(logits: Float[Tensor, "B V"], k: int) -> Float[Tensor, "B V"]:
    """Set every logit below the k-th largest to -∞ (Fan et al. 2018)."""
    k = min(k, logits.shape[-1])
    threshold = logits.topk(k, dim=-1).values[:, -1:]
    return logits.masked_fill(logits < threshold, -math.inf)


def keep_top_p(logits: Float[Tensor, "B V"], p: float) -> Float[Tensor, "B V"]:
    """Keep the fewest tokens whose probabilities sum to at least p: the nucleus.

    The token that crosses p stays, so at least one does.

    Source: Holtzman et al. 2020, eq. 2.
    """
    ordered, order = logits.sort(dim=-1, descending=True)
    probability = ordered.softmax(dim=-1)
    mass_before = probability.cumsum(dim=-1) - probability
    dropped = (mass_before >= p).scatter(-1, order, mass_before >= p)
    return logits.masked_fill(dropped, -math.inf)


def _draw(
    logits: Tensor,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    generator: torch.Generator | None,
) -> Tensor:
    if temperature == 0:
        return logits.argmax(dim=-1)
    logits = logits / temperature
    if top_k is not None:
        logits = keep_top_k(logits, top_k)
    if top_p is not None:
        logits = keep_top_p(logits, top_p)
    return torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)[:, 0]


def _generator(seed: int | None, device: torch.device) -> torch.Generator | None:
    return None if seed is None else torch.Generator(device).manual_seed(seed)


def _check(
    ids: Tensor, max_new_tokens: int, temperature: float, top_k: int | None, top_p: float | None
) -> None:
    if ids.dim() != 2 or ids.shape[1] == 0:
        raise ValueError(
            f"ids has shape {tuple(ids.shape)}: give a (B, T) tensor with at least one token a "
            "row, for example the end-of-text id"
        )
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens={max_new_tokens}: give 0 or more")
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"temperature={temperature}: give 0 (greedy) or a positive number")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k={top_k}: give at least 1, or None to keep every token")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p={top_p}: give a share above 0 and up to 1")
