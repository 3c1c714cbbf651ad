"""What chapter 2's minimal pairs say of two further models; results/probes.json (`make levels`).

    python scripts/record_probes.py     # about four minutes on one core

Needs SmolLM2 (`make weights`). Beside it stands the 5-gram model of chapter 4, which has read what
the book's own model has read. For each pair of src/llmbook/assets/probes/probes.txt the record
holds the log-probabilities, in nats, of the continuations a and b after the contexts A and B:
[a after A, a after B, b after A, b after B], the last two where the pair has a b.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch

from evaluate_baselines import ROOT, provenance, train_ngram
from llmbook.files import write_atomically
from llmbook.models import GPT
from llmbook.tokenizers import BPETokenizer
from llmbook.weights import load_book_model, load_smollm2

PROBES = ROOT / "src/llmbook/assets/probes/probes.txt"
OUT = ROOT / "results/probes.json"
Scorer = Callable[[str, str], float]


def main() -> int:
    pairs = read_probes(PROBES.read_text(encoding="utf-8"))
    result = {
        **provenance(),
        "command": "python scripts/record_probes.py",
        "probes_sha256": hashlib.sha256(PROBES.read_bytes()).hexdigest(),
        "unit": "nats",
        "models": {
            "5-gram": score_all(ngram_scorer(), pairs),
            "SmolLM2": score_all(network_scorer(*load_smollm2()), pairs),
        },
    }
    write_atomically(OUT, (json.dumps(result, ensure_ascii=False) + "\n").encode())
    for name, scores in result["models"].items():
        print(name, {k: sum(map(is_right, rows)) for k, rows in scores.items()})
    return 0


def read_probes(text: str) -> dict[str, list[list[str]]]:
    """Name of a probe → its pairs [A, B, a] or [A, B, a, b]."""
    probes: dict[str, list[list[str]]] = {}
    for line in text.splitlines():
        fields = [field.strip() for field in line.removeprefix("##").split(" | ")]
        if line.startswith("##"):
            pairs = probes.setdefault(fields[1], [])
        elif line and not line.startswith("#"):
            pairs.append(fields)
    return probes


def score_all(log_prob: Scorer, probes: dict[str, list[list[str]]]) -> dict[str, list[list[float]]]:
    """Name of a probe → one row of rounded log-probabilities per pair."""
    return {
        name: [[round(log_prob(c, e), 4) for e in ends for c in (a, b)] for a, b, *ends in pairs]
        for name, pairs in probes.items()
    }


def is_right(row: Sequence[float]) -> bool:
    """Whether each continuation is drawn to its own context, the pair taken together."""
    difference = row[0] - row[1]
    return (difference + row[3] - row[2] if len(row) == 4 else difference) > 0


def network_scorer(model: GPT, tokenizer: BPETokenizer) -> Scorer:
    """log p(continuation | context) of a Transformer, summed over the continuation's tokens."""

    @cache
    @torch.no_grad()
    def log_prob(context: str, continuation: str) -> float:
        before, after = tokenizer.encode(context), tokenizer.encode(" " + continuation)
        logits = model(torch.tensor([before + after]))[0, len(before) - 1 : -1]
        rows = torch.log_softmax(logits.double(), dim=-1)
        return rows[torch.arange(len(after)), torch.tensor(after)].sum().item()

    return log_prob


def ngram_scorer() -> Scorer:
    """The same of the 5-gram model, over the tokens of the book's model."""
    tokenizer = load_book_model()[1]
    model: Any = train_ngram(tokenizer)

    def log_prob(context: str, continuation: str) -> float:
        before, after = tokenizer.encode(context), tokenizer.encode(" " + continuation)
        tokens = [tokenizer.end_of_text_id, *before, *after]
        return float(model.log_prob(tokens)[-len(after) :].sum())

    return log_prob


if __name__ == "__main__":
    sys.exit(main())
