"""From a model and a batch to a loss: what `llmbook.train.fit` calls at each step.

Each one calls the model once. A batch is a tuple or a dictionary of tensors whose first axis
counts the examples, so that several processes can share it out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from llmbook.datasets import IGNORE, packed_mask
from llmbook.objectives.likelihood import (
    classification_loss,
    next_token_loss,
    sequence_loss,
)
from llmbook.objectives.preferences import answer_log_prob, dpo_loss

Batch = Any
"""A tuple or a dictionary of tensors."""
LossFunction = Callable[[nn.Module, Batch], Tensor]


def causal_lm(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Next-token loss of (inputs, targets), as `llmbook.datasets.TokenBatches` gives them."""
    inputs, targets = batch
    return next_token_loss(model(inputs), targets)


def packed_lm(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Next-token loss of rows that hold several documents (`llmbook.datasets.PackedBatches`)."""
    config = getattr(getattr(model, "module", model), "config", None)  # DDP wraps the model
    mask = packed_mask(batch["documents"], getattr(config, "window", None))
    return sequence_loss(
        model(batch["ids"], mask=mask, positions=batch["positions"]), batch["targets"]
    )


def masked_lm(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Loss of the masked tokens alone (`llmbook.datasets.MaskedBatches`), for `BERT`."""
    return sequence_loss(model(batch["ids"], mask=batch["mask"]).logits, batch["targets"])


def sequence_to_sequence(smoothing: float = 0.1) -> LossFunction:
    """Loss of a translation, token by token, each given the right ones before it.

    The batch: ``source`` (B, S), ``source_mask`` (B, S) with True at tokens, ``target`` (B, T)
    with the decoder's first token in front, and `IGNORE` where it is padded.
    """

    def loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        target = batch["target"]
        given = target[:, :-1].masked_fill(target[:, :-1] == IGNORE, 0)  # seen by padding only
        logits = model(batch["source"], given, source_mask=batch["source_mask"])
        return sequence_loss(logits, target[:, 1:], smoothing)

    return loss


def classification(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Loss of (inputs, labels) for a model that answers with one row of K logits per input."""
    inputs, labels = batch
    return classification_loss(model(inputs), labels)


def dpo(reference: nn.Module, beta: float = 0.1) -> LossFunction:
    """Preference loss against a frozen ``reference``, usually a copy of the model at its start.

    The batch: ``ids`` (B, 2, T), the chosen and the rejected answer to one prompt, padded on
    the right, and ``answer`` (B, 2, T), True at the answers' tokens.
    """
    reference.requires_grad_(False).eval()

    def loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        ids, answer = batch["ids"].flatten(0, 1), batch["answer"].flatten(0, 1)
        ours = answer_log_prob(model(ids), ids, answer)
        with torch.no_grad():
            theirs = answer_log_prob(reference(ids), ids, answer)
        return dpo_loss(ours[::2], ours[1::2], theirs[::2], theirs[1::2], beta)[0]

    return loss


def count_targets(batch: Batch) -> int:
    """How many tokens of a batch are predicted: its weight among batches of unequal number."""
    targets = batch["targets"] if "targets" in batch else batch["target"][:, 1:]
    return int((targets != IGNORE).sum())
