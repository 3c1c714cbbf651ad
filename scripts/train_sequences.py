"""Train the recurrent networks that chapter 6 replays; writes results/sequences.json, 6 minutes.

    python scripts/train_sequences.py                          # all three parts
    python scripts/train_sequences.py memory                   # one part, the others kept
    python scripts/train_sequences.py copying --steps 100      # a trial, not saved

memory: name the first of T symbols after the last, by a plain RNN, an LSTM and a GRU of one size,
    and by an LSTM whose forget gate stands open at first (bias 3).
copying: read letters, then write them down again. An LSTM that hands on its last state alone, at
    several widths, against the same encoder and decoder with the additive attention of Bahdanau et
    al. 2015. Trained on 1 to 16 letters, tested on 1 to 24. A copy counts when every letter is
    right.
verse: an LSTM that predicts the next character of Song verse, on the split of chapter 4 and beside
    its character bigram model, with intervals over poems.

Every seed has its own initial weights and its own training data; the test data are the same.
"""

from __future__ import annotations

import argparse
import json
import lzma
import math
import sys
import time
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluate_baselines import ROOT, provenance
from llmbook import seed_everything
from llmbook.evaluate import bits_per_byte
from llmbook.files import write_atomically
from llmbook.models import NGramModel
from llmbook.resampling import bootstrap_interval, paired_bootstrap
from sequence_models import LETTERS, CopyAttention, CopyPlain, Reader

SEEDS = (0, 1, 2)
RECALLING = {"RNN": "RNN", "GRU": "GRU", "LSTM": "LSTM", "LSTM, gate open": "LSTM"}
DISTANCES, OPEN_BIAS = (5, 10, 20, 40, 80), 3.0
N_SYMBOLS, MEMORY_WIDTH, MEMORY_STEPS = 8, 32, 400
LONGEST, TESTED = 16, 24
WIDTHS, ATTENTION_WIDTH, COPY_STEPS, N_TEST = (32, 64, 128), 64, 1600, 200
VERSE_STEPS, VERSE_SAMPLES = 1000, (30, 250)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fit(model: nn.Module, batches: Any, n_steps: int, rate: float) -> None:
    """Adam with a short warm-up, a linear decay and the gradient clipped to length 1."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: min((i + 1) / 20, 1.0, 2 * (1 - i / n_steps))
    )
    for _ in range(n_steps):
        loss = batches()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()


@torch.no_grad()
def open_forget_gate(cell: nn.RNNBase) -> None:
    """Set the sum of both biases of the forget gate of an LSTM (its second quarter)."""
    gate = slice(cell.hidden_size, 2 * cell.hidden_size)
    cell.get_parameter("bias_ih_l0")[gate] = OPEN_BIAS
    cell.get_parameter("bias_hh_l0")[gate] = 0.0


def record_memory(n_steps: int) -> dict[str, Any]:
    """Share of first symbols named right, by cell, distance and seed."""
    found: dict[str, list[list[float]]] = {}
    for name, cell in RECALLING.items():
        found[name] = []
        for distance in DISTANCES:
            scores = []
            for seed in SEEDS:
                seed_everything(seed)
                model, g = Reader(cell, N_SYMBOLS, MEMORY_WIDTH, 16), generator(seed)
                if name.endswith("open"):
                    open_forget_gate(model.cell)

                def loss(model: Reader = model, n: int = distance, g: Any = g) -> Tensor:
                    ids = torch.randint(N_SYMBOLS, (64, n), generator=g)
                    return functional.cross_entropy(model(ids)[0][:, -1], ids[:, 0])

                fit(model, loss, n_steps, 5e-3)
                with torch.no_grad():
                    ids = torch.randint(N_SYMBOLS, (2000, distance), generator=generator(99))
                    right = model(ids)[0][:, -1].argmax(-1) == ids[:, 0]
                scores.append(round(float(right.float().mean()), 4))
            print(name, distance, scores, flush=True)
            found[name].append(scores)
    return {
        "symbols": N_SYMBOLS,
        "width": MEMORY_WIDTH,
        "steps": n_steps,
        "distances": list(DISTANCES),
        "accuracy": found,
    }


def letters(n: int, length: int, g: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Sources, what the decoder sees, what it shall write: symbol 0 begins, symbol 1 ends."""
    source = torch.randint(2, LETTERS + 2, (n, length), generator=g)
    begin, end = torch.zeros(n, 1, dtype=torch.long), torch.ones(n, 1, dtype=torch.long)
    return source, torch.cat([begin, source], 1), torch.cat([source, end], 1)


