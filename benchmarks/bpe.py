"""Learning byte-pair merges: ours against the Rust library `tokenizers`, same text, same merges.

Both get a list of documents and do all of the work: split into words, count, merge. Both use one
thread; the library's own threads are switched off.
"""

from __future__ import annotations

import json
import os
from typing import Any

from benchmarks.harness import compare, row, run
from llmbook.datasets import load_corpus
from llmbook.tokenizers import BPETokenizer

GOAL = 1 / 3
"""Python is allowed three times the seconds of Rust."""

TEXTS = {"Shakespeare": (4_700_000, "shakespeare"), "encyclopedia": (1_000_000, "wikipedia")}
VOCABULARIES = (1024, 4096)


def measure(texts: dict[str, tuple[int, str]] = TEXTS, rounds: int = 5) -> dict[str, Any]:
    """One row per text and vocabulary; merges are compared before anything is timed."""
    import tokenizers

    rows = []
    for name, (limit, source) in texts.items():
        documents = first_bytes([d.text for d in load_corpus(source=source)], limit)
        n_bytes = sum(len(text.encode()) for text in documents)
        for size in VOCABULARIES:
            ours, theirs = BPETokenizer.train(documents, size), train_peer(documents, size)
            if ours.merges != peer_merges(theirs):
                raise AssertionError("both must learn the same merges, or the times mean nothing")
            measured = compare(
                lambda d=documents, n=size: BPETokenizer.train(d, n),
                lambda d=documents, n=size: train_peer(d, n),
                rounds,
            )
            work = f"BPE training, {n_bytes / 1e6:.1f} MB of {name}, vocabulary {size}"
            note = f"{len(ours.merges):,} identical merges; pure Python beside Rust"
            rows.append(row(work, f"tokenizers {tokenizers.__version__}", GOAL, measured, note))
    return {"rows": rows}


def first_bytes(documents: list[str], limit: int) -> list[str]:
    """Whole documents from the start, up to about ``limit`` bytes."""
    chosen, total = [], 0
    for text in documents:
        if total >= limit:
            break
        chosen.append(text)
        total += len(text.encode())
    return chosen


def train_peer(documents: list[str], vocab_size: int) -> Any:
    """The library's trainer with the same splitting, alphabet, size and threshold as ours."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1,  # ours counts its end-of-text token
        min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    return tokenizer


def peer_merges(tokenizer: Any) -> list[tuple[int, int]]:
    """The library's merges as pairs of ids."""
    model = json.loads(tokenizer.to_str())["model"]
    return [(model["vocab"][left], model["vocab"][right]) for left, right in model["merges"]]


if __name__ == "__main__":
    os.environ["RAYON_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    run("bpe", measure)
