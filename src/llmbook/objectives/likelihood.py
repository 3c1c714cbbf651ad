"""Losses that are a mean surprise: of the next token, of masked ones, of a class."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from llmbook.datasets import IGNORE


def next_token_loss(
    logits: Float[Tensor, "B T V"], targets: Int[Tensor, "B T"]
) -> Float[Tensor, ""]:
    """Mean of -log p(target), in nats per token.

    Source: Radford et al. 2018, eq. 1. Taught in chapter 12.
    """
    return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


def sequence_loss(
    logits: Float[Tensor, "B T V"], targets: Int[Tensor, "B T"], smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """The mean over the targets that are not `IGNORE`, with smoothed labels on request.

    With smoothing ε: (1 - ε) · (-log p(target)) + ε · mean over v of (-log p(v)), in nats.
    Without a single target it is 0, so that such a batch changes nothing.

    Args:
        smoothing: ε, the share of the label that is spread over the whole vocabulary.

    Source: Vaswani et al. 2017, section 5.4; Szegedy et al. 2016, section 7. For masked
    tokens: Devlin et al. 2019, section 3.1. Taught in chapters 13 and 19.
    """
    total = F.cross_entropy(
        logits.float().flatten(0, 1),
        targets.flatten(),
        ignore_index=IGNORE,
        label_smoothing=smoothing,
        reduction="sum",
    )
    return total / (targets != IGNORE).sum().clamp(min=1)


def classification_loss(
    logits: Float[Tensor, "B K"], labels: Int[Tensor, " B"]
) -> Float[Tensor, ""]:
    """Mean of -log p(label) over texts, in nats, for K classes.

    Source: Devlin et al. 2019, section 4.1. Taught in chapter 18.
    """
    return F.cross_entropy(logits.float(), labels)
