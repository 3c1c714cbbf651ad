"""Held-out evaluation: bits per byte of whole documents, with intervals over documents.

A model is charged for a document's tokens and for the end-of-text token that closes it, each
given end-of-text and what stands before it in the document: together they spell the document,
so that models with different tokenizers, and compressors, can be compared per byte of text.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from tqdm.auto import tqdm

from llmbook.datasets import SOURCES, Document, load_corpus, tokenize_documents
from llmbook.datasets.tokens import Tokenizer, end_of_text_id
from llmbook.resampling import Interval, bootstrap_interval, paired_bootstrap

Reals = NDArray[np.float64]
Numbers = Sequence[float] | Sequence[int] | np.ndarray
LanguageModel = Callable[[Tensor], Tensor]
"""Logits (B, T, V) for ids (B, T), as `llmbook.models.GPT` gives them."""

__all__ = [
    "Interval",
    "bits_per_byte",
    "bits_per_byte_by_source",
    "bootstrap_interval",
    "document_nats",
    "evaluate_loss",
    "heldout_documents",
    "paired_bootstrap",
    "per_source",
    "token_nats",
]


def heldout_documents(source: str | None = None) -> list[Document]:
    """The held-out documents on which every model of the book is measured, in a fixed order."""
    return load_corpus("heldout", source)


def evaluate_loss(
    model: LanguageModel,
    tokens: Sequence[int] | np.ndarray,
    *,
    context_length: int | None = None,
    stride: int | None = None,
    batch_size: int = 16,
) -> float:
    """Mean cross-entropy in nats per token of ``tokens[1:]``, each given what stands before it.

    See `token_nats` for the windows; the first token is context only.
    """
    options: dict[str, Any] = {
        "context_length": context_length,
        "stride": stride,
        "batch_size": batch_size,
    }
    return float(token_nats(model, [np.asarray(tokens)], **options)[0].mean())


@torch.no_grad()
def token_nats(
    model: LanguageModel,
    sequences: Sequence[np.ndarray],
    *,
    context_length: int | None = None,
    stride: int | None = None,
    batch_size: int = 16,
    progress: bool = False,
) -> list[Reals]:
    """For each sequence: −log p of its tokens but the first, each given what stands before it.

    A sequence longer than the context is read in windows of ``context_length`` inputs that begin
    every ``stride`` tokens, and in one last window that ends with the sequence. Only what no
    earlier window scored counts, so that every token is scored exactly once, with all that
    precedes it or at least ``context_length - stride`` tokens of it.

    Args:
        model: put into eval mode here and left as it was; read on the device it lies on.
        sequences: rows of ids (n_tokens,).
        context_length: the model's own (``model.config.context_length``) without it.
        stride: half the context without it. Smaller is slower and gives longer contexts.
        batch_size: windows per forward pass.

    Raises:
        ValueError: a sequence of fewer than two tokens, or a stride outside 1 … context_length.
    """
    length = context_length or model.config.context_length  # type: ignore[attr-defined]
    stride = max(1, length // 2) if stride is None else stride
    if not 1 <= stride <= length:
        raise ValueError(f"stride={stride}: choose from 1 to the context length, {length}")
    if any(len(s) < 2 for s in sequences):
        raise ValueError("a sequence has fewer than 2 tokens: nothing in it can be predicted")
    windows = [(i, *w) for i, s in enumerate(sequences) for w in _windows(len(s), length, stride)]
    windows.sort(key=lambda w: w[2] - w[1])  # of like length together: little padding
    nats = [np.zeros(len(s) - 1) for s in sequences]
    was_training = getattr(model, "training", False)
    if was_training:
        model.eval()  # type: ignore[attr-defined]
    batches = range(0, len(windows), batch_size)
    for at in tqdm(batches, disable=None if progress else True, unit="batch"):
        batch = windows[at : at + batch_size]
        losses = _window_losses(model, [sequences[i][a : b + 1] for i, a, b, _ in batch])
        for (i, begin, end, scored), row in zip(batch, losses, strict=True):
            nats[i][scored:end] = row[scored - begin : end - begin]
    if was_training:
        model.train()  # type: ignore[attr-defined]
    return nats


def document_nats(
    model: LanguageModel, documents: Sequence[Document], tokenizer: Tokenizer, **options: Any
) -> Reals:
    """−log p of each document and its end, (n_documents,), in nats. Options: see `token_nats`."""
    tokens, starts = tokenize_documents(documents, tokenizer)
    end = [end_of_text_id(tokenizer)]
    sequences = [np.concatenate([end, tokens[a:b]]) for a, b in itertools.pairwise(starts)]
    return np.array([nats.sum() for nats in token_nats(model, sequences, **options)])


def bits_per_byte(nats: Numbers | float, n_bytes: Numbers | float | int | np.integer) -> float:
    """Σ nats / (ln 2 · Σ bytes): bits that a model needs for a byte of UTF-8 text.

    Raises:
        ValueError: no bytes.
    """
    total = float(np.sum(n_bytes))
    if total <= 0:
        raise ValueError(f"{total:g} bytes of text: bits per byte need at least one")
    return float(np.sum(nats)) / (math.log(2) * total)


def per_source(
    documents: Sequence[Document], measure: Callable[[NDArray[np.bool_]], Any]
) -> dict[str, Any]:
    """Apply ``measure`` to the mask of each source's documents, and to all of them (``"all"``)."""
    sources = np.array([d.source for d in documents])
    masks = {source: sources == source for source in SOURCES if source in sources}
    return {
        name: measure(mask)
        for name, mask in {**masks, "all": np.ones(len(documents), dtype=bool)}.items()
    }


def bits_per_byte_by_source(
    documents: Sequence[Document], nats: Numbers, **options: Any
) -> dict[str, Interval]:
    """Bits per byte of each source and of all, with bootstrap intervals over documents.

    For all, documents are drawn within each source, whose share of the text is not up to chance.
    """
    bits = np.asarray(nats, dtype=float) / math.log(2)
    n_bytes = np.array([d.n_bytes for d in documents], dtype=float)
    source = np.array([d.source for d in documents])
    return per_source(
        documents,
        lambda m: bootstrap_interval(bits[m], n_bytes[m], strata=source[m], **options),
    )


def _windows(n_tokens: int, length: int, stride: int) -> Iterable[tuple[int, int, int]]:
    """(begin, end, scored): inputs begin … end − 1, losses of which those from ``scored`` count.

    The loss at input t is that of token t + 1.
    """
    n_inputs, scored = n_tokens - 1, 0
    while scored < n_inputs:
        begin = 0 if scored == 0 else min(scored - (length - stride), n_inputs - length)
        end = min(begin + length, n_inputs)
        yield begin, end, scored
        scored = end


def _window_losses(model: LanguageModel, windows: Sequence[np.ndarray]) -> Reals:
    """−log p of the tokens after the first, (B, T), in windows padded on the right.

    What stands to the right of a token cannot change its loss in a causal model.
    """
    ids = np.zeros((len(windows), max(map(len, windows))), dtype=np.int64)
    for row, window in zip(ids, windows, strict=True):
        row[: len(window)] = window
    parameters = getattr(model, "parameters", None)
    device = next(parameters()).device if parameters is not None else torch.device("cpu")
    batch = torch.from_numpy(ids).to(device)
    logits = model(batch[:, :-1]).float()  # (B, T, V)
    losses = functional.cross_entropy(logits.transpose(1, 2), batch[:, 1:], reduction="none")
    return losses.double().cpu().numpy()
