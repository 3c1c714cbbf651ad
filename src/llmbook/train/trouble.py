"""When a run cannot go on: what happened, where it stands, what to change."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from llmbook.train.config import TrainConfig

_NO_MEMORY = ("can't allocate memory", "out of memory", "Cannot allocate memory")
_PEER_LOST = ("Connection closed by peer", "Connection reset by peer", "SIGTERM", "Broken pipe")


def refuse_nan(
    step: int, loss: float, grad_norm: float, norms: list[float], rate: float, good: str
) -> None:
    """Stop when the loss or the gradient is no number any more.

    Raises:
        FloatingPointError: with the step, the gradient norms before and the last checkpoint.
    """
    if math.isfinite(loss) and math.isfinite(grad_norm):
        return
    recent = [round(norm, 3) for norm in norms]
    raise FloatingPointError(
        f"step {step}: the loss is {loss} and the gradient's norm {grad_norm} "
        f"(norms before: {recent}). Lower learning_rate={rate} or "
        f"lengthen the warm-up. Last good checkpoint: {good}"
    )


@contextmanager
def explained(
    config: TrainConfig, model: Any, where: Callable[[], tuple[int, str]]
) -> Iterator[None]:
    """Say what to do about memory that ran out, and about a process that died.

    Args:
        where: gives the step at work and the last good checkpoint.

    Raises:
        torch.OutOfMemoryError: names what to lower, with the values at hand.
        ConnectionError: another process of the run is gone.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        step, good = where()
        if isinstance(error, MemoryError) or any(text in str(error) for text in _NO_MEMORY):
            raise torch.OutOfMemoryError(_memory_advice(step, config, model)) from error
        if any(text in str(error) for text in _PEER_LOST):
            raise ConnectionError(
                f"step {step}: another process of this run has ended, so this one cannot go on; "
                f"its own message says why, if it could give one. Last good checkpoint: {good}. "
                "Start the same command again to go on from there"
            ) from error
        raise


def _memory_advice(step: int, config: TrainConfig, model: Any) -> str:
    context = getattr(getattr(model, "config", None), "context_length", None)
    half = max(1, config.batch_size // 2)
    advice = [
        f"batch_size={config.batch_size} (with batch_size={half} and "
        f"grad_accumulation={config.grad_accumulation * 2} a step sees as many tokens)",
        *([f"context_length={context}"] if context else []),
        *(['precision="float32" to "bfloat16"'] if config.precision == "float32" else []),
        "the model's sizes",
    ]
    return f"step {step}: the memory is full. Lower one of these: {', '.join(advice)}"