@torch.no_grad()
def copies(model: nn.Module, length: int) -> tuple[float, float]:
    """Shares of whole copies and of letters that are right, when the model writes by itself."""
    source, written, target = letters(N_TEST, length, generator(99))
    written = written[:, :1]
    for _ in range(length + 1):
        chosen = model(source, written)[:, -1:].argmax(-1)
        written = torch.cat([written, chosen], 1)
    right = written[:, 1:] == target
    return float(right.all(1).float().mean()), float(right[:, :-1].float().mean())


def record_copying(n_steps: int) -> dict[str, Any]:
    """Whole copies and letters right, by model, seed and length; one map of the weights."""
    makers: dict[str, Any] = {f"last state, {w}": (CopyPlain, w) for w in WIDTHS}
    makers["attention, 64"] = (CopyAttention, ATTENTION_WIDTH)
    result: dict[str, Any] = {"steps": n_steps, "trained_to": LONGEST, "letters": LETTERS}
    result["lengths"] = list(range(1, TESTED + 1))
    result["models"] = {}
    for name, (maker, width) in makers.items():
        rows: dict[str, Any] = {"whole": [], "letter": [], "width": width}
        for seed in SEEDS:
            seed_everything(seed)
            model, g = maker(width), generator(seed)
            rows["parameters"] = sum(p.numel() for p in model.parameters())

            def loss(model: nn.Module = model, g: torch.Generator = g) -> Tensor:
                length = int(torch.randint(1, LONGEST + 1, (), generator=g))
                source, written, target = letters(64, length, g)
                return functional.cross_entropy(model(source, written).mT, target)

            fit(model, loss, n_steps, 5e-3)
            both = [copies(model, length) for length in result["lengths"]]
            rows["whole"].append([round(whole, 4) for whole, _ in both])
            rows["letter"].append([round(letter, 4) for _, letter in both])
            spent = round(time.process_time())
            print(name, seed, rows["whole"][-1][::3], spent, "CPU-seconds", flush=True)
        result["models"][name] = rows
    source, written, _ = letters(1, 12, generator(7))
    maps: list[Tensor] = []
    with torch.no_grad():
        model(source, written, maps)
    result["map"] = {
        "source": "".join(chr(95 + i) for i in source[0].tolist()),
        "weights": [[round(float(w), 3) for w in row[0]] for row in maps],
    }
    return result


def verse() -> tuple[dict[str, list[str]], dict[str, int]]:
    """Poems of both splits, and a number for each character, from 1; 0 stands between poems."""
    packed = (files("llmbook") / "assets/song_verse/verse.jsonl.xz").read_bytes()
    poems = [json.loads(line) for line in lzma.decompress(packed).decode().splitlines()]
    parts = {s: [p["text"] for p in poems if p["split"] == s] for s in ("train", "heldout")}
    return parts, {c: i + 1 for i, c in enumerate(sorted({c for p in poems for c in p["text"]}))}


@torch.no_grad()
def write(model: Reader, text: str, number: dict[str, int], n: int, seed: int) -> str:
    """Draw ``n`` characters after ``text``, one at a time."""
    names, g = {i: c for c, i in number.items()}, generator(seed)
    logits, state = model(torch.tensor([[0, *(number[c] for c in text)]]))
    for _ in range(n):
        p = logits[0, -1].softmax(-1)
        chosen = int(torch.multinomial(p, 1, generator=g))
        text += names.get(chosen, "\n")
        logits, state = model(torch.tensor([[chosen]]), state)
    return text


