"""Training batches: windows cut at random places from one long array of token ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

IGNORE = -100
"""The target of a position that has nothing to predict: padding, or a token left unmasked."""


class TokenBatches(Iterator[tuple[Tensor, Tensor]]):
    """An endless stream of (inputs, targets), where targets are inputs moved on by one token.

    Batch number n is a function of ``(seed, n)`` alone: the places come from a counter-based
    generator (Philox), so that a run that resumes at batch n sees what an uninterrupted run
    would have seen. Every place is equally likely, and places may repeat.

    Args:
        tokens: ids, one dimension (n_tokens,), any integer type.
        context_length: tokens per window, T.
        batch_size: windows per batch, B.
        seed: which of the streams.

    Raises:
        ValueError: tokens that are not one row of integers, or fewer than
            ``context_length + 1``; sizes below 1; a negative seed.

    Source of the generator: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
    Taught in chapter 12.
    """

    def __init__(
        self,
        tokens: Sequence[int] | np.ndarray | Tensor,
        context_length: int,
        batch_size: int,
        seed: int = 0,
    ) -> None:
        self.tokens = np.asarray(tokens)
        _check(self.tokens, context_length, batch_size, seed)
        self.context_length = context_length
        self.batch_size = batch_size
        self.seed = seed
        self.step = 0

    def __next__(self) -> tuple[Int64[Tensor, "B T"], Int64[Tensor, "B T"]]:
        """The next batch: inputs (B, T) and targets (B, T)."""
        starts = self._starts(self.step)
        self.step += 1
        places = starts[:, None] + np.arange(self.context_length + 1)
        windows = torch.from_numpy(self.tokens[places].astype(np.int64))  # (B, T + 1)
        return windows[:, :-1].contiguous(), windows[:, 1:].contiguous()

    def state_dict(self) -> dict[str, Any]:
        """The position in the stream, and what the stream is made of."""
        return {"step": self.step, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved position.

        Raises:
            ValueError: the state is of another stream (other tokens, sizes or seed).
        """
        self.step = check_position(state, self._identity())

    def _identity(self) -> dict[str, int]:
        return {
            "n_tokens": len(self.tokens),
            "context_length": self.context_length,
            "batch_size": self.batch_size,
            "seed": self.seed,
        }

    def _starts(self, step: int) -> np.ndarray:
        # The generator's raw numbers, whose algorithm is fixed, instead of `integers`, which
        # a later NumPy may draw otherwise. The bias of the remainder is below 1e-9.
        philox = np.random.Philox(key=self.seed, counter=[0, 0, 0, step])
        n_places = len(self.tokens) - self.context_length
        return (philox.random_raw(self.batch_size) % np.uint64(n_places)).astype(np.int64)


def check_position(state: dict[str, Any], identity: dict[str, Any]) -> int:
    """The step of a saved position, if it is one in this very stream.

    Raises:
        ValueError: the state is of another stream (other tokens, sizes or seed), or no position.
    """
    for name, value in identity.items():
        if state.get(name) != value:
            raise ValueError(
                f"the saved batches had {name}={state.get(name)!r}, these have {value!r}: "
                "resume with the same data and settings, or start a new run"
            )
    step = state.get("step")
    if not isinstance(step, int) or step < 0:
        raise ValueError(f"step={step!r} in the saved batches: expected a count of batches")
    return step


def _check(tokens: np.ndarray, context_length: int, batch_size: int, seed: int) -> None:
    if tokens.ndim != 1 or not np.issubdtype(tokens.dtype, np.integer):
        raise ValueError(
            f"tokens: expected one row of integer ids, got shape {tokens.shape} of {tokens.dtype}"
        )
    if context_length < 1 or batch_size < 1:
        raise ValueError(
            f"context_length={context_length} and batch_size={batch_size}: both at least 1"
        )
    if seed < 0:
        raise ValueError(f"seed={seed}: give 0 or more")
    if len(tokens) < context_length + 1:
        raise ValueError(
            f"{len(tokens)} tokens are too few for context_length={context_length}: a window needs "
            f"{context_length + 1} (its last target included). Give more text or a shorter context."
        )
