"""Reading: the one place where a model makes a step, with its cache or without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from llmbook.config import TransformerConfig
from llmbook.nn import KVCache


@runtime_checkable
class Decoder(Protocol):
    """What can be written with: a `GPT`, or a `Seq2Seq` that was given its source."""

    @property
    def config(self) -> TransformerConfig:
        """Its sizes."""

    @property
    def token_embedding(self) -> nn.Embedding:
        """Its first layer."""

    @property
    def device(self) -> torch.device:
        """Where the weights live."""

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """Logits (B, T, V) of ids (B, T), given a ``cache``; see `GPT.forward`."""


class Reader:
    """A model and how much of the text it has read.

    Call it with the whole text so far: it reads what it has not read yet. A text longer than
    the context is read through a window on its end, anew at each call.

    Args:
        model: put into evaluation mode by the caller.
        n_pad: tokens of padding at the left of each row, which are not looked at.
        use_cache: keep keys and values of the tokens read (the same logits, less work).
    """

    def __init__(
        self, model: Decoder, n_pad: Int[Tensor, " B"] | None = None, use_cache: bool = True
    ) -> None:
        self.model, self.n_pad, self.use_cache = model, n_pad, use_cache
        self.cache: KVCache | None = None

    def __call__(self, ids: Int[Tensor, "B N"], last: int = 1) -> Float[Tensor, "B last V"]:
        """Logits after each of the ``last`` positions of the text, in float32 or finer."""
        start = max(0, ids.shape[1] - self.model.config.context_length)
        if start > 0 or not self.use_cache:
            self.cache = None
        elif self.cache is None:
            dtype = self.model.token_embedding.weight.dtype
            self.cache = KVCache(self.model.config, ids.shape[0], ids.device, dtype)
        self.rewind(ids.shape[1] - last)
        held = 0 if self.cache is None else self.cache.length
        logits = self._read(ids[:, start + held :], start, held)[:, -last:]
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    def reorder(self, rows: Int[Tensor, " R"]) -> None:
        """From now on, row i continues what row ``rows[i]`` was."""
        if self.cache is not None:
            self.cache.reorder(rows)
        if self.n_pad is not None:
            self.n_pad = self.n_pad[rows]

    def rewind(self, length: int) -> None:
        """Forget what was read beyond the first ``length`` tokens."""
        if self.cache is not None and self.cache.length > length:
            self.cache.truncate(length)

    def _read(self, new: Tensor, start: int, held: int) -> Tensor:
        """Logits of new tokens, which follow ``held`` others in a window that begins at start."""
        if self.n_pad is None:
            return self.model(new, cache=self.cache)
        n_pad = (self.n_pad - start).clamp(min=0)
        positions, mask = _padded(n_pad, held, held + new.shape[1], self.model.config.window)
        return self.model(new, cache=self.cache, positions=positions, mask=mask)


def left_pad(
    prompts: Sequence[Sequence[int]], device: torch.device
) -> tuple[Int[Tensor, "B T"], Int[Tensor, " B"] | None]:
    """Prompts of different lengths as one tensor, and how many tokens of padding each row has.

    They end together, so that the next token of every row is drawn at the same place. A row is
    padded with its own first token: what occurs in it stays the same. No count where none is
    padded.

    Raises:
        ValueError: no prompt, or an empty one.
    """
    if not prompts or not all(len(prompt) for prompt in prompts):
        raise ValueError(
            "give each row at least one token, for example the end-of-text id, and at least one row"
        )
    width = max(map(len, prompts))
    rows = [[prompt[0]] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    n_pad = torch.tensor([width - len(prompt) for prompt in prompts], device=device)
    return torch.tensor(rows, device=device), n_pad if bool(n_pad.any()) else None


def _padded(
    n_pad: Int[Tensor, " B"], start: int, end: int, window: int | None
) -> tuple[Int[Tensor, "B T"], Bool[Tensor, "B 1 T S"]]:
    """Positions of the places start … end - 1, counted from each row's first token, and the mask
    that hides the padding, the future and what lies behind the attention window."""
    query = torch.arange(start, end, device=n_pad.device)
    key = torch.arange(end, device=n_pad.device)
    behind = query[:, None] - key  # (T, S)
    visible = behind >= 0 if window is None else (behind >= 0) & (behind < window)
    mask = visible & (key >= n_pad[:, None, None])  # (B, T, S)
    return (query - n_pad[:, None]).clamp(min=0), mask[:, None]
