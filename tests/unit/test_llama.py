"""The Llama family in the hub's layout: files in parts, stretched rotations, equal logits."""

from __future__ import annotations

import json

import pytest
import torch
from large_weights import build
from safetensors.torch import save_file

from llmbook.config import GPTConfig, RopeScaling
from llmbook.files import read_tensors
from llmbook.models import GPT
from llmbook.weights import export_hf, load_gpt2, load_llama
from llmbook.weights.build import fill
from llmbook.weights.hub_config import from_hub_config, to_hub_config

CONFIG = GPTConfig(300, 67, 2, 6, 24, n_kv_head=2, d_ff=29, rope_base=500.0, norm_eps=1e-4)
LLAMA3 = RopeScaling("llama3", 8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_context=31)
SCALED = pytest.mark.parametrize(
    "scaling", [None, RopeScaling("linear", 2.5), LLAMA3], ids=["plain", "linear", "llama3"]
)


@pytest.fixture
def ids() -> torch.Tensor:
    return torch.randint(300, (2, 61), generator=torch.Generator().manual_seed(1))


@SCALED
def test_transformers_stretches_rotations_in_the_same_way(scaling, ids, tmp_path):
    transformers = pytest.importorskip("transformers")
    model = build(CONFIG.replace(rope_scaling=scaling))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(export_hf(model, None, tmp_path))
    torch.testing.assert_close(model(ids), theirs.eval()(ids).logits, rtol=1e-4, atol=1e-4)
    loaded, _ = load_llama(tmp_path)
    assert loaded.config == model.config
    assert torch.equal(loaded(ids), model(ids))


@SCALED
def test_older_files_say_the_same_in_other_fields(scaling):
    document = to_hub_config(CONFIG.replace(rope_scaling=scaling), 3)
    rope = document.pop("rope_parameters")
    rope.pop("rope_theta")
    rope["type"] = rope.pop("rope_type")
    document["rope_scaling"] = None if scaling is None else rope
    assert from_hub_config(document).rope_scaling == scaling


def split(folder) -> dict:
    """Divide a folder's weights into two files and an index, as large models are stored."""
    tensors, _ = read_tensors(folder / "model.safetensors")
    places = {k: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, k in enumerate(tensors)}
    for part in set(places.values()):
        save_file({k: v for k, v in tensors.items() if places[k] == part}, folder / part)
    (folder / "model.safetensors").unlink()
    write_index(folder, places)
    return places


def write_index(folder, places) -> None:
    text = json.dumps({"metadata": {}, "weight_map": places})
    (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")


def test_weights_in_parts_are_put_together(ids, tmp_path):
    model = build(CONFIG)
    split(export_hf(model, None, tmp_path))
    assert torch.equal(load_llama(tmp_path)[0](ids), model(ids))


@pytest.mark.parametrize(
    ("place", "error", "message"),
    [
        ("../model.safetensors", ValueError, "does not say in which file"),
        ("config.json", ValueError, "does not say in which file"),
        (7, ValueError, "does not say in which file"),
        ("model-00009.safetensors", FileNotFoundError, "model-00009.safetensors does not exist"),
        ("model-00002-of-00002.safetensors", ValueError, "is not in the file that"),
    ],
)
def test_an_index_that_does_not_fit_its_parts_is_refused(place, error, message, tmp_path):
    places = split(export_hf(build(CONFIG), None, tmp_path))
    first = next(k for k, part in places.items() if part.startswith("model-00001"))
    write_index(tmp_path, places | {first: place})
    with pytest.raises(error, match=message):
        load_llama(tmp_path)


@pytest.mark.parametrize("places", [None, [], {}])
def test_an_empty_index_is_refused(places, tmp_path):
    split(export_hf(build(CONFIG), None, tmp_path))
    write_index(tmp_path, places)
    with pytest.raises(ValueError, match=r"does not say|2 layers, but only 0 tensors"):
        load_llama(tmp_path)


def test_each_family_has_its_loader(tmp_path):
    gpt2 = CONFIG.replace(position="learned", norm="layernorm", mlp="gelu", bias=True, n_kv_head=6)
    with pytest.raises(ValueError, match="use load_gpt2"):
        load_llama(export_hf(GPT(gpt2), None, tmp_path / "gpt2"))
    with pytest.raises(ValueError, match="Llama-style model"):
        load_gpt2(export_hf(GPT(CONFIG), None, tmp_path / "llama"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rope_parameters": {"rope_type": "llama3", "factor": 8.0}}, "lacks 'low_freq_factor'"),
        ({"rope_parameters": {"rope_type": "linear"}}, "lacks 'factor'"),
        ({"rope_parameters": {"rope_type": "linear", "factor": -1}}, "factor=-1"),
        ({"rope_parameters": {"rope_type": "linear", "factor": "x"}}, "could not convert"),
    ],
)
def test_a_stretch_that_is_not_fully_said_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        from_hub_config({**to_hub_config(CONFIG, 3), **changes})


@pytest.mark.parametrize("change", [{"window": 5}, {"n_expert": 3}, {"norm_first": False}])
def test_what_the_layout_cannot_say_is_not_exported(change, tmp_path):
    with pytest.raises(ValueError, match="the hub's layout knows"):
        export_hf(GPT(CONFIG.replace(**change)), None, tmp_path)


def test_loaded_weights_have_memory_of_their_own(tmp_path):
    whole = torch.randn(7, 5)
    window = {"weight": whole[:3].T, "bias": whole[0]}
    model = fill(lambda: torch.nn.Linear(3, 5), window, "here")
    before = whole.clone()
    with torch.no_grad():
        model.weight.zero_()
        model.bias.zero_()
    assert torch.equal(whole, before)
    assert model.weight.requires_grad
    assert not model.training
