"""Train one small GPT per way of writing numbers, and see which of them learn to add.

    python scripts/train_addition.py                   # writes results/addition.json, half an hour
    python scripts/train_addition.py --extend --seeds 5    # keeps what is recorded, adds the rest
    python scripts/train_addition.py --steps 50 --out /dev/stdout    # a trial

Every model sees the same sums in the same order; only the pieces that a number is cut into differ:
  digits      one token for each digit
  gpt2        the pieces of GPT-2's tokenizer
  left        groups of three digits, counted from the left: 12345 is 123|45
  right       groups of three digits, counted from the right: 12345 is 12|345
  forwards    one token for each digit, and the answer in the usual order
But for the last, the answer is written from its last piece to its first, so that a carry is known
when it is needed.
An answer counts when every one of its digits is right. A tenth of all pairs of numbers is never
trained on, and the test asks those alone. Used in chapter 3.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import llmbook
from build_gpt2_merges import load_merges
from llmbook.config import GPTConfig
from llmbook.files import write_atomically
from llmbook.models import GPT
from llmbook.tokenizers import BPETokenizer

ROOT = Path(__file__).parents[1]
MAX_DIGITS = 5
PER_LENGTH = 200
BATCH = 64
VOCAB_SIZE = 2000  # for every scheme, so that all models have the same parameters
PLUS, EQUALS, END = "+", "=", "."
Split = Callable[[str], list[str]]


def threes_from_left(number: str) -> list[str]:
    """12345 → 123, 45."""
    return [number[i : i + 3] for i in range(0, len(number), 3)]


def threes_from_right(number: str) -> list[str]:
    """12345 → 12, 345."""
    first = len(number) % 3
    return ([number[:first]] if first else []) + threes_from_left(number[first:])


def splits() -> dict[str, Split]:
    """The ways of writing a number, by name."""
    gpt2 = BPETokenizer(load_merges())
    return {
        "digits": list,
        "gpt2": lambda number: [gpt2.token_str(i) for i in gpt2.encode(number)],
        "left": threes_from_left,
        "right": threes_from_right,
        "forwards": list,
    }


def draw_pair(rng: np.random.Generator, digits: int | None = None) -> tuple[int, int]:
    """Two numbers, of random lengths or of a given one."""
    lengths = [digits or int(rng.integers(1, MAX_DIGITS + 1)) for _ in range(2)]
    a, b = (int(rng.integers(10 ** (n - 1) if n > 1 else 0, 10**n)) for n in lengths)
    return a, b


def held_out(a: int, b: int) -> bool:
    """Whether a pair belongs to the tenth that is never trained on."""
    return hashlib.sha256(f"{a}+{b}".encode()).digest()[0] < 26


class Speller:
    """Sums as rows of token ids, in one way of writing numbers."""

    def __init__(self, scheme: str, split: Split) -> None:
        self.backwards = scheme != "forwards"
        self.split = split
        self.ids: dict[str, int] = {PLUS: 0, EQUALS: 1, END: 2}

    def _spell(self, number: int) -> list[int]:
        return [self.ids.setdefault(piece, len(self.ids)) for piece in self.split(str(number))]

    def question(self, a: int, b: int) -> list[int]:
        """The ids of ``a + b =``."""
        return [*self._spell(a), self.ids[PLUS], *self._spell(b), self.ids[EQUALS]]

    def answer(self, total: int) -> list[int]:
        """The ids of the sum and the end."""
        pieces = self._spell(total)
        return [*(reversed(pieces) if self.backwards else pieces), self.ids[END]]


def batch_of(speller: Speller, pairs: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """Inputs and targets (B, T), padded; a target of -100 is not counted."""
    rows = [(speller.question(a, b), speller.answer(a + b)) for a, b in pairs]
    width = max(len(q) + len(r) for q, r in rows)
    ids = torch.full((len(rows), width), 2)
    targets = torch.full((len(rows), width), -100)
    for i, (q, r) in enumerate(rows):
        ids[i, : len(q) + len(r)] = torch.tensor(q + r)
        targets[i, len(q) - 1 : len(q) - 1 + len(r)] = torch.tensor(r)
    return ids, targets


def all_right(model: GPT, speller: Speller, pairs: list[tuple[int, int]]) -> float:
    """Share of sums whose every piece is the model's first choice, the true ones before it given.

    A sum counts only if no piece is wrong, so this equals greedy writing.
    """
    ids, targets = batch_of(speller, pairs)
    with torch.no_grad():
        guesses = model(ids).argmax(dim=-1)
    right = (guesses == targets) | (targets == -100)
    return right.all(dim=1).double().mean().item()


def train_one(scheme: str, split: Split, steps: int, seed: int) -> dict:
    """Train a model on one way of writing numbers; return its accuracy by length."""
    torch.manual_seed(seed)
    config = GPTConfig(
        vocab_size=VOCAB_SIZE, context_length=32, n_layer=2, n_head=4, d_model=128, position="rope"
    )
    model, speller = GPT(config), Speller(scheme, split)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.1, fused=True
    )
    rng, start = np.random.default_rng(seed), time.process_time()
    losses = []
    for step in range(steps):
        pairs: list[tuple[int, int]] = []
        while len(pairs) < BATCH:
            pair = draw_pair(rng)
            if not held_out(*pair):
                pairs.append(pair)
        ids, targets = batch_of(speller, pairs)
        counted = targets != -100  # the logits of the question are not needed
        loss = F.cross_entropy(model.output(model.hidden(ids)[counted]), targets[counted])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        progress = step / steps
        rate = min(1.0, (step + 1) / 100) * (1.0 if progress < 0.6 else (1 - progress) / 0.4)
        optimizer.param_groups[0]["lr"] = 2e-3 * rate
        optimizer.step()
        losses.append(loss.item())
    test = np.random.default_rng(10_000)
    accuracy = {}
    for digits in range(1, MAX_DIGITS + 1):
        asked: list[tuple[int, int]] = []
        while len(asked) < PER_LENGTH:
            pair = draw_pair(test, digits)
            if held_out(*pair) and (digits < 3 or pair not in asked):
                asked.append(pair)
        accuracy[str(digits)] = all_right(model.eval(), speller, asked)
    return {
        "scheme": scheme,
        "seed": seed,
        "steps": steps,
        "parameters": model.n_params(),
        "pieces": len(speller.ids) - 3,
        "mean_tokens": round(float(np.mean([len(batch_row(speller, p)) for p in asked])), 2),
        "last_loss": round(float(np.mean(losses[-100:])), 4),
        "accuracy": accuracy,
        "cpu_seconds": round(time.process_time() - start),
    }


def batch_row(speller: Speller, pair: tuple[int, int]) -> list[int]:
    """One sum as ids."""
    return speller.question(*pair) + speller.answer(sum(pair))


def provenance(command: str) -> dict:
    """Where and when this was measured."""
    return {
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"system": f"{platform.system()} {platform.machine()}", "device": "cpu"},
        "versions": {"llmbook": llmbook.__version__, "torch": torch.__version__},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--extend", action="store_true", help="keep the runs recorded already")
    parser.add_argument("--schemes", nargs="*", default=list(splits()))
    parser.add_argument("--out", type=Path, default=ROOT / "results/addition.json")
    arguments = parser.parse_args()
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    result = provenance("python scripts/train_addition.py")
    runs: list[dict] = json.loads(arguments.out.read_text())["runs"] if arguments.extend else []
    recorded = {(run["scheme"], run["seed"]) for run in runs}
    for seed in range(arguments.seeds):
        for scheme in arguments.schemes:
            if (scheme, seed) in recorded:
                continue
            runs.append(train_one(scheme, splits()[scheme], arguments.steps, seed))
            print(json.dumps(runs[-1]), file=sys.stderr, flush=True)
            text = json.dumps({**result, "batch": BATCH, "runs": runs}, indent=1) + "\n"
            write_atomically(arguments.out, text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
