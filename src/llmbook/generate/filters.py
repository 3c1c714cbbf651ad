"""From logits to the distribution that a token is drawn from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn; the fields stand in the order in which they are applied.

    Args:
        repetition_penalty: above 1, makes tokens of the text so far less probable.
        temperature: divides the logits; 0 means greedy, the most probable token.
        top_k: keep the k most probable tokens.
        top_p: keep the fewest tokens whose probabilities reach p (Holtzman et al. 2020).
        min_p: keep tokens at least this many times as probable as the most probable one.

    Raises:
        ValueError: a setting outside its range.

    Taught in chapter 14.
    """

    repetition_penalty: float = 1.0
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None

    def __post_init__(self) -> None:
        for name, fits, remedy in (
            ("repetition_penalty", 0 < self.repetition_penalty < math.inf, "a positive number"),
            ("temperature", 0 <= self.temperature < math.inf, "0 (greedy) or a positive number"),
            ("top_k", self.top_k is None or self.top_k >= 1, "at least 1, or None for every token"),
            ("top_p", self.top_p is None or 0 < self.top_p <= 1, "a share above 0 and up to 1"),
            ("min_p", self.min_p is None or 0 <= self.min_p <= 1, "a share from 0 to 1"),
        ):
            if not fits:
                raise ValueError(f"{name}={getattr(self, name)}: give {remedy}")


def adjusted(
    logits: Float[Tensor, "B V"],
    sampling: Sampling,
    ids: Int[Tensor, "B N"] | None = None,
    allowed: Bool[Tensor, "B V"] | None = None,
) -> Float[Tensor, "B V"]:
    """What comes before the temperature, and so decides in greedy text too."""
    if sampling.repetition_penalty != 1 and ids is not None:
        logits = penalise_repetition(logits, ids, sampling.repetition_penalty)
    return logits if allowed is None else logits.masked_fill(~allowed, -math.inf)


def filtered(
    logits: Float[Tensor, "B V"],
    sampling: Sampling,
    ids: Int[Tensor, "B N"] | None = None,
    allowed: Bool[Tensor, "B V"] | None = None,
) -> Float[Tensor, "B V"]:
    """Logits after every filter; their softmax is the distribution that a token is drawn from.

    The order is that of ``transformers``: repetition penalty, ``allowed``, temperature, top-k,
    top-p, min-p.

    Args:
        logits: as the model gives them.
        sampling: the settings.
        ids: the text so far, for the repetition penalty.
        allowed: False where a constraint forbids the token.
    """
    logits = adjusted(logits, sampling, ids, allowed)
    if sampling.temperature == 0:
        return probabilities(logits, 0).log()
    logits = logits / sampling.temperature
    if sampling.top_k is not None:
        logits = keep_top_k(logits, sampling.top_k)
    if sampling.top_p is not None:
        logits = keep_top_p(logits, sampling.top_p)
    if sampling.min_p is not None:
        logits = keep_min_p(logits, sampling.min_p)
    return logits


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

    Source: Holtzman et al. 2020.
    """
    ordered, order = logits.sort(dim=-1, descending=True)
    probability = ordered.softmax(dim=-1)
    mass_before = probability.cumsum(dim=-1) - probability
    dropped = (mass_before >= p).scatter(-1, order, mass_before >= p)
    return logits.masked_fill(dropped, -math.inf)


def keep_min_p(logits: Float[Tensor, "B V"], p: float) -> Float[Tensor, "B V"]:
    """Keep tokens whose probability is at least p times the largest.

    In logits, without a softmax: those within log(1/p) of the largest.

    Source: Nguyen et al. 2024.
    """
    if p == 0:
        return logits
    threshold = logits.amax(dim=-1, keepdim=True) + math.log(p)
    return logits.masked_fill(logits < threshold, -math.inf)


def penalise_repetition(
    logits: Float[Tensor, "B V"], ids: Int[Tensor, "B N"], penalty: float
) -> Float[Tensor, "B V"]:
    """Divide the positive logits of tokens that occur in ids by the penalty, multiply the others.

    Each token counts once, however often it occurs.

    Source: Keskar et al. 2019; for negative logits as ``transformers`` does it.
    """
    occurs = torch.zeros_like(logits, dtype=torch.bool).scatter(1, ids, True)
    penalised = torch.where(logits < 0, logits * penalty, logits / penalty)
    return torch.where(occurs, penalised, logits)
