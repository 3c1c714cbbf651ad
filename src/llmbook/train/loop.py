"""The training loop: batches in, gradients back, one step after another."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from tqdm.auto import tqdm

from llmbook.datasets import TokenBatches
from llmbook.device import autocast, choose_precision
from llmbook.models import GPT
from llmbook.train.checkpoint import FILE_NAME, load_checkpoint, save_checkpoint
from llmbook.train.config import TrainConfig, learning_rate_at
from llmbook.train.optimizers import make_optimizers

Record = dict[str, float | int]
"""One line of a log: step, loss (nats per token), lr, grad_norm, now and then val_loss."""

LOG_NAME = "log.jsonl"


def next_token_loss(
    logits: Float[Tensor, "B T V"], targets: Int[Tensor, "B T"]
) -> Float[Tensor, ""]:
    """Mean of -log p(target), in nats per token.

    Source: Radford et al. 2018, eq. 1. Taught in chapter 12.
    """
    return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


def train(
    model: GPT,
    train_tokens: np.ndarray,
    val_tokens: np.ndarray | None = None,
    config: TrainConfig | None = None,
    *,
    out_dir: str | Path | None = None,
    progress: bool = True,
    on_step: Callable[[int, GPT], None] | None = None,
) -> list[Record]:
    """Train a model on tokens, in place.

    With ``out_dir`` the run logs each step to ``log.jsonl`` and saves checkpoints. Started again
    with the same folder and settings, it goes on where the last checkpoint stands, and ends
    with the same weights, bit for bit, as a run that never stopped.

    Args:
        model: moved nowhere; it trains on the device it lies on.
        train_tokens: ids as one long row, documents separated by end-of-text.
        val_tokens: held-out ids, for ``val_loss``.
        config: the choices of the run.
        out_dir: folder of the log and the checkpoint.
        progress: show a bar with loss, tokens per second and time left.
        on_step: called after each step with the number of steps done, and the model.

    Returns:
        The log, one record per step.

    Raises:
        FloatingPointError: the loss stopped being a number; the message names the step, the
            recent gradient norms and the last good checkpoint.
        ValueError: tokens too few for one window, or a checkpoint of another run.
    """
    run = _Run(model, train_tokens, val_tokens, config or TrainConfig(), out_dir)
    run.resume()
    with tqdm(
        total=run.config.steps, initial=run.step, disable=None if progress else True, unit="step"
    ) as bar:
        while run.step < run.config.steps:
            record = run.train_step()
            if on_step is not None:
                on_step(run.step, model)
            run.save_if_due()
            bar.update()
            bar.set_postfix_str(f"loss {record['loss']:.3f}, {run.tokens_per_second:,.0f} tokens/s")
    model.eval()
    return run.history


class _Run:
    """The moving parts of one run, and what a checkpoint must hold of them."""

    def __init__(
        self,
        model: GPT,
        train_tokens: np.ndarray,
        val_tokens: np.ndarray | None,
        config: TrainConfig,
        out_dir: str | Path | None,
    ) -> None:
        self.model, self.config = model, config
        self.dtype = choose_precision(config.precision, model.device)
        self.forward: nn.Module = torch.compile(model) if config.compile else model  # type: ignore[assignment]
        self.optimizers = make_optimizers(model, config, self.dtype)
        self.batches = TokenBatches(
            train_tokens, model.config.context_length, config.batch_size, config.seed
        )
        self.val_tokens = val_tokens
        self.out_dir = None if out_dir is None else Path(out_dir)
        self.step = 0
        self.history: list[Record] = []
        self.tokens_per_second = 0.0
        torch.manual_seed(config.seed)

    def train_step(self) -> Record:
        """Average the gradients of the batches, clip, step, and log."""
        started = time.perf_counter()
        self.model.train()
        loss = sum(self._backward() for _ in range(self.config.grad_accumulation))
        grad_norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm))
        self._refuse_nan(loss, grad_norm)
        lr = learning_rate_at(self.step, self.config)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1
        record = {"step": self.step, "loss": loss, "lr": lr, "grad_norm": grad_norm}
        if self._due(self.config.eval_every) and self.val_tokens is not None:
            record["val_loss"] = validation_loss(
                self.model, self.val_tokens, self.config.eval_windows, self.dtype
            )
        self._log(record)
        self.tokens_per_second = self._tokens_per_step() / (time.perf_counter() - started)
        return record

    def save_if_due(self) -> None:
        """Write a checkpoint where the configuration asks for one, and after the last step."""
        if self.out_dir is not None and self._due(self.config.checkpoint_every):
            progress = {
                "step": self.step,
                "batches": self.batches.state_dict(),
                "settings": self._settings(),
            }
            save_checkpoint(self.out_dir / FILE_NAME, self.model, self.optimizers, progress)

    def resume(self) -> None:
        """Go on from the folder's checkpoint, if there is one."""
        if self.out_dir is None:
            return
        path = self.out_dir / FILE_NAME
        if not path.exists():
            (self.out_dir / LOG_NAME).unlink(missing_ok=True)
            return
        progress = load_checkpoint(path, self.model, self.optimizers)
        if progress.get("settings") != self._settings():
            raise ValueError(
                f"{path} was written with other settings: use another out_dir, or delete it"
            )
        self.step = progress["step"]
        self.batches.load_state_dict(progress["batches"])
        self.history = read_log(self.out_dir / LOG_NAME)[: self.step]
        lines = "".join(json.dumps(record) + "\n" for record in self.history)
        (self.out_dir / LOG_NAME).write_text(lines, encoding="utf-8")

    def _backward(self) -> float:
        inputs, targets = (ids.to(self.model.device) for ids in next(self.batches))
        with autocast(self.model.device, self.dtype):
            logits = self.forward(inputs)
        loss = next_token_loss(logits, targets) / self.config.grad_accumulation
        loss.backward()
        return float(loss.detach())

    def _due(self, every: int) -> bool:
        return self.step == self.config.steps or (every > 0 and self.step % every == 0)

    def _tokens_per_step(self) -> int:
        batch = self.config.batch_size * self.config.grad_accumulation
        return batch * self.model.config.context_length

    def _settings(self) -> dict[str, Any]:
        settings = {"model": asdict(self.model.config), "train": asdict(self.config)}
        return json.loads(json.dumps(settings))

    def _log(self, record: Record) -> None:
        self.history.append(record)
        if self.out_dir is not None:
            self.out_dir.mkdir(parents=True, exist_ok=True)
            with (self.out_dir / LOG_NAME).open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")

    def _refuse_nan(self, loss: float, grad_norm: float) -> None:
        if math.isfinite(loss) and math.isfinite(grad_norm):
            return
        recent = [round(record["grad_norm"], 3) for record in self.history[-5:]]
        every = self.config.checkpoint_every
        good = self.step - self.step % every if every and self.out_dir else 0
        where = f"step {good} in {self.out_dir}" if good else "none"
        raise FloatingPointError(
            f"step {self.step + 1}: the loss is {loss} and the gradient's norm {grad_norm} "
            f"(norms before: {recent}). Lower learning_rate={self.config.learning_rate} or "
            f"lengthen the warm-up. Last good checkpoint: {where}"
        )


@torch.no_grad()
def validation_loss(
    model: GPT,
    tokens: np.ndarray,
    n_windows: int = 32,
    dtype: torch.dtype = torch.float32,
) -> float:
    """Mean loss in nats per token over windows spread evenly over the tokens.

    A quick look while training. `llmbook.evaluate` measures every token with full context.
    """
    context = model.config.context_length
    if len(tokens) < context + 1:
        raise ValueError(
            f"{len(tokens)} held-out tokens are fewer than one window of {context + 1}"
        )
    was_training = model.training
    model.eval()
    starts = np.linspace(0, len(tokens) - context - 1, n_windows).astype(int)
    losses = []
    for chunk in np.array_split(starts, max(1, n_windows // 8)):
        windows = np.stack([tokens[s : s + context + 1] for s in chunk]).astype(np.int64)
        ids = torch.from_numpy(windows).to(model.device)
        with autocast(model.device, dtype):
            logits = model(ids[:, :-1])
        losses.append(float(next_token_loss(logits, ids[:, 1:])) * len(chunk))
    model.train(was_training)
    return sum(losses) / n_windows


def read_log(path: str | Path) -> list[Record]:
    """The records of a run's log; a last line cut short by a killed run is dropped."""
    records = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records
