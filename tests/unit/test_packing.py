"""Packed documents, and token files larger than memory."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap
from collections import Counter

import numpy as np
import pytest
import torch

from llmbook import cli
from llmbook.config import GPTConfig
from llmbook.datasets import (
    IGNORE,
    PackedBatches,
    TokenBatches,
    open_token_file,
    packed_mask,
    write_token_file,
)
from llmbook.models import GPT
from llmbook.objectives import count_targets, packed_lm, sequence_loss
from llmbook.train import TrainConfig, fit, read_log

T, B, V = 11, 3, 29
LENGTHS = [5, 2, 30, 1, 0, 7, 12, 3, 3, 23, 2, 4]
TOKENS = np.random.default_rng(0).integers(0, V, sum(LENGTHS)).astype(np.uint16)
STARTS = np.cumsum([0, *LENGTHS])

KINDS = {
    "rope": {"position": "rope"},
    "learned": {"position": "learned"},
    "sinusoidal": {"position": "sinusoidal"},
    "alibi": {"position": "alibi"},
    "window": {"position": "rope", "window": 3},
}


def stream(batch_size: int = B, seed: int = 0) -> PackedBatches:
    return PackedBatches(TOKENS, STARTS, T, batch_size, seed)


def epoch() -> dict[str, torch.Tensor]:
    rows = stream()
    return next(stream(len(rows.rows)))


def model(**changes) -> GPT:
    torch.manual_seed(0)
    built = GPT(GPTConfig(V, T, 2, 2, 12, **changes))
    with torch.no_grad():  # livelier than at the start, so that a leak would show
        for parameter in built.parameters():
            parameter.mul_(3)
    return built


def logits(gpt: GPT, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    mask = packed_mask(batch["documents"], gpt.config.window)
    return gpt(batch["ids"], mask=mask, positions=batch["positions"])


# packing --------------------------------------------------------------------------------------


def test_the_mask_by_hand():
    mask = packed_mask(torch.tensor([[0, 0, 1, 1, 1, -1]]))[0, 0].int().tolist()
    assert mask == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 1, 1, 0, 0],
        [0, 0, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 0],
    ]
    windowed = packed_mask(torch.tensor([[0, 0, 0, 0]]), window=2)[0, 0].int().tolist()
    assert windowed == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]


def test_every_token_but_a_documents_first_is_a_target_once_per_epoch():
    numbered = np.arange(len(TOKENS))  # each id tells its own place
    batches = PackedBatches(numbered, STARTS, T, 1)
    seen: Counter[int] = Counter()
    for _ in range(len(batches.rows)):
        row = next(batches)
        real = row["targets"] != IGNORE
        assert (row["targets"][real] == row["ids"][real] + 1).all()
        seen.update(row["targets"][real].tolist())
    first = {int(s) for s, n in zip(STARTS, LENGTHS, strict=False) if n}
    assert seen == Counter(set(range(len(TOKENS))) - first)


def test_pieces_keep_together_and_count_their_positions_from_zero():
    batch = epoch()
    for row in range(len(batch["ids"])):
        documents = batch["documents"][row].tolist()
        own = [d for d in documents if d >= 0]
        assert documents == sorted(own) + [-1] * (T - len(own))  # side by side, padding last
        for number in set(documents):
            places = [t for t in range(T) if documents[t] == number]
            positions = batch["positions"][row, places].tolist()
            if number >= 0:
                assert positions == list(range(len(places)))
            else:
                assert (batch["targets"][row, places] == IGNORE).all()


def test_rows_are_nearly_full():
    lengths = np.random.default_rng(1).integers(2, 300, 2003)
    many = PackedBatches(np.zeros(lengths.sum(), np.uint16), np.cumsum([0, *lengths]), 128, 2)
    assert many.fill > 0.99
    assert all(sum(n for _, n in row) <= 128 for row in many.rows)


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_document_gets_the_logits_that_it_gets_alone(kind):
    gpt, batch = model(**KINDS[kind]).eval(), epoch()
    with torch.no_grad():
        packed = logits(gpt, batch)
        for row in range(len(packed)):
            for number in range(int(batch["documents"][row].max()) + 1):
                here = batch["documents"][row] == number
                alone = gpt(batch["ids"][row, here][None])[0]
                torch.testing.assert_close(packed[row, here], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_another_document_in_the_row_changes_nothing(kind):
    gpt, batch = model(**KINDS[kind]).eval(), epoch()
    row = next(r for r in range(len(batch["ids"])) if batch["documents"][r].max() >= 2)
    for changed in range(int(batch["documents"][row].max()) + 1):
        others = batch["documents"][row] != changed
        other = {**batch, "ids": batch["ids"].clone()}
        other["ids"][row, ~others] = (other["ids"][row, ~others] + 13) % V
        with torch.no_grad():
            before, after = logits(gpt, batch)[row], logits(gpt, other)[row]
        assert torch.equal(before[others], after[others])
        assert not torch.equal(before[~others], after[~others])


def test_no_gradient_flows_from_one_document_to_another():
    gpt, batch = model(position="learned"), epoch()
    row = next(r for r in range(len(batch["ids"])) if batch["documents"][r].max() >= 1)
    embedded = []
    gpt.token_embedding.register_forward_hook(lambda *a: embedded.append(a[2].requires_grad_()))
    out = logits(gpt, {k: v[row : row + 1] for k, v in batch.items()})
    last = batch["documents"][row] == batch["documents"][row].max()
    gradient = torch.autograd.grad(out[0, last].square().sum(), embedded[0])[0][0]
    assert (gradient[~last] == 0).all()
    assert (gradient[last] != 0).any(dim=-1).all()


def test_the_loss_is_the_mean_over_the_documents_own_tokens():
    gpt, batch = model().eval(), epoch()
    total, n = 0.0, 0
    for begin, end in itertools.pairwise(STARTS.tolist()):
        for start in range(begin, end - 1, T):
            window = torch.from_numpy(TOKENS[start : min(start + T + 1, end)].astype(np.int64))[
                None
            ]
            loss = sequence_loss(gpt(window[:, :-1]), window[:, 1:])
            total, n = total + loss.item() * (window.shape[1] - 1), n + window.shape[1] - 1
    assert count_targets(batch) == n
    assert packed_lm(gpt, batch).item() == pytest.approx(total / n, rel=1e-5)


def test_epochs_hold_the_same_rows_in_another_order():
    rows = len(stream().rows)
    batches = stream(rows)
    first, second = next(batches), next(batches)
    as_sets = [Counter(map(tuple, batch["ids"].tolist())) for batch in (first, second)]
    assert as_sets[0] == as_sets[1]
    assert not torch.equal(first["ids"], second["ids"])


def test_a_packed_stream_resumes_in_the_middle_of_an_epoch():
    batches = stream()
    for _ in range(7):
        next(batches)
    state, expected = batches.state_dict(), next(batches)
    resumed = stream()
    resumed.load_state_dict(state)
    again = next(resumed)
    assert all(torch.equal(again[k], expected[k]) for k in expected)
    with pytest.raises(ValueError, match="the saved batches had seed=0"):
        stream(seed=1).load_state_dict(state)


def test_a_run_on_packed_batches_resumes_bit_for_bit(tmp_path):
    run = TrainConfig(steps=6, batch_size=B, checkpoint_every=2)

    def stop(step, _):
        if step == 5:
            raise KeyboardInterrupt

    def go(gpt, **options):
        return fit(gpt, stream(), packed_lm, run, count=count_targets, progress=False, **options)

    whole, resumed = model(), model()
    history = go(whole)
    with pytest.raises(KeyboardInterrupt):
        go(model(), out_dir=tmp_path, on_step=stop)
    assert go(resumed, out_dir=tmp_path) == history
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("starts", "message"),
    [([0, 5], "starts must rise"), ([1, 93], "starts must rise"), ([0, 60, 50, 92], "must rise"),
     ([0], "must rise")],
)  # fmt: skip
def test_starts_of_other_tokens_are_refused(starts, message):
    with pytest.raises(ValueError, match=message):
        PackedBatches(TOKENS, starts, T, B)


def test_nothing_to_predict_is_refused():
    with pytest.raises(ValueError, match="no document has two tokens"):
        PackedBatches(TOKENS[:3], [0, 1, 2, 3], T, B)
    with pytest.raises(ValueError, match="context_length=0"):
        PackedBatches(TOKENS, STARTS, 0, B)


# token files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("vocab_size", "width"), [(29, 2), (65_536, 2), (65_537, 4)])
def test_a_token_file_gives_back_what_was_written(tmp_path, vocab_size, width):
    path = tmp_path / "deep" / "tokens.bin"
    pieces = [[0, vocab_size - 1], [], np.array([3, 1, 2])]
    assert write_token_file(path, iter(pieces), vocab_size) == 5
    ids = open_token_file(path, verify=True)
    assert isinstance(ids, np.memmap)
    assert ids.tolist() == [0, vocab_size - 1, 3, 1, 2]
    assert path.stat().st_size == 64 + 5 * width
    assert [p.name for p in path.parent.iterdir()] == ["tokens.bin"]
    assert write_token_file(path, [], vocab_size) == 0
    assert open_token_file(path).tolist() == []


def test_batches_from_a_file_are_those_from_memory(tmp_path):
    write_token_file(tmp_path / "t", [TOKENS], V)
    mapped = open_token_file(tmp_path / "t")
    for a, b in zip(
        next(TokenBatches(mapped, 7, 3)), next(TokenBatches(TOKENS, 7, 3)), strict=True
    ):
        assert torch.equal(a, b)
    one, other = next(PackedBatches(mapped, STARTS, T, B)), next(stream())
    assert all(torch.equal(one[k], other[k]) for k in one)


def test_an_id_outside_the_vocabulary_leaves_the_old_file(tmp_path):
    path = tmp_path / "t"
    write_token_file(path, [[1, 2]], V)
    for bad in ([V], [-1]):
        with pytest.raises(ValueError, match="do not fit vocab_size=29"):
            write_token_file(path, [[3], bad], V)
    assert open_token_file(path).tolist() == [1, 2]
    assert len(list(tmp_path.iterdir())) == 1


def test_damaged_token_files_are_refused(tmp_path):
    path = tmp_path / "t"
    write_token_file(path, [TOKENS], V)
    whole = path.read_bytes()
    for content, message in (
        (whole[:-1], "cut short or damaged"),
        (whole + b"\0", "cut short or damaged"),
        (whole[:40], "is not a token file"),
        (b"PK" + whole[2:], "is not a token file"),
        (whole[:8] + b"\7" + whole[9:], "cut short or damaged"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            open_token_file(path)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    open_token_file(path)
    with pytest.raises(ValueError, match="its hash differs"):
        open_token_file(path, verify=True)
    rng = np.random.default_rng(0)
    for _ in range(300):  # the header, bit by bit: refused, or harmless
        at, bit = int(rng.integers(64)), int(rng.integers(8))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :])
        try:
            ids = open_token_file(path, verify=True)
        except ValueError:
            continue
        assert (ids == TOKENS).all()


LIMITED = """
import resource, sys
import numpy as np
from llmbook.datasets import TokenBatches, open_token_file, write_token_file
path, n = sys.argv[1], 100_000_000  # 200 MB
def data():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmData"))
limit = data() + 64_000_000
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
piece = np.arange(1_000_000) % 4093
assert write_token_file(path, (piece for _ in range(100)), 4096) == n
tokens = open_token_file(path, verify=True)
batches = TokenBatches(tokens, 64, 16)
for _ in range(200):
    inputs, targets = next(batches)
    assert ((inputs + 1) % 4093 == targets % 4093).float().mean() > 0.98
