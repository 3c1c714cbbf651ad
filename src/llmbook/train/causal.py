"""Training a decoder on a long row of tokens: the case that chapter 12 teaches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from llmbook.datasets import TokenBatches
from llmbook.device import autocast, choose_precision
from llmbook.models import GPT
from llmbook.objectives import causal_lm, next_token_loss
from llmbook.train.config import TrainConfig
from llmbook.train.loop import Record, fit
from llmbook.train.parallel import Parallel


def train(
    model: GPT,
    train_tokens: np.ndarray,
    val_tokens: np.ndarray | None = None,
    config: TrainConfig | None = None,
    *,
    parallel: Parallel | None = None,
    out_dir: str | Path | None = None,
    progress: bool = True,
    on_step: Callable[[int, GPT], None] | None = None,
) -> list[Record]:
    """Train a model on tokens, in place: `fit` with next-token prediction.

    Args:
        model: moved nowhere; it trains on the device it lies on.
        train_tokens: ids as one long row, documents separated by end-of-text; an array, or a
            file opened by `llmbook.datasets.open_token_file`.
        val_tokens: held-out ids, for ``val_loss``.
        config: the choices of the run.
        parallel, out_dir, progress, on_step: as in `fit`.

    Returns:
        The log, one record per step.

    Raises:
        ValueError: tokens too few for one window; and whatever `fit` raises.
    """
    config = config or TrainConfig()
    dtype = choose_precision(config.precision, model.device)
    context = model.config.context_length
    batches = TokenBatches(train_tokens, context, config.batch_size, config.seed)

    def validate() -> float:
        assert val_tokens is not None
        return validation_loss(model, val_tokens, config.eval_windows, dtype)

    return fit(
        model,
        batches,
        causal_lm,
        config,
        validate=None if val_tokens is None else validate,
        parallel=parallel,
        out_dir=out_dir,
        progress=progress,
        on_step=on_step,
    )


@torch.no_grad()
def validation_loss(
    model: GPT,
    tokens: np.ndarray,
    n_windows: int = 32,
    dtype: torch.dtype = torch.float32,
) -> float:
    """Mean loss in nats per token over windows spread evenly over the tokens.

    A quick look while training. `llmbook.evaluate` measures every token with full context.
    """
    context = model.config.context_length
    if len(tokens) < context + 1:
        raise ValueError(
            f"{len(tokens)} held-out tokens are fewer than one window of {context + 1}"
        )
    was_training = model.training
    model.eval()
    starts = np.linspace(0, len(tokens) - context - 1, n_windows).astype(int)
    losses = []
    for chunk in np.array_split(starts, max(1, n_windows // 8)):
        windows = np.stack([tokens[s : s + context + 1] for s in chunk]).astype(np.int64)
        ids = torch.from_numpy(windows).to(model.device)
        with autocast(model.device, dtype):
            logits = model(ids[:, :-1])
        losses.append(float(next_token_loss(logits, ids[:, 1:])) * len(chunk))
    model.train(was_training)
    return sum(losses) / n_windows