def record_verse(n_steps: int) -> dict[str, Any]:
    """An LSTM on characters beside the bigram model, in bits, with samples along the training."""
    parts, number = verse()
    size = len(number) + 1
    ids = {s: [np.array([*map(number.get, t), 0]) for t in texts] for s, texts in parts.items()}
    stream = torch.from_numpy(np.concatenate([[0], *ids["train"]]).astype(np.int64))
    seed_everything(0)
    model, g = Reader("LSTM", size, 192, 96), generator(0)
    nn.init.normal_(model.read.weight, std=0.02)
    samples, step = {}, 0

    def loss() -> Tensor:
        nonlocal step
        if step in VERSE_SAMPLES:
            samples[step] = write(model, "大江东去，", number, 31, seed=1)
            print(step, round(time.process_time()), samples[step].replace("\n", " "), flush=True)
        step += 1
        starts = torch.randint(len(stream) - 49, (24,), generator=g)
        rows = stream[starts[:, None] + torch.arange(49)]
        return functional.cross_entropy(model(rows[:, :-1])[0].mT, rows[:, 1:])

    fit(model, loss, n_steps, 4e-3)
    samples[n_steps] = write(model, "大江东去，", number, 31, seed=1)
    counting = NGramModel.train(
        np.concatenate(ids["train"]), order=2, vocab_size=size, boundary_id=0
    )
    nats: dict[str, list[float]] = {"LSTM": [], "bigram": []}
    for poem in ids["heldout"]:
        rows = torch.from_numpy(np.concatenate([[0], poem]).astype(np.int64))[None]
        with torch.no_grad():
            logits = model(rows[:, :-1])[0]
        cost = functional.cross_entropy(logits.mT, rows[:, 1:], reduction="sum")
        nats["LSTM"].append(float(cost))
        nats["bigram"].append(float(-counting.log_prob(poem).sum()))
    n_characters = np.array([len(p) for p in ids["heldout"]], dtype=float)
    n_bytes = sum(len(t.encode()) + 1 for t in parts["heldout"])
    bits = {name: np.array(x) / math.log(2) for name, x in nats.items()}
    gap = paired_bootstrap(bits["bigram"], bits["LSTM"], n_characters)
    return {
        "steps": n_steps,
        "parameters": sum(p.numel() for p in model.parameters()),
        "characters": len(stream),
        "bits_per_character": {
            name: bootstrap_interval(x, n_characters)._asdict() for name, x in bits.items()
        },
        "bits_per_byte": {name: round(bits_per_byte(x, n_bytes), 4) for name, x in nats.items()},
        "bigram_minus_lstm": gap._asdict(),
        "samples": {str(k): v for k, v in samples.items()},
    }


PARTS = {
    "copying": (record_copying, COPY_STEPS),
    "memory": (record_memory, MEMORY_STEPS),
    "verse": (record_verse, VERSE_STEPS),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("part", nargs="?", choices=list(PARTS))
    parser.add_argument("--steps", type=int, help="a trial with fewer steps, not saved")
    arguments = parser.parse_args()
    chosen = [arguments.part] if arguments.part else list(PARTS)
    result = {}
    for name in chosen:
        started = time.process_time()
        result[name] = PARTS[name][0](arguments.steps or PARTS[name][1])
        result[name]["cpu_seconds"] = round(time.process_time() - started)
        print(name, result[name]["cpu_seconds"], "CPU-seconds", flush=True)
    if arguments.steps:
        print(json.dumps(result, ensure_ascii=False)[:3000])
        return 0
    path = ROOT / "results/sequences.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if arguments.part else {}
    head = {**provenance(), "command": "python scripts/train_sequences.py", "seeds": list(SEEDS)}
    content = json.dumps({**kept, **head, **result}, indent=1, ensure_ascii=False)
    write_atomically(path, (content + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
