"""Held-out bits per byte of what a neural model has to beat: a 5-gram model, and xz.

    python scripts/evaluate_baselines.py       # writes results/baselines.json, about 3 minutes

The 5-gram (interpolated modified Kneser–Ney) is trained on the book model's own tokens of the whole
training text and scores the documents of `llmbook.evaluate.heldout_documents`; `ngram_nats` gives
its nats per document, so that another model's can be compared document by document.

xz knows no probabilities, so files are compared. With C the size of an .xz file without checksum
(preset 9e, the dictionary enlarged to 64 MiB so that all of the text stays within reach) and every
document closed by one zero byte:
  alone: C(held-out part of the source), the text compressed by itself;
  given_train: C(training text of all sources, then the held-out part) − C(training text), what the
    held-out part adds to an archive of everything that the models were trained on.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import llmbook
from llmbook.datasets import (
    Document,
    corpus_manifest,
    load_corpus,
    load_tokens,
    tokenize_documents,
)
from llmbook.evaluate import (
    bits_per_byte_by_source,
    heldout_documents,
    per_source,
)
from llmbook.files import write_atomically
from llmbook.models import NGramModel
from llmbook.tokenizers import BPETokenizer

ROOT = Path(__file__).parents[1]
TOKENIZER = ROOT / "src/llmbook/assets/book_model/tokenizer.json"
ORDER = 5
DICTIONARY_BYTES = 64 * 1024 * 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tokenizer", type=Path, default=TOKENIZER)
    parser.add_argument("--out", type=Path, default=ROOT / "results/baselines.json")
    arguments = parser.parse_args()
    tokenizer = BPETokenizer.load(arguments.tokenizer)
    result = {**provenance(), "ngram": evaluate_ngram(tokenizer), "xz": evaluate_xz()}
    write_atomically(arguments.out, (json.dumps(result, indent=1) + "\n").encode())
    print(json.dumps({name: result[name]["bits_per_byte"] for name in ("ngram", "xz")}, indent=1))
    return 0


def train_ngram(tokenizer: BPETokenizer, order: int = ORDER) -> NGramModel:
    """The n-gram model over a tokenizer's tokens of the whole training text."""
    return NGramModel.train(
        load_tokens("train", tokenizer),
        order=order,
        vocab_size=tokenizer.vocab_size,
        boundary_id=tokenizer.end_of_text_id,
    )


def ngram_nats(
    model: NGramModel, documents: Sequence[Document], tokenizer: BPETokenizer
) -> np.ndarray:
    """−log p of each document and its end, (n_documents,), in nats."""
    tokens, starts = tokenize_documents(documents, tokenizer)
    return np.add.reduceat(-model.log_prob(tokens), starts[:-1])


def evaluate_ngram(tokenizer: BPETokenizer) -> dict[str, Any]:
    """Train and score the n-gram model; intervals resample the held-out documents."""
    started = time.perf_counter()
    model = train_ngram(tokenizer)
    seconds = time.perf_counter() - started
    documents = heldout_documents()
    report = bits_per_byte_by_source(documents, ngram_nats(model, documents, tokenizer))
    return {
        "model": f"interpolated modified Kneser-Ney, order {ORDER}",
        "vocab_size": tokenizer.vocab_size,
        "train_tokens": len(load_tokens("train", tokenizer)),
        "heldout_tokens": len(load_tokens("heldout", tokenizer)),
        "n_ngrams": model.n_ngrams(),
        "discounts": [[round(d, 4) for d in level.discounts] for level in model.levels],
        "train_seconds": round(seconds, 1),
        "interval": "95 %, percentile, 10,000 resamples of documents (for all: within each source)",
        "bits_per_byte": {name: _rounded(interval._asdict()) for name, interval in report.items()},
    }


def evaluate_xz() -> dict[str, Any]:
    """Compressed sizes, as the head of this file defines them. No interval: C is not a sum."""
    documents, train = heldout_documents(), archive(load_corpus("train"))
    base = xz_size(train)

    def measure(mask: np.ndarray) -> dict[str, float]:
        part = [d for d, chosen in zip(documents, mask, strict=True) if chosen]
        n_bytes, packed = sum(d.n_bytes for d in part), archive(part)
        sizes = {"alone": xz_size(packed), "given_train": xz_size(train + packed) - base}
        return {name: 8 * size / n_bytes for name, size in sizes.items()}

    return {
        "settings": f"LZMA2, preset 9e, dict_size {DICTIONARY_BYTES}, no check",
        "definition": " ".join((__doc__ or "").split("document by document.\n")[1].split()),
        "train_bytes": len(train),
        "train_compressed_bytes": base,
        "bits_per_byte": {k: _rounded(v) for k, v in per_source(documents, measure).items()},
    }


def archive(documents: Sequence[Document]) -> bytes:
    """The documents one after the other, each closed by a zero byte."""
    return "".join(d.text + "\0" for d in documents).encode()


@lru_cache(maxsize=16)
def xz_size(content: bytes) -> int:
    """Bytes of the content as an .xz file."""
    filters = [
        {
            "id": lzma.FILTER_LZMA2,
            "preset": 9 | lzma.PRESET_EXTREME,
            "dict_size": DICTIONARY_BYTES,
        }
    ]
    return len(lzma.compress(content, check=lzma.CHECK_NONE, filters=filters))


def provenance() -> dict[str, Any]:
    """What a reader needs to repeat the run: command, date, machine, versions, corpus."""
    return {
        "command": " ".join(["python", "scripts/evaluate_baselines.py", *sys.argv[1:]]),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "processors": os.cpu_count(),
            "threads": torch.get_num_threads(),
        },
        "versions": {
            "llmbook": llmbook.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
        },
        "corpus_sha256": corpus_manifest()["sha256"],
        "heldout_documents": len(heldout_documents()),
        "heldout_bytes": sum(d.n_bytes for d in heldout_documents()),
    }


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in numbers.items()}


if __name__ == "__main__":
    sys.exit(main())
