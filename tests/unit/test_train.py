"""Training: the schedule by hand, Muon against PyTorch's, one batch overfitted, runs resumed."""

from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest
import torch
from mutations import damaged_bytes
from safetensors.torch import save

from llmbook.config import GPTConfig
from llmbook.datasets import TokenBatches
from llmbook.files import read_tensors
from llmbook.models import GPT
from llmbook.train import (
    Muon,
    TrainConfig,
    fit,
    learning_rate_at,
    make_optimizers,
    next_token_loss,
    orthogonalise,
    read_log,
    train,
    validation_loss,
)

CONFIG = GPTConfig(29, 7, 2, 2, 12, dropout=0.1)
TOKENS = np.random.default_rng(0).integers(0, 29, 500).astype(np.uint16)
RUN = TrainConfig(steps=6, batch_size=3, warmup_steps=2, eval_every=3, eval_windows=5)


def build(config: GPTConfig = CONFIG) -> GPT:
    torch.manual_seed(0)
    return GPT(config)


def weights(model: GPT) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_the_schedule_rises_in_a_line_and_falls_along_half_a_cosine():
    config = TrainConfig(steps=12, warmup_steps=2, learning_rate=1.0, min_lr_ratio=0.1)
    rates = [learning_rate_at(step, config) for step in range(13)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[7] == pytest.approx(0.55)  # half-way: the mean of 1 and 0.1
    assert rates[12] == pytest.approx(0.1)
    assert rates[2:] == sorted(rates[2:], reverse=True)


@pytest.mark.parametrize(("decay", "half_way", "end"), [("linear", 0.5, 0.0), ("none", 1.0, 1.0)])
def test_the_other_shapes_of_decay(decay, half_way, end):
    config = TrainConfig(steps=10, warmup_steps=0, learning_rate=1.0, min_lr_ratio=0.0, decay=decay)
    assert learning_rate_at(5, config) == pytest.approx(half_way)
    assert learning_rate_at(10, config) == pytest.approx(end)


def test_the_loss_is_the_mean_surprise_in_nats():
    probabilities = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]])
    loss = next_token_loss(probabilities.log(), torch.tensor([[0, 2]]))
    assert loss.item() == pytest.approx((math.log(2) - math.log(0.8)) / 2)


