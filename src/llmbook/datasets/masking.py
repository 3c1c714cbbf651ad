"""Masked batches: some tokens are hidden, and the model is to find them from both sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from llmbook.datasets.batches import IGNORE, TokenBatches


def mask_tokens(
    ids: Int[np.ndarray, "B T"],
    mask_id: int,
    vocab_size: int,
    special_ids: Sequence[int] = (),
    rate: float = 0.15,
    *,
    seed: int = 0,
    step: int = 0,
) -> tuple[Int[np.ndarray, "B T"], Int[np.ndarray, "B T"]]:
    """Choose 15 % of the tokens; 80 % of these become the mask, 10 % a random token, 10 % stay.

    Args:
        mask_id: the id that stands for a hidden token.
        special_ids: ids that are never chosen and never drawn (padding, separators).
        seed, step: the choice is a function of these two alone.

    Returns:
        What the model reads, and the targets: the token at the chosen places, -100 elsewhere.

    Source: Devlin et al. 2019, section 3.1 and appendix A.1. Taught in chapter 13.
    """
    if not 0.0 < rate < 1.0:
        raise ValueError(f"rate={rate}: give a share between 0 and 1")
    special = np.array([mask_id, *special_ids], dtype=np.int64)
    ordinary = np.setdiff1d(np.arange(vocab_size), special)
    raw = np.random.Philox(key=seed, counter=[0, 0, 2, step]).random_raw(3 * ids.size)
    chance = (raw >> np.uint64(11)).reshape(3, *ids.shape) * 2.0**-53  # in [0, 1)
    chosen = (chance[0] < rate) & ~np.isin(ids, special)
    drawn = ordinary[(chance[2] * len(ordinary)).astype(np.int64)]
    read = np.where(chosen & (chance[1] < 0.8), mask_id, ids)
    read = np.where(chosen & (chance[1] >= 0.9), drawn, read)
    return read, np.where(chosen, ids, IGNORE)


class MaskedBatches(Iterator[dict[str, Tensor]]):
    """Windows of a token stream with some tokens hidden, for `llmbook.objectives.masked_lm`.

    A batch holds ``ids`` with the hidden tokens, ``targets`` (-100 where nothing is hidden) and
    ``mask`` (True at tokens, False at padding), (B, T) each. Its position is that of ``batches``.

    Args:
        batches: where windows come from.
        padding_id: the id of padding, if the tokens hold any.
        mask_id, vocab_size, special_ids, rate: as in `mask_tokens`.
    """

    def __init__(
        self,
        batches: TokenBatches,
        mask_id: int,
        vocab_size: int,
        special_ids: Sequence[int] = (),
        rate: float = 0.15,
        padding_id: int | None = None,
    ) -> None:
        self.batches, self.padding_id = batches, padding_id
        special = (*special_ids, *([] if padding_id is None else [padding_id]))
        self.masking = {
            "mask_id": mask_id,
            "vocab_size": vocab_size,
            "special_ids": list(map(int, special)),
            "rate": rate,
        }

    def __next__(self) -> dict[str, Tensor]:
        """The next batch."""
        step = self.batches.step
        ids = next(self.batches)[0].numpy()
        read, targets = mask_tokens(ids, **self.masking, seed=self.batches.seed, step=step)  # type: ignore[arg-type]
        return {
            "ids": torch.from_numpy(read),
            "targets": torch.from_numpy(targets),
            "mask": torch.from_numpy(ids != self.padding_id),
        }

    def state_dict(self) -> dict[str, Any]:
        """The position in the stream, and what the stream is made of."""
        return {**self.batches.state_dict(), "masking": self.masking}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved position; refuses one of another stream, as `TokenBatches` does."""
        if state.get("masking") != self.masking:
            raise ValueError(
                f"the saved batches were masked with {state.get('masking')}, these with "
                f"{self.masking}: resume with the same settings, or start a new run"
            )
        self.batches.load_state_dict(state)
