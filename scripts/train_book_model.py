"""Train the models that ship with the book (`make model`).

Three stages, each leaving its result in `src/llmbook/assets`:

  tokenizer   byte-level BPE, 4096 tokens, learnt from the training documents;
  small       the sibling whose twelve snapshots are the time machine of chapter 12;
  book        the model that writes.

Each run logs to `runs/` (not committed) and writes its record to `results/`. The book's run can be
stopped and started again; the sibling's, which takes minutes, begins anew. On a GPU the
book's model makes more passes, because they cost minutes there.

    python scripts/train_book_model.py [--device cpu|cuda] [--stage tokenizer small book]
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from llmbook import __version__, pick_device, seed_everything
from llmbook.config import GPTConfig
from llmbook.datasets import load_corpus, load_tokens
from llmbook.files import write_atomically
from llmbook.models import GPT
from llmbook.tokenizers import BPETokenizer
from llmbook.train import TrainConfig, train, validation_loss
from llmbook.train.loop import Record
from llmbook.weights import book_model_path, export_hf
from llmbook.weights.hub_config import to_hub_config
from llmbook.weights.names import to_hub

ROOT = Path(__file__).resolve().parents[1]
ASSETS = book_model_path().parent
RUNS = ROOT / "runs"
RESULTS = ROOT / "results"
SNAPSHOT_STEPS = (0, 5, 15, 30, 60, 100, 160, 250, 400, 600, 900, 1200)

SMALL_RUN = TrainConfig(
    steps=1200,
    batch_size=16,
    learning_rate=4e-3,
    warmup_steps=20,
    decay="linear",
    min_lr_ratio=0.02,
    optimizer="muon",
    weight_decay=0.01,
    compile=True,
    eval_every=25,
    eval_windows=64,
    checkpoint_every=200,
)
BOOK_RUN_CPU = TrainConfig(
    steps=4000,
    batch_size=16,
    learning_rate=4e-3,
    warmup_steps=100,
    decay="linear",
    min_lr_ratio=0.01,
    optimizer="muon",
    weight_decay=0.1,
    precision="auto",
    compile=True,
    eval_every=100,
    eval_windows=64,
    checkpoint_every=100,
)
BOOK_RUN_GPU = TrainConfig(**{**asdict(BOOK_RUN_CPU), "steps": 3000, "batch_size": 64})
"""Nine passes over the text instead of three, with dropout."""


def train_tokenizer() -> None:
    """Learn the book's vocabulary from the training documents."""
    texts = [document.text for document in load_corpus("train")]
    BPETokenizer.train(texts, vocab_size=4096).save(book_model_path() / "tokenizer.json")


def train_small(device: torch.device) -> None:
    """Train the sibling and keep a snapshot at each of `SNAPSHOT_STEPS`."""
    tokenizer, train_tokens, val_tokens = load_data()
    seed_everything(0)
    model = GPT(GPTConfig.preset("book-small")).to(device)
    index: dict[str, Any] = {
        "config": to_hub_config(model.config, tokenizer.end_of_text_id),
        "snapshots": [],
    }

    def snapshot(step: int, model: GPT) -> None:
        if step in SNAPSHOT_STEPS:
            loss = validation_loss(model, val_tokens, SMALL_RUN.eval_windows)
            seen = step * SMALL_RUN.batch_size * model.config.context_length
            index["snapshots"].append(save_snapshot(model, step, seen, loss))

    out_dir = fresh_folder(RUNS / "book_small")  # snapshots are made from the first step on
    snapshot(0, model)
    record_run("book_small", SMALL_RUN, model, train_tokens, val_tokens, out_dir, snapshot)
    text = json.dumps(index, indent=1) + "\n"
    write_atomically(ASSETS / "checkpoints" / "index.json", text.encode())


