"""Two processes take the steps that one takes, and a process that dies ends the run cleanly."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import two_processes

from llmbook.files import read_tensors
from llmbook.train import parallel, read_log

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="this PyTorch has no gloo"
)
TOLERANCE = 1e-5  # nats and weights; sums are taken in another order. Measured: below 1e-6.
RUNS = ("adamw", "muon", "accumulated", "experts", "packed", "masked", "adapted")


def torchrun(*arguments: object, restarts: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--max-restarts", str(restarts), "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "LLMBOOK_DEVICE": "cpu"}
    environment.pop("WORLD_SIZE", None)
    return subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
        env=environment,
    )


@pytest.fixture(scope="module")
def one() -> dict:
    return two_processes.everything()


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> dict:
    """What two processes found; see tests/support/two_processes.py."""
    folder = tmp_path_factory.mktemp("two")
    for kind in ("ddp", "fsdp"):
        two_processes.interrupted(folder / f"half_one_for_{kind}", optimizer="muon")
    done = torchrun(two_processes.__file__, folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return {**json.loads((folder / "found.json").read_text()), "folder": folder}


def same(found: dict, expected: dict, of_weights: float = TOLERANCE) -> None:
    assert found.keys() == expected.keys()
    for name in expected:
        tolerance = of_weights if name == "weights" else TOLERANCE
        assert len(found[name]) == len(expected[name]) > 0 or name == "val_loss"
        assert found[name] == pytest.approx(expected[name], rel=0, abs=tolerance), name


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
@pytest.mark.parametrize("run", RUNS)
def test_two_processes_give_the_losses_and_weights_of_one(one, two, kind, run):
    assert two["world_size"] == 2
    # An expert that few tokens reach has gradients near zero, whose rounding Adam enlarges.
    same(two[kind][run], one[run], of_weights=1e-4 if run == "experts" else TOLERANCE)


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_a_checkpoint_of_two_processes_resumes_on_one(one, two, kind, tmp_path):
    half = shutil.copytree(two["folder"] / f"half_{kind}", tmp_path / "half")
    assert len(read_log(half / "log.jsonl")) == 3
    same(two_processes.plain(out_dir=half, optimizer="muon"), one["muon"])
    assert [record["step"] for record in read_log(half / "log.jsonl")] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_a_checkpoint_of_one_process_resumes_on_two(one, two, kind):
    same(two[f"resumed_{kind}"], one["muon"])


def test_the_file_does_not_depend_on_who_wrote_it(two):
    folders = ("half_ddp", "half_fsdp")
    ddp, fsdp = (read_tensors(two["folder"] / f / "checkpoint.safetensors")[0] for f in folders)
    assert ddp.keys() == fsdp.keys()
    for name in ddp.keys() - {"random.cpu"}:
        assert ddp[name].shape == fsdp[name].shape
        torch.testing.assert_close(ddp[name], fsdp[name], atol=TOLERANCE, rtol=0)


def test_two_processes_with_dropout_resume_bit_for_bit(two):
    assert two["dropout_resumed"] == two["dropout"]
    assert two["dropout"]["loss"] != two["ddp"]["adamw"]["loss"]


def test_a_loss_that_is_no_number_on_one_process_stops_all_with_one_message(two):
    message = two["refusals"]["nan"]
    assert message.startswith("step 4: the loss is nan")
    assert "norms before: [" in message
    assert message.endswith("Last good checkpoint: none")


def test_what_cannot_be_shared_is_refused(two):
    assert "make batch_size a multiple of 2" in two["refusals"]["uneven"]
    assert "choose ddp or fsdp" in two["refusals"]["unknown"]
    with pytest.raises(ValueError, match="start the program with torchrun"):
        two_processes.plain("ddp")


def test_alone_nothing_is_spread():
    assert (parallel.rank(), parallel.world_size()) == (0, 1)
    assert parallel.total(0.1, torch.device("cpu")) == 0.1
    batch = (torch.arange(3), torch.arange(3))
    assert parallel.my_share(batch) is batch


# the command, and processes that die ----------------------------------------------------------

DIES = """
import json, os, signal, sys
from llmbook import cli, files
from llmbook.train import loop, parallel
moment, out, save = sys.argv[1], sys.argv[4], loop._Run.save_if_due
again = os.environ["TORCHELASTIC_RESTART_COUNT"] != "0"
def die():
    os.kill(os.getpid(), signal.SIGKILL)
def save_or_die(run):
    if moment == "peer" and run.step == 3 and parallel.rank() == 1:
        die()
    if moment == "writing" and run.step == 4 and parallel.rank() == 0:
        files.os.replace = lambda *_: die()  # half-way: written, but not under its name
    save(run)
if again and os.environ["RANK"] == "0":
    _, header = files.read_tensors(out + "/checkpoint.safetensors")
    print("found step", json.loads(header["progress"])["step"], sorted(os.listdir(out)), flush=True)
if not again:
    loop._Run.save_if_due = save_or_die
sys.exit(cli.main(sys.argv[2:]))
"""


def options(out: Path) -> list[object]:
    sizes = ["--preset", "tiny", "--context-length", 16, "--batch-size", 4]
    run = ["--steps", 6, "--checkpoint-every", 2, "--source", "austen", "--precision", "float32"]
    return ["train", "--out", out, *sizes, *run, "--quiet"]


@pytest.fixture(scope="module")
def dies(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("dies") / "dies.py"
    path.write_text(DIES)
    return path


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if line.startswith("llmbook train:")]


def test_a_process_that_dies_ends_the_job_and_the_next_command_goes_on(dies, tmp_path):
    done = torchrun(dies, "peer", *options(tmp_path))
    assert done.returncode != 0
    (message,) = said(done)
    assert "step 4: another process of this run has ended" in message
    assert f"Last good checkpoint: step 2 in {tmp_path}" in message
    _, header = read_tensors(tmp_path / "checkpoint.safetensors")
    assert json.loads(header["progress"])["step"] == 2
    assert not list(tmp_path.glob(".*.tmp"))
    done = torchrun("-m", "llmbook", *options(tmp_path), "--parallel", "fsdp")
    assert done.returncode == 0, done.stderr[-2000:]
    assert ", cpu, 2 processes\n" in done.stdout
    assert done.stdout.count("nats per token after 6 steps") == 1
    assert [record["step"] for record in read_log(tmp_path / "log.jsonl")] == [1, 2, 3, 4, 5, 6]
    assert (tmp_path / "model" / "model.safetensors").exists()


def test_killed_while_it_writes_it_finds_the_checkpoint_before_and_goes_on(dies, tmp_path):
    done = torchrun(dies, "writing", *options(tmp_path), restarts=1)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(said(done)) == 1  # of the process that was left
    files = "['.checkpoint.safetensors.tmp', 'checkpoint.safetensors', 'log.jsonl']"
    assert f"found step 2 {files}" in done.stdout
    assert "nats per token after 6 steps" in done.stdout
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"checkpoint.safetensors", "log.jsonl", "model"}
