"""Train the neural language model of Bengio et al. 2003 on the tokens that chapter 4 counts.

    python scripts/train_bengio.py                        # results/bengio.json, 8 minutes
    python scripts/train_bengio.py --tokens 60000 --out /dev/stdout       # a trial

Text, tokens, order and held-out documents are those of the 5-gram of `evaluate_baselines.py`: the
network sees the four tokens before each token, and nothing from before the document's beginning
(end-of-text stands there). It is the paper's model without the direct connections W.

The record holds bits per byte with intervals over documents for the network, for the 5-gram and
for their mixture with equal weights; the differences by how much of the 5-gram the training text
has; and, for some tokens, those whose vectors lie nearest. Used in chapter 6.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from evaluate_baselines import ROOT, TOKENIZER, provenance, train_ngram
from llmbook import seed_everything
from llmbook.datasets import load_corpus, tokenize_documents
from llmbook.evaluate import bits_per_byte, bits_per_byte_by_source, heldout_documents
from llmbook.files import write_atomically
from llmbook.resampling import Interval, paired_bootstrap
from llmbook.tokenizers import BPETokenizer
from record_ngrams import seen_matches

Ids = NDArray[np.int64]
ORDER, EMBEDDING, HIDDEN = 5, 64, 128
EPOCHS, BATCH, LEARNING_RATE = 2, 512, 2e-3
WORDS = [" king", " she", " sea", " seven", " said", " London", " walked", " happy", " never"]


class Bengio(nn.Module):
    """y = b + U tanh(d + H x), where x joins the vectors C of the tokens before.

    Source: Bengio et al. 2003, with W = 0. Taught in chapter 6.
    """

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.C = nn.Embedding(vocab_size, EMBEDDING)
        self.H = nn.Linear((ORDER - 1) * EMBEDDING, HIDDEN)
        self.U = nn.Linear(HIDDEN, vocab_size)
        nn.init.normal_(self.U.weight, std=0.02)

    def forward(self, context: Tensor) -> Tensor:
        """Logits (B, V) for contexts (B, order − 1), the nearest token first."""
        logits: Tensor = self.U(torch.tanh(self.H(self.C(context).flatten(1))))
        return logits


def contexts(tokens: np.ndarray, starts: np.ndarray, end: int) -> Ids:
    """The tokens before each token, nearest first, (n, order − 1); end-of-text before a start."""
    at = np.arange(len(tokens))
    place = at - np.repeat(starts[:-1], np.diff(starts))
    return np.stack(
        [np.where(place >= k, tokens[np.maximum(at - k, 0)], end) for k in range(1, ORDER)], axis=1
    )


@torch.no_grad()
def token_nats(model: Bengio, context: np.ndarray, tokens: np.ndarray) -> NDArray[np.float64]:
    """−log p of each token, (n,)."""
    parts = []
    for at in range(0, len(tokens), 4096):
        logits = model(torch.from_numpy(context[at : at + 4096]))
        target = torch.from_numpy(tokens[at : at + 4096])
        parts.append(nn.functional.cross_entropy(logits, target, reduction="none"))
    return torch.cat(parts).double().numpy()


def train(
    model: Bengio, context: np.ndarray, tokens: np.ndarray, probe: tuple[np.ndarray, np.ndarray]
) -> list[list[float]]:
    """Two passes over all tokens in a random order; returns (tokens seen, nats on the probe)."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    n_steps = EPOCHS * (len(tokens) // BATCH)
    warm = max(1, n_steps // 50)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: min((i + 1) / warm, 1 - i / n_steps)
    )
    points = {int(n_steps * share / 24) for share in range(1, 25)}
    curve, step = [], 0
    for epoch in range(EPOCHS):
        order = np.random.default_rng(epoch).permutation(len(tokens))
        for rows in order[: len(tokens) // BATCH * BATCH].reshape(-1, BATCH):
            loss = nn.functional.cross_entropy(
                model(torch.from_numpy(context[rows])), torch.from_numpy(tokens[rows])
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            step += 1
            if step in points:
                nats = float(token_nats(model, *probe).mean())
                curve.append([step * BATCH, round(nats, 4)])
                print(curve[-1], round(time.process_time()), "CPU-seconds", flush=True)
    return curve


def neighbours(model: Bengio, tokenizer: BPETokenizer, n: int = 6) -> dict[str, list[str]]:
    """For some tokens, those whose vectors point nearest to the same direction."""
    vectors = nn.functional.normalize(model.C.weight.detach(), dim=1)
    found = {}
    for word in WORDS:
        ids = tokenizer.encode(word)
        if len(ids) == 1:
            near = (vectors @ vectors[ids[0]]).topk(n + 1).indices.tolist()[1:]
            found[tokenizer.token_str(ids[0])] = [tokenizer.token_str(i) for i in near]
    return found


def numbers(interval: Interval) -> dict[str, float]:
    """An interval for the record."""
    return {name: round(value, 4) for name, value in interval._asdict().items()}


def compare(model: Bengio, tokenizer: BPETokenizer, counting: Any) -> dict[str, Any]:
    """Network, 5-gram and mixture on the same held-out tokens."""
    documents = heldout_documents()
    tokens, starts = (a.astype(np.int64) for a in tokenize_documents(documents, tokenizer))
    end = tokenizer.end_of_text_id
    nats = {
        "ngram": -counting.log_prob(tokens),
        "network": token_nats(model, contexts(tokens, starts, end), tokens),
    }
    nats["mixture"] = math.log(2) - np.logaddexp(-nats["ngram"], -nats["network"])
    by_document = {name: np.add.reduceat(x, starts[:-1]) for name, x in nats.items()}
    n_bytes = np.array([d.n_bytes for d in documents], dtype=float)
    source = np.array([d.source for d in documents])
    gaps = {
        name: paired_bootstrap(
            by_document["ngram"] / math.log(2), x / math.log(2), n_bytes, strata=source
        )
        for name, x in by_document.items()
        if name != "ngram"
    }
    _, hit = seen_matches(counting, tokens)
    owner = np.repeat(np.arange(len(documents)), np.diff(starts))
    rows = []
    for length in range(1, ORDER + 1):
        chosen = hit == length
        count = np.bincount(owner[chosen], minlength=len(documents)).astype(float)
        sums = {
            name: np.bincount(owner[chosen], weights=x[chosen], minlength=len(documents))
            for name, x in nats.items()
        }
        kept = count > 0
        gap = paired_bootstrap(
            sums["ngram"][kept] / math.log(2), sums["network"][kept] / math.log(2), count[kept]
        )
        means = {n: round(float(x[chosen].mean() / math.log(2)), 4) for n, x in nats.items()}
        rows.append({"seen": length, "tokens": int(chosen.sum()), **means, "gap": numbers(gap)})
    return {
        "interval": "95 %, percentile, 10,000 resamples of documents (for all: within each source)",
        "bits_per_byte": {
            name: {s: numbers(i) for s, i in bits_per_byte_by_source(documents, x).items()}
            for name, x in by_document.items()
        },
        "ngram_minus": {name: numbers(gap) for name, gap in gaps.items()},
        "bits_per_token_by_seen": rows,
        "heldout_tokens": len(tokens),
        "check": round(bits_per_byte(nats["network"], n_bytes), 4),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tokens", type=int, help="train on the first so many tokens only")
    parser.add_argument("--out", type=Path, default=ROOT / "results/bengio.json")
    arguments = parser.parse_args()
    seed_everything(0)
    tokenizer = BPETokenizer.load(TOKENIZER)
    end = tokenizer.end_of_text_id
    tokens, starts = tokenize_documents(load_corpus("train"), tokenizer)
    tokens, starts = tokens.astype(np.int64), starts.astype(np.int64)
    context = contexts(tokens, starts, end)[: arguments.tokens]
    test, test_starts = tokenize_documents(heldout_documents(), tokenizer)
    probe_rows = np.arange(0, len(test), 16)
    probe = contexts(test.astype(np.int64), test_starts.astype(np.int64), end)[probe_rows]
    model = Bengio(tokenizer.vocab_size)
    started = time.process_time()
    curve = train(
        model,
        context,
        tokens[: arguments.tokens],
        (probe, test.astype(np.int64)[probe_rows]),
    )
    seconds = round(time.process_time() - started)
    result = {
        **provenance(),
        "command": "python scripts/train_bengio.py",
        "model": {"order": ORDER, "embedding": EMBEDDING, "hidden": HIDDEN},
        "parameters": sum(p.numel() for p in model.parameters()),
        "train": {"epochs": EPOCHS, "batch_size": BATCH, "learning_rate": LEARNING_RATE},
        "train_tokens": len(context),
        "cpu_seconds": seconds,
        "curve": curve,
        "neighbours": neighbours(model, tokenizer),
        **compare(model, tokenizer, train_ngram(tokenizer, ORDER)),
    }
    content = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    if str(arguments.out) == "/dev/stdout":
        print(content)
    else:
        write_atomically(arguments.out, content.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
