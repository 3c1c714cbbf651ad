"""The training loop: batches in, gradients back, one step after another, for any objective."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from llmbook.device import autocast, choose_precision
from llmbook.objectives import LossFunction
from llmbook.train import parallel as processes
from llmbook.train.checkpoint import FILE_NAME, load_checkpoint, save_checkpoint
from llmbook.train.config import TrainConfig, learning_rate_at
from llmbook.train.optimizers import make_optimizers
from llmbook.train.parallel import Parallel
from llmbook.train.trouble import explained, refuse_nan

Record = dict[str, float | int]
"""One line of a log: step, loss (nats per token), lr, grad_norm, now and then val_loss."""

LOG_NAME = "log.jsonl"


@runtime_checkable  # for the checks of types under pytest
class BatchStream(Protocol):
    """An endless stream of batches that knows its place, such as `TokenBatches`."""

    def __next__(self) -> Any: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def fit(
    model: nn.Module,
    batches: BatchStream,
    loss_fn: LossFunction,
    config: TrainConfig | None = None,
    *,
    count: Callable[[Any], int] | None = None,
    validate: Callable[[], float] | None = None,
    parallel: Parallel | None = None,
    out_dir: str | Path | None = None,
    progress: bool = True,
    on_step: Callable[[int, Any], None] | None = None,
) -> list[Record]:
    """Train a model on any batches, towards any objective, in place.

    With ``out_dir`` the run logs each step to ``log.jsonl`` and saves checkpoints. Started again
    with the same folder and settings, it goes on where the last checkpoint stands, and ends
    with the same weights, bit for bit, as a run that never stopped.

    Args:
        model: moved nowhere; it trains on the device it lies on.
        batches: see `llmbook.datasets`; several processes share each batch by rows.
        loss_fn: from a model and a batch to a loss; see `llmbook.objectives.steps`. A model with
            experts gets its balance loss added.
        config: the choices of the run.
        count: how many terms a batch's loss is the mean of, where batches differ in it
            (`llmbook.objectives.count_targets`): then every term weighs the same in a step.
        validate: the held-out loss, for ``val_loss``.
        parallel: how processes started by torchrun divide the work (default: DDP).
        out_dir: folder of the log and the checkpoint.
        progress: show a bar with loss, tokens per second and time left.
        on_step: called after each step with the number of steps done, and the model.

    Returns:
        The log, one record per step.

    Raises:
        FloatingPointError: the loss stopped being a number; the message names the step, the
            recent gradient norms and the last good checkpoint.
        torch.OutOfMemoryError: with what to lower.
        ConnectionError: another process of the run has ended.
        ValueError: a checkpoint of another run, or a batch that the processes cannot share.
    """
    config = config or TrainConfig()
    run = _Run(model, batches, loss_fn, config, count, validate, parallel, out_dir)
    run.resume()
    hidden = None if progress and processes.rank() == 0 else True
    with tqdm(total=config.steps, initial=run.step, disable=hidden, unit="step") as bar:
        while run.step < config.steps:
            with explained(config, model, run.where):
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
        model: nn.Module,
        batches: BatchStream,
        loss_fn: LossFunction,
        config: TrainConfig,
        count: Callable[[Any], int] | None,
        validate: Callable[[], float] | None,
        parallel: Parallel | None,
        out_dir: str | Path | None,
    ) -> None:
        self.model, self.batches, self.loss_fn, self.config = model, batches, loss_fn, config
        self.count, self.validate = count, validate
        self.device = next(model.parameters()).device
        self.dtype = choose_precision(config.precision, self.device)
        self.n_processes = processes.world_size()
        if parallel is None and self.n_processes > 1:
            parallel = "ddp"
        spread = processes.spread(model, parallel)
        self.forward: Any = torch.compile(spread) if config.compile else spread
        self.spread = spread
        self.optimizers = make_optimizers(model, config, self.dtype)
        self.out_dir = None if out_dir is None else Path(out_dir)
        self.step = 0
        self.saved_step = 0
        self.history: list[Record] = []
        self.tokens_per_second = 0.0
        torch.manual_seed(config.seed)

    def train_step(self) -> Record:
        """Average the gradients of the batches, clip, step, and log."""
        started = time.perf_counter()
        self.model.train()
        if self.n_processes > 1:  # dropout differs between processes, and repeats
            place = self.step * self.n_processes + processes.rank()
            torch.manual_seed((self.config.seed * 2**32 + place) % 2**63)
        loss, n_tokens = self._backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        grad_norm = float(processes.whole(norm))
        norms = [record["grad_norm"] for record in self.history[-5:]]
        rate = self.config.learning_rate
        refuse_nan(self.step + 1, loss, grad_norm, norms, rate, self.where()[1])
        lr = learning_rate_at(self.step, self.config)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1
        record: Record = {"step": self.step, "loss": loss, "lr": lr, "grad_norm": grad_norm}
        if self._due(self.config.eval_every) and self.validate is not None:
            record["val_loss"] = self.validate()
        self._log(record)
        self.tokens_per_second = n_tokens / (time.perf_counter() - started)
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
            self.saved_step = self.step

    def resume(self) -> None:
        """Go on from the folder's checkpoint, if there is one."""
        if self.out_dir is None:
            return
        path, log = self.out_dir / FILE_NAME, self.out_dir / LOG_NAME
        there = path.exists()
        if processes.total(there, self.device) not in (0, self.n_processes):
            raise ValueError(f"{path} is not seen by every process: put it on a disk they share")
        if there:
            progress = load_checkpoint(path, self.model, self.optimizers)
            step, place = progress.get("step"), progress.get("batches")
            ours = _agree(progress.get("settings"), self._settings())
            if not (ours and isinstance(step, int) and isinstance(place, dict)):
                raise ValueError(
                    f"{path} was written with other settings: use another out_dir, or delete it"
                )
            self.batches.load_state_dict(place)
            self.step = self.saved_step = step
            self.history = read_log(log)[: self.step]
        processes.total(0, self.device)  # everybody has read before anybody writes
        if processes.rank() == 0 and log.exists():
            lines = "".join(json.dumps(record) + "\n" for record in self.history)
            log.write_text(lines, encoding="utf-8") if there else log.unlink()

    def where(self) -> tuple[int, str]:
        """The step at work, and the last good checkpoint in words."""
        good = f"step {self.saved_step} in {self.out_dir}" if self.saved_step else "none"
        return self.step + 1, good

    def _backward(self) -> tuple[float, int]:
        """The loss of one step, mean over its terms, and the number of tokens read."""
        n_parts = self.config.grad_accumulation
        parts = [processes.my_share(next(self.batches)) for _ in range(n_parts)]
        terms = [1 if self.count is None else self.count(part) for part in parts]
        per_process = processes.total(sum(terms), self.device) / self.n_processes
        loss, n_tokens = 0.0, 0
        for i, (part, n) in enumerate(zip(parts, terms, strict=True)):
            last = i == n_parts - 1
            with nullcontext() if last else processes.gradients_stay_here(self.spread):
                loss += self._backward_one(part, n, per_process)
            n_tokens += _n_tokens(part) * self.n_processes
        return processes.total(loss, self.device) / self.n_processes, n_tokens

    def _backward_one(self, part: Any, terms: int, per_process: float) -> float:
        with autocast(self.device, self.dtype):
            loss = self.loss_fn(self.forward, _moved(part, self.device))
        if getattr(getattr(self.model, "config", None), "n_expert", None):
            loss = loss + self.config.balance_weight * self.model.balance_loss()  # type: ignore[operator]
        loss = loss / (per_process / terms) if terms else loss * 0.0
        loss.backward()
        return float(loss.detach())

    def _due(self, every: int) -> bool:
        return self.step == self.config.steps or (every > 0 and self.step % every == 0)

    def _settings(self) -> dict[str, Any]:
        model = getattr(self.model, "config", None)
        described = asdict(model) if is_dataclass(model) and not isinstance(model, type) else {}
        return json.loads(json.dumps({"model": described, "train": asdict(self.config)}))

    def _log(self, record: Record) -> None:
        self.history.append(record)
        if self.out_dir is not None and processes.rank() == 0:
            self.out_dir.mkdir(parents=True, exist_ok=True)
            with (self.out_dir / LOG_NAME).open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")


def read_log(path: str | Path) -> list[Record]:
    """The records of a run's log; a last line cut short by a killed run is dropped."""
    records = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records


def _agree(saved: Any, own: dict[str, Any]) -> bool:
    """Whether saved settings are ours. Choices that are newer than the checkpoint do not count."""
    if not isinstance(saved, dict) or saved.keys() != own.keys():
        return False
    return all(own[part].get(k, v) == v for part in own for k, v in dict(saved[part]).items())


def _moved(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, dict):
        return {name: _moved(part, device) for name, part in batch.items()}
    return tuple(_moved(part, device) for part in batch)


def _n_tokens(batch: Any) -> int:
    parts = batch.values() if isinstance(batch, dict) else batch
    return next(iter(parts)).numel()
