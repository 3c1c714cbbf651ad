"""What chapter 4 replays (`make ngrams`): counting against more text, and against the network.

    python scripts/record_ngrams.py             # both records, about half an hour on one core
    python scripts/record_ngrams.py scaling     # results/ngram_scaling.json
    python scripts/record_ngrams.py positions   # results/ngram_positions.json

Both count the book model's own tokens and are measured on `llmbook.evaluate.heldout_documents`,
as results/baselines.json and results/evaluation.json are.

scaling: interpolated modified Kneser-Ney of orders 1 to 5, trained on growing parts of the
    training text. The documents are taken in the order of the SHA-256 of "source, newline,
    title", so that each part holds the smaller ones and all four sources.
positions: the 5-gram of the whole text beside the shipped model, token by token. The tokens are
    sorted by what is known before each (its place in the document, the longest context that the
    training text holds) and by what is known after it; every difference has an interval over
    documents.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluate_baselines import ROOT, provenance, train_ngram
from llmbook.datasets import Document, load_corpus, tokenize_documents
from llmbook.evaluate import bits_per_byte, heldout_documents, token_nats
from llmbook.files import write_atomically
from llmbook.models import NGramModel
from llmbook.models.ngram_counts import (
    NONE,
    contexts_from,
    find,
    number_ngrams,
    smooth,
    with_boundary,
)
from llmbook.resampling import paired_bootstrap
from llmbook.tokenizers import BPETokenizer
from llmbook.weights import load_book_model

ORDER = 5
HALVINGS = 9
RESULTS = ROOT / "results"
PASSAGE = ("wikipedia", 44)
PLACES = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("part", nargs="?", choices=["scaling", "positions"])
    part = parser.parse_args().part
    if part != "positions":
        save("ngram_scaling", record_scaling(load_book_model()[1]))
    if part != "scaling":
        save("ngram_positions", record_positions())
    return 0


def save(name: str, result: dict[str, Any]) -> None:
    """Write one record."""
    content = {**provenance(), "command": "python scripts/record_ngrams.py", **result}
    path = Path(RESULTS, f"{name}.json")
    write_atomically(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    print("wrote", path.relative_to(ROOT))


def shuffled(documents: Sequence[Document]) -> list[Document]:
    """The documents in an order that mixes the sources and is the same on every machine."""

    def key(document: Document) -> str:
        return hashlib.sha256(f"{document.source}\n{document.title}".encode()).hexdigest()

    return sorted(documents, key=key)


def seen_matches(model: NGramModel, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each token: length of its longest known context, and of the longest known n-gram.

    Both as the model sees them: contexts do not reach beyond a document's beginning. The second
    counts the token itself, so it is known only when the token is.
    """
    stream = with_boundary(tokens, model.vocab_size, model.boundary_id)
    words = stream[1:]
    context = np.zeros(len(words), dtype=np.int64)
    known, hit = np.zeros((2, len(words)), dtype=np.int64)
    for length, level in enumerate(model.levels, start=1):
        inside = context != NONE
        has_followers = inside & (level.rest[np.where(inside, context, 0)] < 1)
        known[has_followers] = length - 1
        found = np.where(inside, find(level.keys, context * model.vocab_size + words), NONE)
        counted = (found != NONE) & (level.counts[np.where(found == NONE, 0, found)] > 0)
        hit[counted] = length
        context = contexts_from(found, stream, model.boundary_id, length)
    return known, hit


def record_scaling(tokenizer: BPETokenizer) -> dict[str, Any]:
    """Bits per byte, and shares of unseen n-grams, of orders 1 to 5 on growing texts."""
    documents = shuffled(load_corpus("train"))
    heldout = heldout_documents()
    test, _ = tokenize_documents(heldout, tokenizer)
    n_bytes = sum(d.n_bytes for d in heldout)
    tokens, starts = tokenize_documents(documents, tokenizer)
    vocab_size, boundary = tokenizer.vocab_size, tokenizer.end_of_text_id
    rows = []
    for halving in range(HALVINGS, -1, -1):
        wanted = len(tokens) / 2**halving
        n_documents = int(np.searchsorted(starts, wanted * (1 - 1e-9)))
        part = tokens[: starts[n_documents]]
        stream = with_boundary(part, vocab_size, boundary)
        started = time.process_time()
        grams = number_ngrams(stream, ORDER, vocab_size, boundary)
        row: dict[str, Any] = {"tokens": len(part), "documents": n_documents}
        row["bits_per_byte"] = []
        for order in range(1, ORDER + 1):
            levels = smooth(grams[:order], vocab_size)
            model = NGramModel(order, vocab_size, boundary, levels)
            nats = -model.log_prob(test).sum()
            row["bits_per_byte"].append(round(bits_per_byte(nats, n_bytes), 4))
        _, hit = seen_matches(model, test)
        # A token near the beginning of its document has no n-gram of full length.
        place = _places(test, boundary)
        row["unseen"] = [
            round(float((hit[place >= n - 1] < n).mean()), 4) for n in range(1, ORDER + 1)
        ]
        row["n_ngrams"] = model.n_ngrams()
        row["cpu_seconds"] = round(time.process_time() - started, 1)
        rows.append(row)
        print(row, flush=True)
    return {"vocab_size": vocab_size, "orders": list(range(1, ORDER + 1)), "rows": rows}


