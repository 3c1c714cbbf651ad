"""What each process of `tests/unit/test_distributed.py` does, under torchrun.

    torchrun --standalone --nproc-per-node 2 two_processes.py FOLDER

Process 0 leaves what it found in FOLDER/found.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from llmbook.config import BERTConfig, GPTConfig
from llmbook.datasets import MaskedBatches, PackedBatches, TokenBatches
from llmbook.lora import apply_lora, lora_parameters
from llmbook.models import BERT, GPT
from llmbook.objectives import count_targets, masked_lm, packed_lm
from llmbook.train import TrainConfig, fit, gathered_state, process_group, train
from llmbook.train.parallel import rank, world_size

TOKENS = np.random.default_rng(0).integers(0, 29, 500).astype(np.uint16)
SIZES = (29, 7, 2, 2, 12)
RUN = TrainConfig(
    steps=6,
    batch_size=4,
    warmup_steps=2,
    learning_rate=1e-2,
    eval_every=3,
    eval_windows=5,
    checkpoint_every=2,
)


class StopHere(Exception):
    """The run is interrupted on purpose."""


def stop_after_three(step: int, _: Any) -> None:
    if step == 3:
        raise StopHere


def decoder(**changes: Any) -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(*SIZES, **changes))


def plain(parallel=None, out_dir=None, on_step=None, model=None, **changes):
    """A run on tokens: its losses, norms, and weights at the end."""
    run = TrainConfig(**{**vars(RUN), **changes})
    model = decoder() if model is None else model
    history = train(model, TOKENS, TOKENS, run, parallel=parallel, out_dir=out_dir,
                    on_step=on_step, progress=False)  # fmt: skip
    return told(history, gathered_state(model))


def packed(parallel=None):
    """Rows with unequal numbers of targets, in accumulated batches."""
    model, starts = decoder(window=3), [0, 3, 40, 45, 101, 300, 311, 500]
    run = TrainConfig(**{**vars(RUN), "grad_accumulation": 2})
    rows = PackedBatches(TOKENS, starts, 7, 4)
    history = fit(model, rows, packed_lm, run, count=count_targets, parallel=parallel,
                  progress=False)  # fmt: skip
    return told(history, gathered_state(model))


def masked(parallel=None):
    """An encoder, whose pooler gets no gradient."""
    torch.manual_seed(0)
    model = BERT(BERTConfig(*SIZES, mlm_head=True, pooler=True))
    batches = MaskedBatches(TokenBatches(TOKENS, 7, 4), 1, 29)
    history = fit(model, batches, masked_lm, RUN, count=count_targets, parallel=parallel,
                  progress=False)  # fmt: skip
    return told(history, gathered_state(model))


def adapted(parallel=None):
    """Adapters alone are trained."""
    model = apply_lora(decoder(), rank=3, targets=["query", "down"])
    found = plain(parallel, model=model)
    assert len(lora_parameters(model)) == 8
    return found


def told(history, state) -> dict[str, list[float]]:
    return {
        "loss": [record["loss"] for record in history],
        "grad_norm": [record["grad_norm"] for record in history],
        "val_loss": [record["val_loss"] for record in history if "val_loss" in record],
        "weights": torch.cat([tensor.flatten() for tensor in state.values()]).tolist(),
    }


def everything(parallel=None) -> dict[str, Any]:
    """The runs whose losses must not depend on the number of processes."""
    return {
        "adamw": plain(parallel),
        "muon": plain(parallel, optimizer="muon"),
        "accumulated": plain(parallel, grad_accumulation=2),
        "experts": plain(
            parallel, model=decoder(n_expert=3, n_expert_active=1), balance_weight=0.0
        ),
        "packed": packed(parallel),
        "masked": masked(parallel),
        "adapted": adapted(parallel),
    }


def interrupted(folder: Path, parallel=None, **changes: Any) -> None:
    try:
        plain(parallel, folder, stop_after_three, **changes)
    except StopHere:
        return
    raise AssertionError("the run was to be interrupted")


def refusals() -> dict[str, str]:
    """The messages of runs that cannot go on; every process must get the same."""
    found = {}

    def break_one(step: int, model: GPT) -> None:
        if step == 3 and rank() == 1:  # the other process's weights are whole
            with torch.no_grad():
                model.norm.weight.fill_(float("inf"))

    for name, run in (
        ("nan", lambda: plain("ddp", on_step=break_one)),
        ("uneven", lambda: plain("ddp", batch_size=3)),
        ("unknown", lambda: plain("tensor")),
    ):
        try:
            run()
        except (ValueError, FloatingPointError) as error:
            found[name] = str(error)
    return found


def main(folder: Path) -> None:
    with process_group() as device:
        found: dict[str, Any] = {"device": str(device), "world_size": world_size()}
        for parallel in ("ddp", "fsdp"):
            found[parallel] = everything(parallel)
            half = folder / f"half_{parallel}"
            interrupted(half, parallel, optimizer="muon")
            found[f"resumed_{parallel}"] = plain(
                parallel, folder / f"half_one_for_{parallel}", optimizer="muon"
            )
        dropped = {"model": decoder(dropout=0.3)}
        found["dropout"] = plain("ddp", **dropped)
        interrupted(folder / "dropout", "ddp", model=decoder(dropout=0.3))
        dropped = {"model": decoder(dropout=0.3)}
        found["dropout_resumed"] = plain("ddp", folder / "dropout", **dropped)
        found["refusals"] = refusals()
        if rank() == 0:
            (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