try:
    np.fromfile(path, np.uint16)
except MemoryError:
    print("bounded")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts so on Linux only")
def test_a_file_is_written_and_read_in_less_memory_than_it_takes(tmp_path):
    """64 MB are allowed for a file of 200 MB; reading it whole fails, as it should."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED), str(tmp_path / "tokens.bin")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout == "bounded\n", done.stderr[-2000:]


def test_the_train_command_reads_token_files(tmp_path, capsys):
    path, out = tmp_path / "tokens.bin", tmp_path / "run"
    write_token_file(path, [TOKENS] * 9, 4096)
    sizes = ["--preset", "tiny", "--context-length", "8", "--steps", "2", "--quiet"]
    command = ["train", "--out", str(out), "--tokens", str(path), *sizes]
    assert cli.main([*command, "--grad-accumulation", "2"]) == 0
    assert f"{9 * len(TOKENS) * 19 // 20 + 1:,} tokens" in capsys.readouterr().out
    assert len(read_log(out / "log.jsonl")) == 2
    assert cli.main([*command, "--source", "austen"]) == 2
    assert "give one of --text, --tokens and --source" in capsys.readouterr().err
    write_token_file(path, [[5000] * 99], 65_536)
    assert cli.main(command) == 2
    assert "token id 5000 is outside the book's vocabulary of 4,096" in capsys.readouterr().err