def _places(tokens: np.ndarray, boundary: int) -> np.ndarray:
    """How many tokens of its own document stand before each token."""
    at = np.arange(len(tokens))
    begins = np.concatenate([[True], tokens[:-1] == boundary])
    return at - np.maximum.accumulate(np.where(begins, at, 0))


def repeated(tokens: np.ndarray, starts: np.ndarray, window: int = ORDER) -> np.ndarray:
    """0: a token new to its document; 1: it stood there before; 2: after the same token too.

    What lies within the reach of the n-gram's own context does not count as before.
    """
    kind = np.zeros(len(tokens), dtype=np.int64)
    for begin, end in itertools.pairwise(starts):
        document = tokens[begin:end].tolist()
        single: set[int] = set()
        double: set[tuple[int, int]] = set()
        for i, token in enumerate(document):
            if i >= window:
                single.add(document[i - window])
                if i > window:
                    double.add((document[i - window - 1], document[i - window]))
            if i and (document[i - 1], token) in double:
                kind[begin + i] = 2
            elif token in single:
                kind[begin + i] = 1
    return kind


def record_positions() -> dict[str, Any]:
    """The 5-gram and the shipped model on the same tokens."""
    model, tokenizer = load_book_model()
    documents = heldout_documents()
    tokens, starts = tokenize_documents(documents, tokenizer)
    counting = train_ngram(tokenizer, ORDER)
    ngram = -counting.log_prob(tokens)
    end = [tokenizer.end_of_text_id]
    rows = [np.concatenate([end, tokens[a:b]]) for a, b in itertools.pairwise(starts)]
    started = time.process_time()
    network = np.concatenate(token_nats(model, rows))
    print(f"network: {time.process_time() - started:.0f} CPU-seconds", flush=True)
    known, hit = seen_matches(counting, tokens)
    place = _places(tokens, tokenizer.end_of_text_id)
    owner = np.repeat(np.arange(len(documents)), np.diff(starts))
    bits = np.stack([ngram, network]) / math.log(2)
    groups = {
        "place": np.searchsorted(PLACES, place, side="right") - 1,
        "known_context": known,
        "seen_ngram": hit,
        "repeated": repeated(tokens, starts),
    }
    tables = {name: _table(bits, group, owner) for name, group in groups.items()}
    tables["all"] = _table(bits, np.zeros(len(tokens), dtype=np.int64), owner)
    n_bytes = sum(d.n_bytes for d in documents)
    return {
        "interval": "95 %, percentile, 10,000 resamples of documents",
        "unit": "bits per token; difference is 5-gram minus network",
        "bits_per_byte": {
            "ngram": round(bits_per_byte(ngram, n_bytes), 4),
            "model": round(bits_per_byte(network, n_bytes), 4),
        },
        "places": PLACES,
        "tables": tables,
        "passage": _passage(documents, tokenizer, tokens, starts, bits),
    }


def _table(bits: np.ndarray, group: np.ndarray, owner: np.ndarray) -> list[dict[str, Any]]:
    rows = []
    for value in np.unique(group):
        chosen = group == value
        sums = [np.bincount(owner[chosen], weights=b[chosen]) for b in bits]
        counts = np.bincount(owner[chosen])
        kept = counts > 0
        gap = paired_bootstrap(sums[0][kept], sums[1][kept], counts[kept].astype(float))
        rows.append(
            {
                "group": int(value),
                "tokens": int(chosen.sum()),
                "ngram": round(float(bits[0][chosen].mean()), 4),
                "model": round(float(bits[1][chosen].mean()), 4),
                "difference": {k: round(v, 4) for k, v in gap._asdict().items()},
            }
        )
    return rows


def _passage(
    documents: Sequence[Document],
    tokenizer: BPETokenizer,
    tokens: np.ndarray,
    starts: np.ndarray,
    bits: np.ndarray,
    length: int = 48,
) -> dict[str, Any]:
    """The first tokens of one document with both models' bits."""
    source, wanted = PASSAGE
    chosen = [i for i, d in enumerate(documents) if d.source == source][wanted]
    part = slice(starts[chosen], starts[chosen] + length)
    return {
        "source": source,
        "title": documents[chosen].title,
        "tokens": [tokenizer.token_str(int(i)) for i in tokens[part]],
        "ngram_bits": np.round(bits[0][part], 3).tolist(),
        "model_bits": np.round(bits[1][part], 3).tolist(),
    }


if __name__ == "__main__":
    sys.exit(main())
