"""Weights in and out: the Hugging Face library's logits, and hostile files refused."""

from __future__ import annotations

import json
import pickle
import struct

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from large_weights import build

from llmbook.config import GPTConfig
from llmbook.files import read_json, read_tensors, write_atomically
from llmbook.generate import generate
from llmbook.models import GPT
from llmbook.tokenizers import BPETokenizer
from llmbook.weights import (
    book_model_path,
    export_hf,
    load_book_model,
    load_checkpoint_series,
    load_gpt2,
    load_hub_folder,
)
from llmbook.weights.hub_config import from_hub_config, to_hub_config

LLAMA = GPTConfig(300, 19, 2, 6, 24, n_kv_head=2, d_ff=29, rope_base=500.0, norm_eps=1e-4)
GPT2 = GPTConfig(300, 19, 2, 3, 24, position="learned", norm="layernorm", mlp="gelu", bias=True)
CONFIGS = {
    "llama": LLAMA,
    "llama untied, with biases": LLAMA.replace(tie_embeddings=False, bias=True),
    "gpt2": GPT2,
    "gpt2 untied": GPT2.replace(tie_embeddings=False, d_ff=31),
}
FAMILIES = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


@pytest.fixture(scope="module")
def tokenizer() -> BPETokenizer:
    return BPETokenizer.train("the cat and the hat and the bat " * 40, vocab_size=300)


@pytest.fixture
def ids() -> torch.Tensor:
    return torch.randint(300, (2, 17), generator=torch.Generator().manual_seed(1))


@FAMILIES
def test_transformers_computes_the_same_logits_and_gradients(config, ids, tmp_path):
    transformers = pytest.importorskip("transformers")
    model = build(config)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(export_hf(model, None, tmp_path))
    ours, reference = model(ids), theirs.eval()(ids).logits
    torch.testing.assert_close(ours, reference, rtol=1e-4, atol=1e-4)
    ours.square().mean().backward()
    reference.square().mean().backward()
    torch.testing.assert_close(
        model.token_embedding.weight.grad,
        theirs.get_input_embeddings().weight.grad,
        rtol=1e-3,
        atol=1e-6,
    )


@FAMILIES
def test_export_and_load_give_the_same_model_back(config, ids, tokenizer, tmp_path):
    model = build(config)
    loaded, loaded_tokenizer = load_hub_folder(export_hf(model, tokenizer, tmp_path))
    assert loaded.config == config
    assert loaded_tokenizer.merges == tokenizer.merges
    assert torch.equal(loaded(ids), model(ids))


@pytest.mark.parametrize("config", [LLAMA, GPT2], ids=["llama", "gpt2"])
def test_a_pipeline_writes_the_same_greedy_tokens(config, tokenizer, tmp_path):
    transformers = pytest.importorskip("transformers")
    model = build(config.replace(vocab_size=tokenizer.vocab_size))
    folder = export_hf(model, tokenizer, tmp_path)
    write = transformers.pipeline("text-generation", model=str(folder))
    theirs = write("the cat", max_new_tokens=8, do_sample=False)[0]["generated_text"]
    prompt = torch.tensor([tokenizer.encode("the cat")])
    ours = generate(model, prompt, max_new_tokens=8, temperature=0)
    assert tokenizer.decode(ours[0].tolist()) == theirs


def test_gpt2_as_transformers_saves_it_loads(ids, tmp_path):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    document = transformers.GPT2Config(
        vocab_size=300, n_positions=19, n_embd=24, n_layer=2, n_head=3
    )
    theirs = transformers.GPT2LMHeadModel(document).eval()
    theirs.save_pretrained(tmp_path)
    model, tokenizer = load_gpt2(tmp_path)
    assert tokenizer is None
    torch.testing.assert_close(model(ids), theirs(ids).logits, rtol=1e-4, atol=1e-4)


def test_half_precision_is_stored_and_loaded_as_float32(tmp_path):
    model = build(LLAMA)
    folder = export_hf(model, None, tmp_path, dtype=torch.float16)
    tensors, _ = read_tensors(folder / "model.safetensors")
    assert {t.dtype for t in tensors.values()} == {torch.float16}
    loaded, _ = load_hub_folder(folder)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    torch.testing.assert_close(loaded.norm.weight, model.norm.weight, rtol=1e-3, atol=1e-3)