def train_book(device: torch.device) -> None:
    """Train the model that writes and export it in the hub's layout, weights in half precision."""
    tokenizer, train_tokens, val_tokens = load_data()
    seed_everything(0)
    on_gpu = device.type == "cuda"
    config = GPTConfig.preset("book", dropout=0.1 if on_gpu else 0.0)
    run = BOOK_RUN_GPU if on_gpu else BOOK_RUN_CPU
    model = GPT(config).to(device)
    record_run("book_model", run, model, train_tokens, val_tokens, RUNS / "book_model")
    export_hf(model, tokenizer, book_model_path(), dtype=torch.float16)


def load_data() -> tuple[BPETokenizer, Any, Any]:
    """The tokenizer and both sides of the corpus as ids."""
    tokenizer = BPETokenizer.load(book_model_path() / "tokenizer.json")
    return tokenizer, load_tokens("train", tokenizer), load_tokens("heldout", tokenizer)


def record_run(
    name: str,
    config: TrainConfig,
    model: GPT,
    train_tokens: Any,
    val_tokens: Any,
    out_dir: Path,
    on_step: Callable[[int, GPT], None] | None = None,
) -> None:
    """Train, and write what a sceptic needs to repeat it to `results/NAME.json`."""
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++", "cl")):
        config = replace(config, compile=False)  # torch.compile needs a C++ compiler
    started, cpu_started, commit = time.time(), time.process_time(), git_commit()
    history = train(model, train_tokens, val_tokens, config, out_dir=out_dir, on_step=on_step)
    tokens_per_step = config.batch_size * config.grad_accumulation * model.config.context_length
    record = {
        "command": "make model",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit,
        "device": describe_device(model.device),
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "llmbook": __version__,
        },
        "model": asdict(model.config),
        "parameters": model.n_params(),
        "train": asdict(config),
        "train_tokens": len(train_tokens),
        "heldout_tokens": len(val_tokens),
        "tokens_seen": config.steps * tokens_per_step,
        "seconds": round(time.time() - started),
        "cpu_seconds": round(time.process_time() - cpu_started),
        "curve": thin(history),
    }
    write_atomically(RESULTS / f"{name}.json", (json.dumps(record, indent=1) + "\n").encode())


def thin(history: list[Record], every: int = 20) -> list[Record]:
    """Every record with a validation, the first fifty, and each twentieth of the rest, rounded."""
    kept = [r for r in history if "val_loss" in r or r["step"] <= 50 or r["step"] % every == 0]
    return [{k: float(f"{v:.5g}") for k, v in record.items()} for record in kept]


def save_snapshot(model: GPT, step: int, tokens_seen: int, loss: float) -> dict[str, Any]:
    """Write a model's weights in half precision; return its line of the index."""
    name = f"step_{step:05d}.safetensors"
    state = model.state_dict()
    del state["output.weight"]  # tied to the embedding
    tensors: dict[str, Tensor] = {
        k: v.detach().to("cpu", torch.float16).contiguous()
        for k, v in to_hub(state, model.config).items()
    }
    write_atomically(ASSETS / "checkpoints" / name, save(tensors, metadata={"format": "pt"}))
    return {"step": step, "tokens_seen": tokens_seen, "val_loss": round(loss, 4), "file": name}


def fresh_folder(folder: Path) -> Path:
    """The folder without an earlier run's checkpoint and log."""
    for file in folder.glob("*") if folder.is_dir() else ():
        file.unlink()
    return folder


def describe_device(device: torch.device) -> str:
    """The processor's or the card's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor()
    return f"{model}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}"


def git_commit() -> str:
    """The commit of the code, or 'unknown' outside a git checkout."""
    command = ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def main() -> int:
    """Run the stages that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", help="cpu, cuda or mps; default: the best here")
    stages = ("tokenizer", "small", "book")
    parser.add_argument("--stage", nargs="+", choices=stages, default=stages)
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    if "tokenizer" in arguments.stage:
        train_tokenizer()
    if "small" in arguments.stage:
        train_small(device)
    if "book" in arguments.stage:
        train_book(device)
    return 0


if __name__ == "__main__":
    sys.exit(main())
