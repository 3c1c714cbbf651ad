"""Train one small GPT per kind of position, and read texts longer than any that it was trained on.

    python scripts/record_positions.py                 # writes results/positions.json, ten minutes
    python scripts/record_positions.py --steps 20 --seeds 1 --out /dev/stdout    # a trial

Each model reads bytes, 64 at a time, in training. Afterwards every model predicts the same bytes,
the last 32 of each of a set of held-out windows, with ever more of the window before them in
sight. More context can only help a model that knows what to do with it. RoPE is read a second
time with its angles divided by as much as the text is too long (position interpolation), without
further training. Used in chapter 8.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import llmbook
from llmbook import seed_everything
from llmbook.config import GPTConfig, RopeScaling
from llmbook.config.base import Position
from llmbook.datasets import TokenBatches, load_corpus
from llmbook.files import write_atomically
from llmbook.models import GPT

ROOT = Path(__file__).parents[1]
KINDS: tuple[Position, ...] = ("learned", "sinusoidal", "rope", "alibi", "none")
TRAINED = 64
LENGTHS = (64, 96, 128, 192, 256, 384, 512)
SCORED = 32
WINDOWS = 256
BATCH = 32
PEAK, WARM_UP = 3e-3, 50


def corpus_bytes(split: str) -> np.ndarray:
    """The documents of one side of the split, one after the other, as bytes."""
    text = "\n\n".join(document.text for document in load_corpus(split))
    return np.frombuffer(text.encode(), dtype=np.uint8)


def held_out_windows() -> Tensor:
    """Windows of the longest length and one target more, evenly spread: (WINDOWS, 513)."""
    stream, size = corpus_bytes("heldout"), LENGTHS[-1] + 1
    starts = np.linspace(0, len(stream) - size, WINDOWS).astype(int)
    return torch.from_numpy(np.stack([stream[s : s + size] for s in starts]).astype(np.int64))


def configuration(kind: Position, stretch: float = 1.0) -> GPTConfig:
    """Two blocks of width 64; tables reach to the longest text that will be read."""
    return GPTConfig(
        vocab_size=256,
        context_length=LENGTHS[-1],
        n_layer=2,
        n_head=4,
        d_model=64,
        position=kind,
        tie_embeddings=False,
        rope_scaling=RopeScaling("linear", stretch) if stretch > 1 else None,
    )


def learning_rate(step: int, steps: int) -> float:
    """A linear rise, then half a cosine down to a tenth."""
    if step < WARM_UP:
        return PEAK * (step + 1) / WARM_UP
    along = (step - WARM_UP) / max(1, steps - WARM_UP)
    return PEAK * (0.55 + 0.45 * float(np.cos(np.pi * along)))


@torch.no_grad()
def loss_at(model: GPT, windows: Tensor, length: int) -> float:
    """Mean loss, in nats per byte, of the last bytes, with ``length`` bytes in sight."""
    total = 0.0
    for rows in windows.split(32):
        inputs, targets = rows[:, -length - 1 : -1], rows[:, -SCORED:]
        logits = model(inputs)[:, -SCORED:]
        total += F.cross_entropy(logits.flatten(0, 1), targets.flatten()).item() * len(rows)
    return total / len(windows)


def train_one(
    kind: Position, seed: int, steps: int, data: np.ndarray, windows: Tensor
) -> list[dict]:
    """One training, and what it is worth at each length; RoPE gives two rows."""
    seed_everything(seed)
    began = time.process_time()
    model = GPT(configuration(kind))
    nn.init.normal_(model.token_embedding.weight)  # as large as the waves that may be added
    optimizer = torch.optim.Adam(model.parameters(), lr=PEAK, betas=(0.9, 0.98))
    batches = TokenBatches(data, TRAINED, BATCH, seed=seed)
    for step in range(steps):
        inputs, targets = next(batches)
        optimizer.param_groups[0]["lr"] = learning_rate(step, steps)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    cost = round(time.process_time() - began, 1)
    about = {"seed": seed, "steps": steps, "cpu_seconds": cost}
    losses = [round(loss_at(model, windows, n), 4) for n in LENGTHS]
    rows: list[dict] = [{"kind": kind, **about, "loss": losses}]
    if kind == "rope":
        stretched = []
        for length in LENGTHS:
            other = GPT(configuration(kind, length / TRAINED)).eval()
            other.load_state_dict(model.state_dict())
            stretched.append(round(loss_at(other, windows, length), 4))
        rows.append({"kind": "rope, interpolated", **about, "loss": stretched})
    return rows


def provenance() -> dict:
    """Where and when this was measured."""
    return {
        "command": "python scripts/record_positions.py",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"system": f"{platform.system()} {platform.machine()}", "device": "cpu"},
        "versions": {"llmbook": llmbook.__version__, "torch": torch.__version__},
        "trained_length": TRAINED,
        "lengths": list(LENGTHS),
        "scored_bytes": SCORED * WINDOWS,
        "batch": BATCH,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "results/positions.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data, windows = corpus_bytes("train"), held_out_windows()
    runs: list[dict] = []
    for seed in range(arguments.seeds):
        for kind in KINDS:
            runs += train_one(kind, seed, arguments.steps, data, windows)
            print(json.dumps(runs[-1]), file=sys.stderr, flush=True)
            text = json.dumps({**provenance(), "runs": runs}, indent=1) + "\n"
            write_atomically(arguments.out, text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
