"""A run killed at random moments while it writes checkpoints resumes, bit for bit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from llmbook.files import read_tensors

KILLS = 20
SCRIPT = """
import sys
import numpy as np, torch
from llmbook.config import GPTConfig
from llmbook.models import GPT
from llmbook.train import TrainConfig, train
torch.manual_seed(0)
model = GPT(GPTConfig(29, 7, 2, 2, 12, dropout=0.1))
tokens = np.random.default_rng(0).integers(0, 29, 500).astype(np.uint16)
run = TrainConfig(steps=int(sys.argv[2]), batch_size=3, checkpoint_every=1)
print("ready", flush=True)
train(model, tokens, config=run, out_dir=sys.argv[1], progress=False)
print("done", flush=True)
"""
STEPS = 1200


def start(folder: Path, steps: int = STEPS) -> subprocess.Popen:
    command = [sys.executable, "-c", SCRIPT, str(folder), str(steps)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_run_killed_twenty_times_ends_with_the_weights_of_one_that_never_stopped(tmp_path):
    chance = random.Random(0)
    killed = 0
    while killed < KILLS:
        process = start(tmp_path / "killed")
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.0, 0.15))
        if process.poll() is None:
            process.kill()
            killed += 1
        process.communicate()
        checkpoint = tmp_path / "killed" / "checkpoint.safetensors"
        if checkpoint.exists():
            read_tensors(checkpoint)  # whole, whenever the kill came
    for folder in ("killed", "whole"):
        process = start(tmp_path / folder)
        output, _ = process.communicate(timeout=300)
        assert output == "ready\ndone\n"
    ends = [
        read_tensors(tmp_path / folder / "checkpoint.safetensors")[0]
        for folder in ("killed", "whole")
    ]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    logs = [(tmp_path / folder / "log.jsonl").read_text() for folder in ("killed", "whole")]
    assert logs[0] == logs[1]
    leftovers = [p.name for p in (tmp_path / "killed").iterdir()]
    assert sorted(leftovers) == ["checkpoint.safetensors", "log.jsonl"]
