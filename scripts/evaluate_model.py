"""Held-out bits per byte of the shipped model beside the 5-gram and xz, and its model card.

    python scripts/evaluate_model.py      # results/evaluation.json and the card; minutes on a CPU

All three are measured on the same held-out documents; the difference to the 5-gram is measured
document by document (`llmbook.evaluate.paired_bootstrap`). The numbers of xz are those that
`evaluate_baselines.py` recorded for the same corpus.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import numpy as np

from evaluate_baselines import ngram_nats, provenance, train_ngram
from llmbook.evaluate import (
    bits_per_byte_by_source,
    document_nats,
    heldout_documents,
    paired_bootstrap,
    per_source,
)
from llmbook.files import read_json, write_atomically
from llmbook.weights import book_model_path, load_book_model
from train_book_model import RESULTS

SOURCES = {
    "shakespeare": "Shakespeare",
    "austen": "Austen's novels",
    "wikipedia": "Wikipedia leads",
    "bible": "World English Bible",
    "all": "**all**",
}


def main() -> int:
    """Evaluate, and write both files."""
    baselines = read_json(RESULTS / "baselines.json")
    if baselines["corpus_sha256"] != provenance()["corpus_sha256"]:
        sys.exit("results/baselines.json is of another corpus: run scripts/evaluate_baselines.py")
    model, tokenizer = load_book_model()
    documents = heldout_documents()
    n_bytes = np.array([d.n_bytes for d in documents], dtype=float)
    source = np.array([d.source for d in documents])
    ours = document_nats(model, documents, tokenizer)
    theirs = ngram_nats(train_ngram(tokenizer), documents, tokenizer)
    difference = per_source(
        documents,
        lambda m: paired_bootstrap(
            theirs[m] / math.log(2), ours[m] / math.log(2), n_bytes[m], strata=source[m]
        ),
    )
    result = {
        **provenance(),
        "command": "python scripts/evaluate_model.py",
        "interval": "95 %, percentile, 10,000 resamples of documents (for all: within each source)",
        "model": {"bits_per_byte": intervals(bits_per_byte_by_source(documents, ours))},
        "ngram": {"bits_per_byte": intervals(bits_per_byte_by_source(documents, theirs))},
        "ngram_minus_model": {"bits_per_byte": intervals(difference)},
        "xz": {"bits_per_byte": baselines["xz"]["bits_per_byte"]},
    }
    write_atomically(RESULTS / "evaluation.json", (json.dumps(result, indent=1) + "\n").encode())
    card = model_card(read_json(RESULTS / "book_model.json"), result)
    write_atomically(book_model_path() / "MODEL_CARD.md", card.encode())
    print(bits_table(result))
    return 0


def intervals(by_source: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Intervals as rounded numbers."""
    return {
        name: {key: round(value, 4) for key, value in interval._asdict().items()}
        for name, interval in by_source.items()
    }


def bits_table(result: dict[str, Any]) -> str:
    """One row per source: the model, the 5-gram, their difference, and xz."""

    def cell(kind: str, name: str) -> str:
        value = result[kind]["bits_per_byte"][name]
        return f"{value['estimate']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"

    xz = result["xz"]["bits_per_byte"]
    rows = [
        f"| {label} | {cell('model', name)} | {cell('ngram', name)} "
        f"| {cell('ngram_minus_model', name)} | {xz[name]['given_train']:.3f} |"
        for name, label in SOURCES.items()
    ]
    head = [
        "| held-out text | this model | 5-gram | 5-gram − model | xz |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows])


def model_card(run: dict[str, Any], result: dict[str, Any]) -> str:
    """The card, every number of it from the two records."""
    model, train = run["model"], run["train"]
    passes = run["tokens_seen"] / run["train_tokens"]
    return f"""# The book's model

A small decoder-only Transformer that writes English in the manner of its training text. It ships
with *Language Models: from First Principles to the Economy* so that every chapter runs offline.
It is a teaching model: it knows few facts, and what it says should not be relied on.

Made by `make model`; this card by `python scripts/evaluate_model.py`.

| | |
|---|---|
| architecture | `LlamaForCausalLM`: RoPE, RMSNorm, SwiGLU, tied embeddings |
| layers, width, heads | {model["n_layer"]}, {model["d_model"]}, {model["n_head"]} |
| vocabulary | {model["vocab_size"]:,} byte-level BPE tokens |
| context | {model["context_length"]} tokens |
| parameters | {run["parameters"]:,}, stored in half precision |
| training tokens | {run["train_tokens"]:,}, each seen {passes:.1f} times on average |
| tokens seen | {run["tokens_seen"]:,} |
| optimizer | {train["optimizer"]}, {train["steps"]:,} steps of {train["batch_size"]} windows, \
learning rate {train["learning_rate"]}, {train["decay"]} decay |
| device | {run["device"]}, {run["threads"]} thread(s) |
| seconds | {run["seconds"]:,} ({run["cpu_seconds"]:,} CPU-seconds) |
| seed, commit, date | {train["seed"]}, {run["commit"]}, {run["date"]} |

## Data

Shakespeare's works, Jane Austen's six novels, ten thousand leads of English Wikipedia articles,
and the World English Bible: see `../corpus/NOTICE.md` for sources and licences. About 5 % of each
source was held out, by document.

## Held-out bits per byte

With 95 % intervals over documents. The 5-gram is an interpolated modified Kneser–Ney
model over the same tokens of the same training text; xz is what the held-out text adds to an
archive of the training text. Lower is better. Measured on {result["date"]}.

{bits_table(result)}

## Licence and limits

The weights are under the Apache License 2.0. The model can repeat passages of its training text,
which keep their licences. The texts were written from the sixteenth century to the twenty-first
and carry the prejudices of their times; the model repeats them. It was not trained to follow
instructions, to refuse, or to be correct.
"""


if __name__ == "__main__":
    sys.exit(main())