def test_the_shipped_model_is_small_whole_and_writes():
    model, tokenizer = load_book_model()
    assert model.config.vocab_size == tokenizer.vocab_size
    assert (book_model_path() / "model.safetensors").stat().st_size <= 16_000_000
    prompt = torch.tensor([tokenizer.encode("The world is")])
    text = tokenizer.decode(generate(model, prompt, max_new_tokens=5, temperature=0)[0].tolist())
    assert text.startswith("The world is")


def test_the_snapshots_are_small_ordered_and_learn():
    series = load_checkpoint_series()
    assert 10 <= len(series) <= 14
    assert [s.step for s in series] == sorted({s.step for s in series})
    assert series[0].loss > 2 * series[-1].loss
    folder = book_model_path().parent / "checkpoints"
    assert sum(f.stat().st_size for f in folder.iterdir()) <= 12_000_000


def test_models_that_are_neither_gpt2_nor_llama_are_not_exported(tmp_path):
    with pytest.raises(ValueError, match=r"GPT-2 .* and Llama"):
        export_hf(GPT(LLAMA.replace(norm="layernorm")), None, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "bert"}, "model_type 'bert'"),
        ({"hidden_act": "gelu"}, "hidden_act='gelu'"),
        ({"hidden_size": None}, "wrong kind|d_model=None"),
        ({"head_dim": 7}, "head_dim=7"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "'yarn'"),
        ({"mlp_bias": True}, "mlp_bias differ"),
        ({"max_position_embeddings": 10**12}, "is over"),
        ({"num_attention_heads": 5}, "does not divide"),
    ],
)
def test_configurations_that_cannot_be_built_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        from_hub_config({**to_hub_config(LLAMA, 3), **changes})


def test_a_missing_field_is_named():
    document = to_hub_config(LLAMA, 3)
    del document["hidden_size"]
    with pytest.raises(ValueError, match="lacks 'hidden_size'"):
        from_hub_config(document)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hidden_layers": 10**9}, "1000000000 layers, but only"),
        ({"num_hidden_layers": 3}, "do not fit its configuration"),
        ({"vocab_size": 10**12}, "has shape .300, 24. and should have .1000000000000, 24."),
    ],
)
def test_a_configuration_that_lies_about_the_weights_is_refused_before_memory_is_taken(
    changes, message, tmp_path
):
    export_hf(build(LLAMA), None, tmp_path)
    document = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(document | changes))
    with pytest.raises(ValueError, match=message):
        load_hub_folder(tmp_path)


def test_a_pickle_is_named_and_never_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was opened",))

    export_hf(build(LLAMA), None, tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(FileNotFoundError, match=r"pytorch_model\.bin, a pickle"):
        load_hub_folder(tmp_path)
    (tmp_path / "pytorch_model.bin").rename(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        load_hub_folder(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 7,
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 4) + b"nope",
        struct.pack("<Q", 64)
        + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'.ljust(64),
    ],
    ids=["empty", "seven bytes", "a huge header", "no JSON", "data missing"],
)
def test_truncated_and_oversized_tensor_files_are_refused(content, tmp_path):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        read_tensors(tmp_path / "x.safetensors")


@given(data=st.data())
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_damaged_folder_loads_or_gives_a_documented_error(data, tmp_path):
    folder = tmp_path / "damaged"
    if not folder.exists():
        export_hf(build(LLAMA), None, folder)
        for name in ("model.safetensors", "config.json"):
            (folder / name).rename(folder / f"{name}.good")
    for name in ("model.safetensors", "config.json"):
        content = bytearray((folder / f"{name}.good").read_bytes())
        reach = min(len(content), 3000)  # the header and the first tensors
        for _ in range(data.draw(st.integers(0, 3))):
            content[data.draw(st.integers(0, reach - 1))] = data.draw(st.integers(0, 255))
        cut = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
        (folder / name).write_bytes(content[:cut])
    try:
        model, _ = load_hub_folder(folder)
    except (ValueError, FileNotFoundError):
        return
    assert isinstance(model, GPT)


def test_a_name_that_is_no_folder_and_cannot_be_downloaded_says_so(monkeypatch):
    pytest.importorskip("huggingface_hub")
    with pytest.raises(ConnectionError, match="check the name and the network"):
        load_gpt2("no-such/model")


def test_json_files_are_bounded_and_must_hold_an_object(tmp_path, monkeypatch):
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(ValueError, match="holds a list"):
        read_json(tmp_path / "list.json")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="not valid JSON"):
        read_json(tmp_path / "deep.json")
    monkeypatch.setattr("llmbook.files.MAX_JSON_BYTES", 2)
    with pytest.raises(ValueError, match="at most 2"):
        read_json(tmp_path / "list.json")


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