@pytest.mark.parametrize("shape", [(5, 11), (11, 5), (7, 7)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(matrix, steps=8))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_muon_takes_the_steps_of_pytorchs_own():
    torch.manual_seed(0)
    start, grads = torch.randn(5, 11), torch.randn(4, 5, 11)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    settings = {"lr": 0.02, "weight_decay": 0.1, "momentum": 0.9}
    optimizers = (
        Muon([ours], dtype=torch.bfloat16, **settings),
        torch.optim.Muon([theirs], adjust_lr_fn="match_rms_adamw", **settings),
    )
    for grad in grads:
        for parameter, optimizer in zip((ours, theirs), optimizers, strict=True):
            parameter.grad = grad.clone()
            optimizer.step()
    moved = (ours - start).norm()
    assert (ours - theirs).norm() < 0.05 * moved  # both round to bfloat16, in another order


def test_muon_refuses_what_is_no_matrix():
    with pytest.raises(ValueError, match=r"not a tensor of shape \(3,\)"):
        Muon([torch.nn.Parameter(torch.zeros(3))])


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_every_parameter_has_one_optimizer_and_vectors_do_not_decay(optimizer):
    model = build()
    optimizers = make_optimizers(model, TrainConfig(optimizer=optimizer))
    groups = [group for o in optimizers for group in o.param_groups]
    listed = [id(p) for group in groups for p in group["params"]]
    assert sorted(listed) == sorted(id(p) for p in model.parameters())
    for group in groups:
        vectors = [p.dim() < 2 for p in group["params"]]
        assert all(vectors) == any(vectors) == (group["weight_decay"] == 0.0)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_one_batch_can_be_overfitted(optimizer):
    tokens = np.arange(8) * 3  # one window, always the same
    run = TrainConfig(steps=150, batch_size=1, learning_rate=2e-2, optimizer=optimizer)
    history = train(build(CONFIG.replace(dropout=0.0)), tokens, config=run, progress=False)
    assert history[0]["loss"] == pytest.approx(math.log(29), abs=0.2)
    assert history[-1]["loss"] < 0.01


def test_the_loop_written_by_hand_gives_the_same_losses():
    run = TrainConfig(steps=4, batch_size=3, warmup_steps=2, weight_decay=0.0, clip_norm=1e9)
    model = build(CONFIG.replace(dropout=0.0))
    recorded = train(model, TOKENS, config=run, progress=False)
    model = build(CONFIG.replace(dropout=0.0))
    optimizer = torch.optim.AdamW(model.parameters(), betas=run.betas, weight_decay=0.0)
    batches = TokenBatches(TOKENS, 7, 3, seed=0)
    for step in range(4):
        inputs, targets = next(batches)
        loss = torch.nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.param_groups[0]["lr"] = learning_rate_at(step, run)
        optimizer.step()
        optimizer.zero_grad()
        assert recorded[step]["loss"] == pytest.approx(loss.item(), rel=1e-5)


def test_accumulated_batches_equal_one_large_batch():
    def first_step(batch_size: int, accumulation: int) -> torch.Tensor:
        model = build(CONFIG.replace(dropout=0.0))
        tokens = np.arange(8)  # a single window: both runs see the same
        run = TrainConfig(steps=1, batch_size=batch_size, grad_accumulation=accumulation)
        train(model, tokens, config=run, progress=False)
        return weights(model)

    torch.testing.assert_close(first_step(4, 1), first_step(2, 2))


def test_a_run_logs_each_step_and_validates_when_asked(tmp_path):
    history = train(build(), TOKENS, TOKENS[:100], RUN, out_dir=tmp_path, progress=False)
    assert [record["step"] for record in history] == [1, 2, 3, 4, 5, 6]
    assert [r["step"] for r in history if "val_loss" in r] == [3, 6]
    assert read_log(tmp_path / "log.jsonl") == history


def test_the_validation_loss_is_the_mean_over_its_windows():
    model = build().eval()
    windows = torch.from_numpy(np.stack([TOKENS[:8], TOKENS[-8:]]).astype(np.int64))
    expected = next_token_loss(model(windows[:, :-1]), windows[:, 1:]).item()
    assert validation_loss(model, TOKENS, n_windows=2) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_resumed_run_ends_with_the_same_weights_bit_for_bit(tmp_path, optimizer):
    run = TrainConfig(steps=6, batch_size=3, warmup_steps=2, checkpoint_every=2, eval_every=3,
                      eval_windows=5, optimizer=optimizer)  # fmt: skip
    whole = build()
    history = train(whole, TOKENS, TOKENS, run, progress=False)

    def stop_after_three(step: int, _: GPT) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(build(), TOKENS, TOKENS, run, out_dir=tmp_path, progress=False,
              on_step=stop_after_three)  # fmt: skip
    resumed = build()
    again = train(resumed, TOKENS, TOKENS, run, out_dir=tmp_path, progress=False)
    assert torch.equal(weights(whole), weights(resumed))
    assert again == history == read_log(tmp_path / "log.jsonl")


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    run = TrainConfig(steps=2, batch_size=3)
    train(build(), TOKENS, config=run, out_dir=tmp_path, progress=False)
    other = TrainConfig(steps=3, batch_size=3)
    with pytest.raises(ValueError, match="written with other settings"):
        train(build(), TOKENS, config=other, out_dir=tmp_path, progress=False)
    with pytest.raises(ValueError, match="belongs to another run"):
        train(build(CONFIG.replace(n_layer=1)), TOKENS, config=run, out_dir=tmp_path,
              progress=False)  # fmt: skip


def test_a_loss_that_is_no_number_stops_the_run_and_says_where(tmp_path):
    model = build()
    run = TrainConfig(steps=5, batch_size=3, checkpoint_every=1)

    def break_it(step: int, model: GPT) -> None:
        if step == 3:
            with torch.no_grad():
                model.norm.weight.fill_(math.inf)

    with pytest.raises(FloatingPointError, match=r"step 4: .*Last good checkpoint: step 3 in"):
        train(model, TOKENS, config=run, out_dir=tmp_path, progress=False, on_step=break_it)


def allocate_too_much(model, batch):
    torch.empty(2**50, dtype=torch.float64)  # PyTorch's own message, on the CPU


def no_room_on_the_card(model, batch):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def no_room_in_numpy(model, batch):
    np.empty(2**50)


@pytest.mark.parametrize("loss_fn", [allocate_too_much, no_room_on_the_card, no_room_in_numpy])
def test_memory_that_runs_out_says_what_to_lower(loss_fn):
    run = TrainConfig(steps=2, batch_size=6, grad_accumulation=5)
    with pytest.raises(torch.OutOfMemoryError) as caught:
        fit(build(), TokenBatches(TOKENS, 7, 6), loss_fn, run, progress=False)
    assert str(caught.value) == (
        "step 1: the memory is full. Lower one of these: batch_size=6 (with batch_size=3 and "
        "grad_accumulation=10 a step sees as many tokens), context_length=7, "
        'precision="float32" to "bfloat16", the model\'s sizes'
    )


def test_other_errors_pass_as_they_are():
    def broken(model, batch):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        fit(build(), TokenBatches(TOKENS, 7, 6), broken, RUN, progress=False)


def test_a_checkpoint_older_than_a_setting_goes_on(tmp_path):
    run = TrainConfig(steps=4, batch_size=3, checkpoint_every=2)
    whole, older = build(), build()
    train(whole, TOKENS, config=run, progress=False)

    def stop(step: int, _: GPT) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(older, TOKENS, config=run, out_dir=tmp_path, progress=False, on_step=stop)
    path = tmp_path / "checkpoint.safetensors"
    tensors, header = read_tensors(path)
    progress = json.loads(header["progress"])
    del progress["settings"]["train"]["balance_weight"]
    path.write_bytes(save(tensors, metadata={**header, "progress": json.dumps(progress)}))
    resumed = build()
    train(resumed, TOKENS, config=run, out_dir=tmp_path, progress=False)
    assert torch.equal(weights(whole), weights(resumed))


def test_runs_resumed_from_damaged_checkpoints_say_what_to_do(tmp_path):
    config, run = GPTConfig(29, 7, 1, 2, 8), TrainConfig(steps=2, batch_size=2, optimizer="muon")
    train(build(config), TOKENS, config=run, out_dir=tmp_path, progress=False)
    path, log = tmp_path / "checkpoint.safetensors", (tmp_path / "log.jsonl").read_text()
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    place, refused = content.index(b"progress"), 0
    for seed in range(300):
        chance = random.Random(seed)
        damaged = damaged_bytes(content, chance, header)
        if seed % 2:  # a letter of the progress, so that the header is still read
            at = chance.randrange(place, header)
            damaged = content[:at] + bytes([chance.randrange(32, 127)]) + content[at + 1 :]
        path.write_bytes(damaged)
        (tmp_path / "log.jsonl").write_text(log)
        try:
            train(build(config), TOKENS, config=run, out_dir=tmp_path, progress=False)
        except (ValueError, FloatingPointError):
            refused += 1
    assert refused > 150


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_training_is_what_it_was_bit_for_bit(optimizer):
    """Written out as the first release did it: two accumulated batches, clipped, averaged."""
    run = TrainConfig(steps=5, batch_size=3, warmup_steps=2, grad_accumulation=3, clip_norm=0.5,
                      optimizer=optimizer)  # fmt: skip
    ours, theirs = build(), build()
    history = train(ours, TOKENS, config=run, progress=False)
    optimizers = make_optimizers(theirs, run)
    batches = TokenBatches(TOKENS, 7, 3, seed=0)
    torch.manual_seed(0)
    for step in range(5):
        theirs.train()
        losses = []
        for _ in range(3):
            inputs, targets = next(batches)
            loss = next_token_loss(theirs(inputs), targets) / 3
            loss.backward()
            losses.append(float(loss.detach()))
        norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        for optimizer_ in optimizers:
            for group in optimizer_.param_groups:
                group["lr"] = learning_rate_at(step, run)
            optimizer_.step()
            optimizer_.zero_grad()
        assert (history[step]["loss"], history[step]["grad_norm"]) == (sum(losses), float(norm))
    assert torch.equal(weights(ours), weights(theirs))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps=0"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0"),
        ({"clip_norm": math.nan}, "clip_norm=nan"),
        ({"warmup_steps": -1}, "warmup_steps=-1"),
        ({"balance_weight": -0.1}, "balance_weight=-0.1"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**changes)


def test_too_few_tokens_are_refused():
    with pytest.raises(ValueError, match="8"):
        train(build(), TOKENS[:7], config=RUN, progress=False)
    with pytest.raises(ValueError, match="fewer than one window of 8"):
        validation_loss(build(), TOKENS[:7])


def test_a_log_line_cut_short_is_dropped(tmp_path):
    lines = json.dumps({"step": 1, "loss": 2.0}) + "\n" + '{"step": 2, "lo'
    (tmp_path / "log.jsonl").write_text(lines)
    assert read_log(tmp_path / "log.jsonl") == [{"step": 1, "loss": 2.0}]
